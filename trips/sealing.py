"""Files that are unreadable where they lie: AES-256-GCM in pieces, so that a large scan is never held as a whole.

A sealed file is a head (8 bytes that tell it, 8 of its key's id, 16 of salt), then pieces of 64 KiB, each with its tag.
Every file has a cipher of its own, made from the key, the salt and the name in storage: a file under another name does
not open. A piece's nonce is its number and whether it is the last one, so pieces cannot be dropped, swapped or added.
This is the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, 2015), as age and Tink have it. Fernet would
hold the whole file, and a cipher without tags would hand out what somebody changed.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.base import File

from trips.encryption import Undecryptable, current_key_id, file_cipher

MARK = b"TBsealed"  # no file that we take in begins like this
_ID, _SALT, _TAG = 8, 16, 16
HEAD = len(MARK) + _ID + _SALT
PIECE = 64 * 1024


def key_id_of(head: bytes) -> str:
    """The id of the key that sealed the file which begins like this; empty for a plain file."""
    return head[len(MARK) : len(MARK) + _ID].decode("ascii", "replace") if head.startswith(MARK) else ""


# Sealing


@contextmanager
def sealed(content: File, name: str) -> Iterator[File]:
    """A nameless temporary file that holds `content` sealed for `name`; gone at the end of the block."""
    with tempfile.TemporaryFile() as out:
        out.writelines(_pieces(content.chunks(), name))
        out.seek(0)
        yield File(out, name)


def _pieces(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    key_id, salt = current_key_id(), os.urandom(_SALT)
    cipher = file_cipher(key_id, salt, name)
    if cipher is None:
        raise Undecryptable(f"The key {key_id!r} went out of FIELD_ENCRYPTION_KEYS while {name} was being kept.")
    yield MARK + key_id.encode() + salt
    number, waiting = 0, b""
    for chunk in chunks:
        waiting += chunk
        while len(waiting) > PIECE:  # what is left at the end, were it nothing, is the last piece
            yield cipher.encrypt(_nonce(number, last=False), waiting[:PIECE], None)
            number, waiting = number + 1, waiting[PIECE:]
    yield cipher.encrypt(_nonce(number, last=True), waiting, None)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


# Opening


def opened(stored: File, name: str) -> File:
    """The plain content of a stored file, readable from any place; a file from before the encryption as it is.

    Raises Undecryptable: here for a key that is not configured, and while reading for a piece that was changed.
    """
    head = stored.read(HEAD)
    if not head.startswith(MARK):
        stored.seek(0)
        return stored
    return File(io.BufferedReader(_Plain(stored, head, name), PIECE), name)


class _Plain(io.RawIOBase):
    """Reads a sealed file piece by piece; holds one at a time."""

    def __init__(self, stored: IO[Any], head: bytes, name: str) -> None:
        super().__init__()
        self._stored, self._what, self._place = stored, name, 0
        self._held, self._piece = -1, b""
        length = stored.seek(0, os.SEEK_END) - HEAD
        self._count = -(-length // (PIECE + _TAG))
        self._size = length - self._count * _TAG
        if len(head) < HEAD or self._size < max(self._count - 1, 0) * PIECE or not self._count:
            raise self._damaged()
        self._cipher = self._cipher_of(head)

    def _cipher_of(self, head: bytes) -> AESGCM:
        key_id = key_id_of(head)
        cipher = file_cipher(key_id, head[-_SALT:], self._what)
        if cipher is None:
            raise Undecryptable(
                f"The file {self._what} was encrypted with the key {key_id!r}, which is not in FIELD_ENCRYPTION_KEYS. "
                "Add that key to the list; nothing was changed."
            )
        return cipher

    def _damaged(self) -> Undecryptable:
        return Undecryptable(
            f"The file {self._what} does not open with its key; it was damaged or put in another one’s place. "
            "Restore it from the backup."
        )

    def _read_piece(self, number: int) -> bytes:
        if number != self._held:
            self._stored.seek(HEAD + number * (PIECE + _TAG))
            try:
                piece = self._cipher.decrypt(
                    _nonce(number, last=number == self._count - 1), self._stored.read(PIECE + _TAG), None
                )
            except InvalidTag:
                raise self._damaged() from None
            self._held, self._piece = number, piece
        return self._piece

    def readinto(self, buffer: Any) -> int:
        number, offset = divmod(self._place, PIECE)
        if self._place >= self._size:
            # The last piece proves that the file ends here: an empty one holds nothing else.
            self._read_piece(self._count - 1)
            return 0
        part = self._read_piece(number)[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(start + offset, 0)
        return self._place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._stored.close()
        super().close()
