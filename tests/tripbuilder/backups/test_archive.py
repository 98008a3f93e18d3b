"""The archive's form: what was written comes back, and nothing else is believed."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tripbuilder.backups import archive
from tripbuilder.backups.archive import Damaged, Manifest, Member


def an_archive(folder: Path, *, name: str = "files/a/scan.pdf") -> Path:
    path = folder / "one.tar.gz"
    dump = folder / "dump"
    dump.write_bytes(b"rows" * 5000)
    scan = folder / "scan"
    scan.write_bytes(b"%PDF" + bytes(range(256)) * 300)
    with archive.written(path) as writer:
        for member, source in (("database.sqlite3", dump), (name, scan)):
            with source.open("rb") as file:
                writer.add(member, file)
        writer.close(a_manifest(writer.members))
    return path


def a_manifest(members: dict[str, Member]) -> Manifest:
    return Manifest(
        made_at="2027-03-01T02:00:00+00:00",
        version="0.1.0",
        engine="sqlite",
        server="3.40.1",
        migrations=[["trips", "0001_initial"]],
        keys=["a1b2c3d4"],
        rows={"trips_trip": 3},
        papers="folder",
        members=members,
    )


def test_what_was_written_is_verified_and_unpacked(tmp_path: Path) -> None:
    path = an_archive(tmp_path)

    manifest = archive.verified(path)
    archive.unpack(path, lambda name: tmp_path / "out" / name if name in manifest.files else None)

    assert (manifest, manifest.files) == (a_manifest(dict(manifest.members)), ["files/a/scan.pdf"])
    assert (tmp_path / "out/files/a/scan.pdf").read_bytes() == (tmp_path / "scan").read_bytes()
    assert [oct(one.stat().st_mode)[-3:] for one in (path, tmp_path / "out/files/a/scan.pdf")] == ["600", "600"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_piece_of_an_archive_is_refused(tmp_path: Path, share: float) -> None:
    path = an_archive(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(Damaged):
        archive.verified(path)


def test_each_changed_byte_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    """Some bytes of gzip and tar say nothing of what is inside, such as times."""
    path = an_archive(tmp_path)
    whole, manifest = path.read_bytes(), archive.verified(path)
    for place in range(0, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert archive.verified(path) == manifest
        except (Damaged, OSError):
            continue


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"files/a/scan.pdf": b"another"}, "files/a/scan.pdf is not what was written"),
        ({"files/b.pdf": b"more"}, "files/b.pdf is not in its manifest"),
        ({"files/a/scan.pdf": None}, "files/a/scan.pdf is missing"),
        ({"files/../../etc/passwd": b"x"}, "it holds what no archive of TripBuilder's does"),
        ({"/etc/passwd": b"x"}, "it holds what no archive of TripBuilder's does"),
        ({"manifest.json": b"{}"}, "its manifest cannot be read"),
        ({"manifest.json": b'{"format": 2}'}, "its manifest is of another form; use the TripBuilder that wrote it"),
        ({"manifest.json": None}, "it holds no manifest: it was cut off, or is no archive of TripBuilder's"),
    ],
)
def test_an_archive_that_somebody_packed_anew_is_refused(
    tmp_path: Path, change: dict[str, bytes | None], words: str
) -> None:
    path = an_archive(tmp_path)
    with tarfile.open(path) as tar:
        members = {entry.name: tar.extractfile(entry).read() for entry in tar}
    told = members.pop("manifest.json")
    with tarfile.open(path, "w:gz") as tar:
        for name, content in ({**members, "manifest.json": told} | change).items():
            if content is not None:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    if next(iter(change)) not in {*members, "manifest.json"}:  # it came behind the manifest
        words = words if "manifest" not in words else "something follows its manifest"

    with pytest.raises(Damaged, match=f"^{words.replace('.', '[.]')}$"):
        archive.verified(path)


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"), archive.written(tmp_path / "one.tar.gz"):
        raise OSError("No space left on device")

    assert list(tmp_path.iterdir()) == []
