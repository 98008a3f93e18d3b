"""Where private files lie: the entry "private" of STORAGES, apart from everything that a web server hands out.

What lies there is sealed (`trips.sealing`), whichever kind of place it is. Files from before that are read as they are
until `rotate_keys` has sealed them.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn, Protocol, cast

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from trips import sealing

NO_ADDRESS = "A private file has no address. Link to the document's own view, which asks who wants it."


class PrivateStorage(Protocol):
    """What a place for private files offers, beside what Django's storages do."""

    def key_id_of(self, name: str) -> str:
        """The id of the key that a file is sealed with; empty for a plain one. Raises FileNotFoundError."""

    def reseal(self, name: str) -> None:
        """Seal a file anew with the current key, in one step that others see whole or not at all."""


class Sealed(Storage):
    """Mixed into a storage: it keeps ciphertext and hands out what was put in."""

    def _save(self, name: str, content: File) -> str:
        with sealing.sealed(content, name) as ciphertext:
            stored: str = super()._save(name, ciphertext)  # type: ignore[misc]
        if stored != name:  # somebody was quicker with the same random name; it would not open under another one
            self.delete(stored)
            raise FileExistsError(f"There is a private file {name} already.")
        return stored

    def _open(self, name: str, mode: str = "rb") -> File:
        if mode != "rb":
            raise ValueError(f"A private file is opened to be read ('rb'), not {mode!r}.")
        stored = self._open_stored(name)
        try:
            return sealing.opened(stored, name)
        except BaseException:
            stored.close()
            raise

    def _open_stored(self, name: str) -> File:
        """The file as it lies there."""
        found: File = super()._open(name, "rb")  # type: ignore[misc]
        return found

    def size(self, name: str) -> int:
        """Bytes of what was put in."""
        with self._open(name) as file:
            return int(file.seek(0, os.SEEK_END))

    def key_id_of(self, name: str) -> str:
        with self._open_stored(name) as file:
            return sealing.key_id_of(file.read(sealing.HEAD))

    def reseal(self, name: str) -> None:
        with self._open(name) as content, sealing.sealed(content, name) as ciphertext:
            self._replace(name, ciphertext)

    def _replace(self, name: str, ciphertext: File) -> None:
        raise NotImplementedError


class PrivateFolder(Sealed, FileSystemStorage):
    """A folder whose files have no address; only a view that asks for the permission opens them."""

    def url(self, name: str | None) -> NoReturn:
        raise ValueError(NO_ADDRESS)

    def _replace(self, name: str, ciphertext: File) -> None:
        """Beside it first, on the disk before it takes its place: a process that is killed leaves one of the two."""
        path = self.path(name)
        beside = f"{path}.resealed"
        with open(beside, "wb", opener=self._private) as out:
            out.writelines(ciphertext.chunks())
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)

    def _private(self, path: str, flags: int) -> int:
        return os.open(path, flags, self.file_permissions_mode or 0o600)


def private_storage() -> Storage:
    return storages["private"]


def private_files() -> PrivateStorage:
    """The same, for whoever seals anew."""
    return cast(PrivateStorage, private_storage())


def is_private(storage: Any) -> bool:
    """Whether this is a storage that seals."""
    return isinstance(storage, Sealed)
