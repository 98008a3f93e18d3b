"""The sections of the bench: which function measures, and what it needs around it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """`account` names the sandbox: one of `ACCOUNTS`. `filled`: the database holds what a first pull brought.

    `spare`: it also needs as many empty databases as there are first pulls. `fills`: its database holds a first
    pull's records at its end. `on_request`: it takes minutes, so it runs only when it is named.
    """

    name: str
    module: str
    account: str
    measure: str = "measure"
    filled: bool = False
    spare: bool = False
    fills: bool = False
    only_sqlite: bool = False
    on_request: bool = False


# `{seed}` is the size of the run. The large account is one sandbox for all sections of a database, which holds its ids.
ACCOUNTS = {
    "large": ("--seed", "{seed}", "--no-limit"),
    "paced": ("--seed", "{seed}", "--no-limit"),  # its section sets the limit once everything is there
    "daily": ("--seed", "small"),
    "blank": ("--seed", "none", "--no-limit"),
}

SECTIONS = (
    Section("pull", "pull", "large", spare=True, fills=True),
    Section("hooks", "hooks", "large", filled=True),
    Section("pages", "pages", "large", filled=True),
    Section("pages-large", "pages", "large", measure="measure_large", filled=True, on_request=True),
    Section("reports", "reports", "large", filled=True),
    Section("imports", "imports", "large", filled=True),
    Section("calls", "calls", "blank"),
    Section("encryption", "encryption", "blank"),
    Section("visible", "visible", "daily"),
    Section("saves", "saves", "large", filled=True, only_sqlite=True),
    Section("fill-saves", "saves", "large", measure="measure_first_fill", only_sqlite=True),
    Section("limiter", "limiter", "paced", on_request=True),
    Section("webhooks", "webhooks", "large", filled=True),  # the last one: it changes the account
)
