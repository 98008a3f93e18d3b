"""Where private files lie: the entry "private" of STORAGES, apart from everything that a web server hands out."""

from __future__ import annotations

from typing import NoReturn

from django.core.files.storage import FileSystemStorage, Storage, storages

NO_ADDRESS = "A private file has no address. Link to the document's own view, which asks who wants it."


class PrivateFolder(FileSystemStorage):
    """A folder whose files have no address; only a view that asks for the permission opens them."""

    def url(self, name: str | None) -> NoReturn:
        raise ValueError(NO_ADDRESS)


def private_storage() -> Storage:
    return storages["private"]
