"""Which keys this database needs: remembered at the first start with each, asked about at every start.

A key that is missing must stop the start. Later it would be noticed value by value, by whoever opens a record, and
meanwhile everything new would be encrypted with another key.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from django.core.exceptions import ImproperlyConfigured

from trips.encryption import Undecryptable, comparing_key, current_key_id, decrypt, encrypt, key_ids
from trips.models import EncryptionKey
from trips.services.rotation import keys_in_use

_CANARY = "TripBuilder"


def check() -> None:
    """Raises ImproperlyConfigured, one sentence, where a key that this database needs is missing or another one."""
    for row in EncryptionKey.objects.exclude(canary="").only("key_id", "canary"):
        refuse_unless_known(row.key_id)
        try:
            same = decrypt(row.canary, _context(row.key_id)) == _CANARY
        except Undecryptable:
            same = False
        if not same:
            raise ImproperlyConfigured(
                f"FIELD_ENCRYPTION_KEYS holds a key that passes for {row.key_id!r} and does not open what that one has "
                "encrypted. Put the right key in its place; nothing was changed."
            )


def refuse_unless_known(key_id: str) -> None:
    """Raises ImproperlyConfigured for a key that is not configured."""
    if key_id not in key_ids():
        raise ImproperlyConfigured(
            f"This database holds values that were encrypted with the key {key_id!r}, which is not in "
            "FIELD_ENCRYPTION_KEYS. Put that key back into the list, behind the new one if there is one; nothing was "
            "changed."
        )


def remember() -> None:
    """Keep a canary of each configured key, after `check`. Raises ImproperlyConfigured as that does."""
    known = dict(EncryptionKey.objects.values_list("key_id", "canary"))
    if not known:  # values from before keys were remembered
        for key_id in sorted(keys_in_use()):
            refuse_unless_known(key_id)
    for key_id in key_ids():
        if key_id not in known:
            made = EncryptionKey(key_id=key_id, canary=_canary(key_id), comparing=comparing_key(key_id))
            EncryptionKey.objects.bulk_create([made], ignore_conflicts=True)  # another process may start as well
    if not known.get(current_key_id(), " "):
        # It encrypts again after it was retired.
        EncryptionKey.objects.filter(key_id=current_key_id()).update(canary=_canary(current_key_id()))


def retire(key_id: str) -> None:
    """Nothing needs this key any more: starts do not ask for it."""
    EncryptionKey.objects.filter(key_id=key_id).update(canary="")


@lru_cache(maxsize=1)
def comparing_keys() -> Mapping[str, str]:
    """By their ids what the keys' hashes were made with, for those that are not configured any more."""
    return dict(EncryptionKey.objects.values_list("key_id", "comparing"))


def _canary(key_id: str) -> str:
    return encrypt(_CANARY, _context(key_id), key_id)


def _context(key_id: str) -> str:
    return f"canary of {key_id}"
