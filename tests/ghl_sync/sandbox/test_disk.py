"""The state on disk: the same account after a restart, also when the process was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from ghl_sync.sandbox.disk import Unusable
from ghl_sync.sandbox.server import Sandbox
from tests.ghl_sync.sandbox.conftest import Api

pytestmark = pytest.mark.behaviour

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def running(state: Path, **how: Any) -> Iterator[Api]:
    with Sandbox(rate_max=10**6, state=state, **how) as sandbox:
        caller = Api(sandbox)
        with caller.session:
            yield caller


def soon(holds: Callable[[], bool]) -> None:
    """Wait until it holds; fail when it takes too long."""
    ends = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_restart_gives_the_same_account(tmp_path: Path) -> None:
    state = tmp_path / "new folder" / "state.json"
    with running(state) as api:
        contact = api.contact(email="ines@example.com", tags=["a"], fields={"tripbuilder_key": "contact:1"})
        card = api.card(contact_id=contact.id, fields={"start_date": "1969-12-31", "is_child": ["True"]})
        gone = api.card(name="Gone")
        api.store.delete(gone.id)
        api.store.overlay(card.id, {"source": "old"}, hide=["followers"])
        api.store.add_options("trip_name", ["Fjörds – “A”"])
        api.own("settings", {"allow_duplicate_opportunity": False})
        before = json.dumps(api.store.dump())
        shown = api.search()["opportunities"]
    with running(state) as api:
        assert api.sandbox.loaded
        assert json.dumps(api.store.dump()) == before
        assert api.search()["opportunities"] == shown
        api.store.restore(gone.id)
        assert sorted(api.names()) == ["Fjords", "Gone"]


def test_versions_go_on_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path / "state.json") as api:
        api.card()
        before = api.store.version
    with running(tmp_path / "state.json") as api:
        assert api.store.version >= before


def test_a_killed_sandbox_keeps_what_it_had_a_second_ago(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    code = (
        "import sys; from pathlib import Path; from ghl_sync.sandbox.server import Sandbox\n"
        "with Sandbox(state=Path(sys.argv[1])) as one:\n print(one.url, flush=True)\n sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(state)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        url = process.stdout.readline().strip()
        made = requests.post(f"{url}/_sandbox/create", json={"kind": "contact", "first_name": "Ines"}, timeout=5).json()
        soon(lambda: state.exists() and made["id"] in state.read_text())
        os.kill(process.pid, signal.SIGKILL)
    with running(state) as api:
        assert [row.id for row in api.store.contacts()] == [made["id"]]


def test_half_a_file_beside_the_state_does_no_harm(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with running(state) as api:
        api.card()
    (tmp_path / "state.json.new").write_text('{"version": 1, "half')
    with running(state) as api:
        assert api.names() == ["Fjords"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '"text"', '{"settings": {}}', "\xff\xfe", '{"provisioned": true, "settings": 3}']
)
def test_a_file_that_is_no_state_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    state = tmp_path / "state.json"
    state.write_bytes(content.encode("latin-1"))
    with pytest.raises(Unusable, match="move it away and start again"):
        Sandbox(state=state)
    assert state.read_bytes() == content.encode("latin-1")


def test_a_folder_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match="cannot be"), running(tmp_path / "file" / "state.json"):
        pass


def test_a_disk_that_was_full_is_written_again_at_the_next_change(tmp_path: Path, caplog: Any) -> None:
    state = tmp_path / "state.json"
    with running(state) as api:
        (tmp_path / "state.json.new").mkdir()
        api.card(name="One")
        soon(lambda: "could not save" in caplog.text)
        (tmp_path / "state.json.new").rmdir()
        api.card(name="Two")
        soon(lambda: [row["name"] for row in json.loads(state.read_text())["opportunities"]] == ["One", "Two"])
