"""The page about the mapping says what the table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ghl_sync.management.commands import ghl_mapping
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import FieldRule


def test_the_committed_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("ghl_mapping", "--check")

    assert capsys.readouterr().out == "docs/mapping.md is up to date.\n"


def test_a_stale_page_fails_with_what_to_run(monkeypatch: Any, tmp_path: Path) -> None:
    stale = tmp_path / "mapping.md"
    stale.write_text(ghl_mapping.page().replace("both ways", "one way", 1), encoding="utf-8")
    monkeypatch.setattr(ghl_mapping, "PAGE", stale)

    with pytest.raises(CommandError, match=r"stale: run `manage.py ghl_mapping > docs/mapping.md`") as failure:
        call_command("ghl_mapping", "--check")

    assert failure.value.returncode == 1


def test_a_missing_page_counts_as_stale(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(ghl_mapping, "PAGE", tmp_path / "none.md")

    with pytest.raises(CommandError, match="stale"):
        call_command("ghl_mapping", "--check")


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("ghl_mapping")

    assert capsys.readouterr().out == ghl_mapping.PAGE.read_text(encoding="utf-8")


@pytest.mark.django_db
def test_rules_of_the_installation_are_printed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    FieldRule.objects.create(kind="trip", field="description", direction="off")
    FieldRule.objects.create(kind="trip", field="capacity", policy="ours")

    call_command("ghl_mapping", "--rules")

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(("| `description`", "| `capacity`", "| `passport.number`"))] == [
        "| `description` | `opportunity.trip_description` | long text | not at all |  |  |",
        "| `capacity` | `opportunity.max_passengers` | whole number | both ways |  | TripBuilder |",
        "| `passport.number` | `opportunity.passport_number` | text, up to 255 characters | from GoHighLevel "
        "| passport | GoHighLevel |",
    ]


def test_every_row_has_its_line() -> None:
    lines = ghl_mapping.page().splitlines()
    rows = [line for line in lines if line.startswith("| `") and line.count("|") == 7]

    assert len(rows) == sum(len(mapped.fields) for mapped in MAPS.values())
    assert (
        "| `price_per_person` | `opportunity.trip_standard_level_pricing` | amount of money | both ways |  "
        "| the newer edit |"
    ) in rows
    assert (
        "| `passport.expires_on` | `opportunity.passport_expire` | date | both ways | passport | the newer edit |"
        in rows
    )
    assert (
        "| `key` | `contact.tripbuilder_key` (made by TripBuilder) | text, up to 255 characters | to GoHighLevel |  "
        "| TripBuilder |"
    ) in rows
