"""Text that is unreadable in the database: passports, health, private links.

AES-256-GCM from `cryptography`, with the id of its key in front, so that a rotated or wrong key is
named instead of yielding rubbish. Chosen over Fernet because it is authenticated in one pass,
shorter, and several times quicker per value; over ready-made fields because those show ciphertext on a
wrong key or hold a single key. Stored form: `<key id>:<base64 of nonce + ciphertext + tag>`; the
model and field are bound in, so a value copied into another column does not decrypt.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

_NONCE = 12


class Undecryptable(ImproperlyConfigured):
    """A stored value belongs to none of the configured keys; nothing is shown or saved in its place."""


@lru_cache(maxsize=8)
def _ring(keys: tuple[str, ...]) -> dict[str, tuple[AESGCM, bytes]]:
    """Key id → (cipher, raw key), in the order of the setting."""
    ring = {}
    for key in keys:
        raw = base64.urlsafe_b64decode(key)
        ring[hashlib.sha256(b"id:" + raw).hexdigest()[:8]] = (AESGCM(raw), raw)
    return ring


def _keys() -> dict[str, tuple[AESGCM, bytes]]:
    return _ring(tuple(settings.FIELD_ENCRYPTION_KEYS))


def current_key_id() -> str:
    """The id of the key that encrypts now."""
    return next(iter(_keys()))


def encrypt(text: str, context: str) -> str:
    """`text` sealed with the first key; `context` must be given again to open it."""
    key_id, (cipher, _raw) = next(iter(_keys().items()))
    nonce = os.urandom(_NONCE)
    sealed = cipher.encrypt(nonce, text.encode("utf-8", "surrogatepass"), context.encode())
    return f"{key_id}:{base64.b64encode(nonce + sealed).decode()}"


def decrypt(stored: str, context: str) -> str:
    """The text that `encrypt` sealed. Raises Undecryptable when no configured key opens it."""
    key_id, _, payload = stored.partition(":")
    entry = _keys().get(key_id)
    if entry is None:
        raise Undecryptable(
            f"A value of {context} was encrypted with the key {key_id!r}, which is not in FIELD_ENCRYPTION_KEYS. "
            "Add that key to the list; nothing was changed."
        )
    sealed = base64.b64decode(payload)
    try:
        return entry[0].decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode()).decode("utf-8", "surrogatepass")
    except InvalidTag as error:
        raise Undecryptable(f"A value of {context} does not open with its key {key_id!r}; it was damaged.") from error


def keyed_hash(message: str, key_id: str | None = None) -> str | None:
    """`<key id>:<32 hex digits>` of `message` under a configured key (the first by default); None for an unknown key.

    For comparing sensitive values without keeping them.
    """
    key_id = key_id or current_key_id()
    entry = _keys().get(key_id)
    if entry is None:
        return None
    digest = hmac.new(entry[1], b"compare:" + message.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return f"{key_id}:{digest[:32]}"


def file_cipher(key_id: str, salt: bytes, name: str) -> AESGCM | None:
    """The cipher of one file alone, from a configured key, a salt and the file's name; None for an unknown key."""
    entry = _keys().get(key_id)
    if entry is None:
        return None
    derived = HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"file:" + name.encode()).derive(entry[1])
    return AESGCM(derived)


class EncryptedTextField(models.TextField):
    """Text encrypted in its column. The empty text stays empty, so that "has a value" can still be asked in SQL."""

    def _context(self) -> str:
        return f"{self.model._meta.label_lower}.{self.name}"

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return decrypt(value, self._context()) if value else value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        prepared = super().get_db_prep_save(value, connection)
        return encrypt(prepared, self._context()) if prepared else prepared
