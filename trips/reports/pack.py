"""The departure pack: a trip's lists as PDF and CSV in one ZIP that opens with a password.

AES-256 as WinZip writes it, which 7-Zip, WinZip and Keka open; Windows Explorer does not
(it asks for a password and then refuses). The password is kept nowhere: who loses it makes another pack.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterable

LEAST_PASSWORD = 12
# Without what looks alike when it is read out over a bad line.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def fresh_password() -> str:
    """Four groups of five: 99 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))


def zipped(files: Iterable[tuple[str, bytes]], password: str) -> bytes:
    """The files under their names; the names can be read without the password, so they tell of nobody."""
    from pyzipper import WZ_AES, ZIP_DEFLATED, AESZipFile  # noqa: PLC0415 - its ciphers take long to load

    out = io.BytesIO()
    with AESZipFile(out, "w", compression=ZIP_DEFLATED, encryption=WZ_AES) as archive:
        archive.setpassword(password.encode("ascii"))
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()
