"""`manage.py ghl_sandbox` as a process: ready line, clean end, seeds, and refusals in one sentence."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from ghl_sync.sandbox.hooks import public_key

ROOT = Path(__file__).resolve().parents[3]


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "manage.py", "ghl_sandbox", *map(str, arguments)]


@contextmanager
def running(*arguments: Any) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its ready line and its address."""
    with subprocess.Popen(
        command("--port", 0, *arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield process, line, re.findall(r"http://[\d.:]+", line)[0]
        finally:
            process.kill()


def stopped(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """Exit code and all that stood on stderr."""
    process.send_signal(number)
    _, problems = process.communicate(timeout=20)
    return process.returncode, problems


def refused(*arguments: Any) -> tuple[int, str]:
    done = subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_when_it_is_ready_and_ends_cleanly(tmp_path: Path, number: int) -> None:
    state = tmp_path / "state.json"
    with running("--state", state) as (process, line, url):
        assert line == (
            f"Sandbox ready on {url} (token sandbox-token, location sandbox-location, records in {state}); "
            "Ctrl-C stops it.\n"
        )
        requests.post(f"{url}/_sandbox/create", json={"kind": "contact", "first_name": "Ines"}, timeout=5)
        assert stopped(process, number) == (0, "")
    assert [row["first_name"] for row in json.loads(state.read_text())["contacts"]] == ["Ines"]


def test_it_seeds_an_empty_account_only(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    for _ in range(2):
        with running("--state", state, "--seed", "small") as (process, _line, url):
            found = requests.get(f"{url}/_sandbox/state", timeout=5).json()
            assert (len(found["opportunities"]), len(found["contacts"])) == (74, 52)
            requests.post(f"{url}/_sandbox/delete", json={"id": found["contacts"][0]["id"]}, timeout=5)
            assert stopped(process, signal.SIGTERM) == (0, "")
    assert sum(row["deleted"] for row in json.loads(state.read_text())["contacts"]) == 1


def test_limit_and_lag_are_options(tmp_path: Path) -> None:
    with running("--state", tmp_path / "a.json", "--rate-max", 7, "--lag", 60) as (_process, _line, url):
        assert requests.get(f"{url}/nowhere", timeout=5).headers["x-ratelimit-max"] == "7"
        head = {"Authorization": "Bearer sandbox-token", "Version": "2021-07-28"}
        body = {"locationId": "sandbox-location", "pageLimit": 5}
        requests.post(f"{url}/_sandbox/create", json={"kind": "contact", "first_name": "Ines"}, timeout=5)
        found = requests.post(f"{url}/contacts/search", json=body, headers=head, timeout=5).json()
        assert found["total"] == 0
    with running("--state", tmp_path / "b.json", "--no-limit") as (_process, _line, url):
        assert int(requests.get(f"{url}/nowhere", timeout=5).headers["x-ratelimit-max"]) > 1_000_000


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused("--port", port, "--state", tmp_path / "state.json") == (
            2, f"CommandError: Port {port} is taken; stop what uses it or choose another with --port.\n",
        )  # fmt: skip


def test_a_file_that_is_no_state_is_one_sentence(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("{}")
    assert refused("--port", 0, "--state", state) == (
        2,
        f"CommandError: {state} is not a state of the sandbox ('provisioned'); move it away and start again.\n",
    )


def test_webhooks_are_an_option(tmp_path: Path) -> None:
    seed = "01" * 32
    asked = ("--webhooks", "http://127.0.0.1:9/ghl/webhook/", "--webhook-seed", seed)
    with running("--state", tmp_path / "state.json", *asked) as (process, _line, url):
        assert process.stdout is not None
        said = [process.stdout.readline(), process.stdout.readline()]
        state = requests.get(f"{url}/_sandbox/webhooks", timeout=5).json()
        assert (state["url"], state["public_key"]) == (asked[1], public_key(bytes.fromhex(seed)))
        assert said == [f"Webhooks go to {asked[1]}.\n", f"GHL_WEBHOOK_PUBLIC_KEYS={state['public_key']}\n"]


WRONG = [("--port", "http"), ("--seed", "huge"), ("--lag", "-1"), ("--rate-max", "0"), ("--webhooks", "8000"),
         ("--webhook-seed", "abc")]  # fmt: skip


@pytest.mark.parametrize("argument", WRONG)
def test_an_option_that_makes_no_sense_is_refused(tmp_path: Path, argument: tuple[str, str]) -> None:
    code, problem = refused("--port", 0, "--state", tmp_path / "state.json", *argument)
    assert code == 2
    assert argument[0] in problem
