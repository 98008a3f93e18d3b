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
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

_NONCE = 12
# Ends the key's id in a keyed hash that was made with its comparing key; older ones were made with the key itself.
_DERIVED = "~"


class Undecryptable(ImproperlyConfigured):
    """A stored value belongs to none of the configured keys; nothing is shown or saved in its place."""


class _Key(NamedTuple):
    cipher: AESGCM
    raw: bytes
    comparing: bytes  # what keyed hashes are made with: it opens nothing


@lru_cache(maxsize=8)
def _ring(keys: tuple[str, ...]) -> dict[str, _Key]:
    """The keys by their ids, in the order of the setting."""
    ring = {}
    for key in keys:
        raw = base64.urlsafe_b64decode(key)
        comparing = hmac.new(raw, b"comparing key", hashlib.sha256).digest()
        ring[hashlib.sha256(b"id:" + raw).hexdigest()[:8]] = _Key(AESGCM(raw), raw, comparing)
    return ring


def _keys() -> dict[str, _Key]:
    return _ring(tuple(settings.FIELD_ENCRYPTION_KEYS))


def current_key_id() -> str:
    """The id of the key that encrypts now."""
    return next(iter(_keys()))


def key_ids() -> list[str]:
    """The ids of the configured keys, the one that encrypts first."""
    return list(_keys())


def encrypt(text: str, context: str, key_id: str | None = None) -> str:
    """`text` sealed with the first key or that of this id; `context` must be given again to open it."""
    key_id = key_id or current_key_id()
    nonce = os.urandom(_NONCE)
    sealed = _keys()[key_id].cipher.encrypt(nonce, text.encode("utf-8", "surrogatepass"), context.encode())
    return f"{key_id}:{base64.b64encode(nonce + sealed).decode()}"


def decrypt(stored: str, context: str) -> str:
    """The text that `encrypt` sealed. Raises Undecryptable when no configured key opens it."""
    key_id, _, payload = stored.partition(":")
    key = _keys().get(key_id)
    if key is None:
        raise Undecryptable(
            f"A value of {context} was encrypted with the key {key_id!r}, which is not in FIELD_ENCRYPTION_KEYS. "
            "Add that key to the list; nothing was changed."
        )
    try:
        sealed = base64.b64decode(payload)
        return key.cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode()).decode("utf-8", "surrogatepass")
    except (InvalidTag, ValueError) as error:  # ValueError: a piece of it is missing
        raise Undecryptable(f"A value of {context} does not open with its key {key_id!r}; it was damaged.") from error


def key_id_of(stored: str) -> str:
    """The id of the key that a stored value names; empty for one that `encrypt` has not made."""
    key_id, colon, _payload = stored.partition(":")
    return key_id if colon and len(key_id) == len(current_key_id()) else ""


def comparing_key(key_id: str) -> str:
    """What keyed hashes of a configured key are made with, as text; it outlives the key (`trips.services.keys`)."""
    return base64.b64encode(_keys()[key_id].comparing).decode()


# Gives the comparing keys of keys that are not configured any more; set at start (`trips.apps`).
retired: Callable[[], Mapping[str, str]] = dict


def keyed_hash(message: str, key_id: str | None = None) -> str | None:
    """`<key id>:<32 hex digits>` of `message` under a key (the first by default); None for an unknown key.

    For comparing sensitive values without keeping them. `key_id` is what stands before the colon of another hash.
    """
    key_id = key_id or current_key_id() + _DERIVED
    key = _hashing_key(key_id)
    if key is None:
        return None
    digest = hmac.new(key, b"compare:" + message.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return f"{key_id}:{digest[:32]}"


def is_current_hash(stored: str) -> bool:
    """Whether a keyed hash is what one made now would be called."""
    return stored.partition(":")[0] == current_key_id() + _DERIVED


def _hashing_key(key_id: str) -> bytes | None:
    plain = key_id.removesuffix(_DERIVED)
    key = _keys().get(plain)
    if key is not None:
        return key.comparing if key_id != plain else key.raw
    kept = retired().get(plain) if key_id != plain else None
    return base64.b64decode(kept) if kept else None


def file_cipher(key_id: str, salt: bytes, name: str) -> AESGCM | None:
    """The cipher of one file alone, from a configured key, a salt and the file's name; None for an unknown key."""
    key = _keys().get(key_id)
    if key is None:
        return None
    derived = HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"file:" + name.encode()).derive(key.raw)
    return AESGCM(derived)


class EncryptedTextField(models.TextField):
    """Text encrypted in its column. The empty text stays empty, so that "has a value" can still be asked in SQL."""

    @property
    def context(self) -> str:
        """What its values are bound to: a value in another column does not open."""
        return f"{self.model._meta.label_lower}.{self.name}"

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return decrypt(value, self.context) if value else value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "as_sql"):
            raise TypeError(f"{self.context} takes values, no expressions: the database would keep them in the open.")
        prepared = super().get_db_prep_save(value, connection)
        return encrypt(prepared, self.context) if prepared else prepared
