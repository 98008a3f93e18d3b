"""The archive's form: a tar of the database, the private files below `files/`, and last the manifest. Plain Python."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

FORMAT = 1
MANIFEST = "manifest.json"
FILES = "files/"
DATABASES = {"sqlite": "database.sqlite3", "postgresql": "database.pgdump"}
# Most of it is compressed already (pg_dump's form, PDF, pictures), or encrypted, which nothing makes smaller.
QUICK = 1
CHUNK = 1 << 20


class Damaged(Exception):
    """This is no archive of ours, or not the one that was written; the text says how it differs."""


@dataclass(frozen=True, slots=True)
class Member:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds and what it takes to use it."""

    made_at: str
    version: str  # of the product
    engine: str  # a key of DATABASES
    server: str  # version of the database
    migrations: list[list[str]]  # app and name
    keys: list[str]  # ids of the encryption keys that its values and files need
    rows: Mapping[str, int]  # by table
    papers: str  # "folder", or the bucket that holds what is not in here
    members: Mapping[str, Member]

    @property
    def database(self) -> str:
        """The name of the database's member."""
        return DATABASES[self.engine]

    @property
    def files(self) -> list[str]:
        return [name for name in self.members if name.startswith(FILES)]

    def dump(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def load(cls, text: bytes) -> Manifest:
        """Raises Damaged for anything that `dump` has not written."""
        try:
            told = json.loads(text)
            if told.pop("format") != FORMAT:
                raise Damaged("its manifest is of another form; use the TripBuilder that wrote it")
            members = {name: Member(**member) for name, member in told.pop("members").items()}
            made = cls(**told, members=members)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged("its manifest cannot be read") from error
        if made.engine not in DATABASES or made.database not in members:
            raise Damaged("it holds no database")
        return made


class _Hashed:
    """A file to be read, and what was read so far as checksum and size."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._sum, self._size = file, hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._sum.update(chunk)
        self._size += len(chunk)
        return chunk

    @property
    def member(self) -> Member:
        return Member(self._size, self._sum.hexdigest())


class Writer:
    """Adds members to an archive under way."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.members: dict[str, Member] = {}

    def add(self, name: str, file: IO[bytes]) -> None:
        """All of an open file, however long it is at this moment."""
        status = os.fstat(file.fileno())
        hashed = _Hashed(file)
        self._tar.addfile(_entry(name, status.st_size, status.st_mtime), hashed)
        self.members[name] = hashed.member

    def close(self, manifest: Manifest) -> None:
        text = manifest.dump()
        entry = _entry(MANIFEST, len(text), time.time())
        self._tar.addfile(entry, io.BytesIO(text))


def _entry(name: str, size: int, modified: float) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, int(modified), 0o600
    return entry


@contextmanager
def written(path: Path) -> Iterator[Writer]:
    """A new archive at `path`, there only when it is whole and on the disk. Raises OSError as files do."""
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "xb", opener=_private) as out:
            with tarfile.open(fileobj=out, mode="w:gz", compresslevel=QUICK) as tar:
                yield Writer(tar)
            out.flush()
            os.fsync(out.fileno())
        part.rename(path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise


def verified(path: Path) -> Manifest:
    """The manifest, after every member was compared with it. Raises Damaged and OSError."""
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    with _opened(path) as tar:
        for entry, file in _entries(tar):
            if manifest is not None:
                raise Damaged("something follows its manifest")
            if entry.name == MANIFEST:
                manifest = Manifest.load(file.read())
                continue
            if entry.name in found:
                raise Damaged(f"it holds {entry.name} twice")
            hashed = _Hashed(file)
            while hashed.read(CHUNK):
                pass
            found[entry.name] = hashed.member
    if manifest is None:
        raise Damaged("it holds no manifest: it was cut off, or is no archive of TripBuilder's")
    _compare(manifest.members, found)
    return manifest


def _compare(wanted: Mapping[str, Member], found: Mapping[str, Member]) -> None:
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        if name not in found:
            raise Damaged(f"{name} is missing")
        if name not in wanted:
            raise Damaged(f"{name} is not in its manifest")
        if wanted[name] != found[name]:
            raise Damaged(f"{name} is not what was written")


def unpack(path: Path, place: Callable[[str], Path | None]) -> None:
    """Write each member of a verified archive to the path that `place` gives for its name; None leaves it out.

    Raises Damaged and OSError.
    """
    with _opened(path) as tar:
        for entry, file in _entries(tar):
            target = place(entry.name)
            if target is None:
                continue
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(target, "xb", opener=_private) as out:
                shutil.copyfileobj(file, out, CHUNK)
            os.utime(target, (entry.mtime, entry.mtime))


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """To be read from its beginning. Raises Damaged within the block for what gzip or tar cannot read.

    tarfile's own gzip would not notice that the end is missing, nor compare its checksum.
    """
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as tar:
            yield tar
            while unpacked.read(CHUNK):
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Damaged("it cannot be unpacked: it was cut off or changed, or is no archive") from error


def _entries(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, Any]]:
    """Every member in turn. Raises Damaged for one that is no file, or whose name leads elsewhere."""
    for entry in tar:
        file = tar.extractfile(entry) if entry.isreg() else None
        if file is None or not _is_ours(entry.name):
            raise Damaged("it holds what no archive of TripBuilder's does")
        yield entry, file


def _private(name: str, flags: int) -> int:
    """An opener: nobody else reads what comes out of it."""
    return os.open(name, flags, 0o600)


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name in {MANIFEST, *DATABASES.values()} or (name.startswith(FILES) and ".." not in parts and len(parts) > 1)
