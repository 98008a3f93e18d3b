"""Writing an archive."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connections

from tripbuilder import __version__
from tripbuilder.backups import CannotBackUp, archive, postgresql, sqlite
from tripbuilder.backups.archive import DATABASES, FILES, Manifest, Writer
from trips import sealing

IN_FOLDER = "folder"


def back_up(folder: Path) -> tuple[Path, Manifest]:
    """Write a dated archive into `folder`, which is made where it is missing; nothing is left of one that fails.

    The database first, then the files: what comes in between is a file without a row, not a row without its file.
    Raises CannotBackUp, and what the disk and the database raise.
    """
    _refuse_inside_papers(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made_at = dt.datetime.now(dt.UTC).replace(microsecond=0)
    path = folder / f"tripbuilder-{made_at:%Y-%m-%dT%H%M%SZ}.tar.gz"
    database = connections["default"]
    engine = postgresql if database.vendor == "postgresql" else sqlite
    # Beside the archive: that disk must have room for it, and /tmp need not.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as beside, archive.written(path) as writer:
        dump = Path(beside) / DATABASES[database.vendor]
        held, server = engine.copy_out(database, dump)
        with dump.open("rb") as file:
            writer.add(dump.name, file)
        dump.unlink()
        keys = held.keys
        if not settings.PRIVATE_BUCKET:
            keys |= _add_papers(writer)
        manifest = Manifest(
            made_at=made_at.isoformat(),
            version=__version__,
            engine=database.vendor,
            server=server,
            migrations=held.migrations,
            keys=sorted(keys),
            rows=held.rows,
            papers=f"bucket {settings.PRIVATE_BUCKET}" if settings.PRIVATE_BUCKET else IN_FOLDER,
            members=writer.members,
        )
        writer.close(manifest)
    return path, manifest


def _refuse_inside_papers(folder: Path) -> None:
    if not settings.PRIVATE_BUCKET and folder.resolve().is_relative_to(Path(settings.PRIVATE_ROOT).resolve()):
        raise CannotBackUp(
            f"{folder} is in PRIVATE_ROOT, so each backup would hold the earlier ones; name another folder."
        )


def _add_papers(writer: Writer) -> set[str]:
    """The ids of the keys that the files are sealed with."""
    root, keys = Path(settings.PRIVATE_ROOT), set()
    for path in _files_below(root):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue  # deleted since the folder was read; its row is in the copy, as of a moment earlier
        with file:
            keys.add(sealing.key_id_of(file.read(sealing.HEAD)))
            file.seek(0)
            writer.add(FILES + path.relative_to(root).as_posix(), file)
    return keys - {""}  # of files from before they were sealed


def _files_below(root: Path) -> Iterator[Path]:
    for folder, _folders, names in os.walk(root, followlinks=True):
        yield from (Path(folder) / name for name in sorted(names))
