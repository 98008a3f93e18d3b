"""What `backup` and `restore` refuse, each with one sentence and the exit code that says whether anything was "
"written."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.factories import PassportFactory
from tests.trips.papers.conftest import private_folder as emptied_folder
from tripbuilder.backups import archive, postgresql, restoring
from tripbuilder.backups.archive import Manifest
from tripbuilder.backups.making import back_up
from trips.encryption import current_key_id

pytestmark = pytest.mark.django_db(transaction=True)
private_folder = emptied_folder

ANOTHER_KEY = "B" * 43 + "="


def refusal(*words: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        call_command(*words, stdout=io.StringIO())
    return caught.value.returncode, str(caught.value)


@pytest.fixture
def written(private_folder: Path, tmp_path: Path) -> tuple[Path, Manifest]:
    PassportFactory()
    (private_folder / "papers").mkdir(parents=True)
    (private_folder / "papers/scan.pdf").write_bytes(b"%PDF scan")
    return back_up(tmp_path / "backups")


def test_the_manifest_says_what_is_in_it_and_holds_no_key(written: tuple[Path, Manifest], settings: Any) -> None:
    path, manifest = written
    assert archive.verified(path) == manifest
    assert (manifest.engine, manifest.papers, manifest.files) == (
        connection.vendor,
        "folder",
        ["files/papers/scan.pdf"],
    )
    assert (manifest.keys, manifest.rows["trips_passport"]) == ([current_key_id()], 1)
    assert settings.FIELD_ENCRYPTION_KEYS[0].encode() not in manifest.dump()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_into_a_database_with_tables_nothing_is_restored(written: tuple[Path, Manifest], private_folder: Path) -> None:
    (private_folder / "papers/scan.pdf").unlink()
    (private_folder / "papers").rmdir()

    code, words = refusal("restore", str(written[0]))

    assert (code, words) == (
        2,
        f"The database {connection.settings_dict['NAME']} is not empty. Name a new one in DATABASE_URL, or set the "
        f"old one aside first; nothing was changed.",
    )
    assert list(private_folder.iterdir()) == []


def test_beside_other_files_nothing_is_restored(written: tuple[Path, Manifest], private_folder: Path) -> None:
    wanted = f"The folder {private_folder} is not empty. Move what is in it away first; nothing was changed."

    assert refusal("restore", str(written[0])) == (2, wanted)


def test_without_its_keys_nothing_is_restored(written: tuple[Path, Manifest], settings: Any) -> None:
    key = current_key_id()
    settings.FIELD_ENCRYPTION_KEYS = [ANOTHER_KEY]

    assert refusal("restore", str(written[0])) == (
        2,
        f"The archive needs the encryption keys {key}, which are not in FIELD_ENCRYPTION_KEYS. Add them, behind the "
        f"present one; without them passports and health records stay unreadable.",
    )


def test_what_a_newer_version_wrote_is_not_restored(written: tuple[Path, Manifest], monkeypatch: Any) -> None:
    monkeypatch.setattr(restoring, "unknown_migrations", lambda _migrations: ["trips.9999_next"])

    assert refusal("restore", str(written[0])) == (
        2,
        "The archive was written by a newer TripBuilder (0.1.0; this one does not know trips.9999_next). Install "
        "that version first.",
    )


def test_a_damaged_archive_is_not_restored(written: tuple[Path, Manifest]) -> None:
    path, _manifest = written
    path.write_bytes(path.read_bytes()[:-20])

    assert refusal("restore", str(path)) == (
        2,
        f"{path} is damaged or no backup: it cannot be unpacked: it was cut off or changed, or is no archive. "
        f"Nothing was written; take another one.",
    )


def test_a_path_without_an_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.tar.gz"

    assert refusal("restore", str(path)) == (
        2,
        f"There is no file {path}; give the path of an archive that `backup` has written.",
    )


def test_a_full_disk_leaves_no_archive(tmp_path: Path, private_folder: Path, monkeypatch: Any) -> None:
    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.Writer, "add", full)

    assert refusal("backup", "--to", str(tmp_path)) == (
        1,
        "The backup was not written, and nothing of it is left: [Errno 28] No space left on device",
    )
    assert list(tmp_path.iterdir()) == []


def test_backups_among_the_papers_are_refused(private_folder: Path) -> None:
    folder = private_folder / "backups"

    assert refusal("backup", "--to", str(folder)) == (
        2,
        f"{folder} is in PRIVATE_ROOT, so each backup would hold the earlier ones; name another folder.",
    )


class Server:
    """As much of a connection as is asked for the server's version."""

    pg_version = 990003

    def ensure_connection(self) -> None:
        pass


@pytest.mark.parametrize(
    ("found", "there"), [(None, ""), ("/usr/bin/pg_dump", "; there is one of version 15")], ids=["none", "another"]
)
def test_without_the_server_s_own_pg_dump_it_is_said_what_to_install(
    monkeypatch: Any, found: str | None, there: str
) -> None:
    which: Callable[..., str | None] = lambda name, path=None: None if path else found  # noqa: E731
    monkeypatch.setattr(postgresql.shutil, "which", which)
    monkeypatch.setattr(postgresql, "_major_of", lambda _path: 15)

    with pytest.raises(postgresql.NoProgram) as caught:
        postgresql.program("pg_dump", Server())

    assert str(caught.value) == (
        f"The server is PostgreSQL 99, and there is no pg_dump of that version on PATH{there}. Install it (Debian: "
        f"apt-get install postgresql-client-99) and try again."
    )


def test_of_what_pg_restore_says_no_row_is_repeated() -> None:
    said = 'pg_restore: error: could not execute query: ERROR:  value too long DETAIL: "X1234567"\nCONTEXT: COPY'

    assert postgresql.first_words(said) == "pg_restore: error: could not execute query: ERROR:  value too long"
