"""Reading the environment so that a wrong value names its own variable.

django-environ says what was wrong with a value but not always where it came from; staff who set
up a server need the name, the value's problem and the next step in one sentence.
"""

from __future__ import annotations

import base64
import binascii
import re
import zoneinfo
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
import phonenumbers
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

env = environ.Env()
DATABASE_SCHEMES = frozenset({"sqlite", "postgres", "postgresql", "psql", "pgsql"})
YES = frozenset({"true", "1", "yes", "on", "y", "t"})
NO = frozenset({"false", "0", "no", "off", "n", "f"})


def load_dotenv(path: Path) -> None:
    """Read `path` into the environment; variables that are already set win."""
    if path.exists():
        environ.Env.read_env(str(path))


def read(name: str, reader: Callable[..., T], default: Any) -> T:
    """The variable `name` parsed by one of environ's readers, an empty value counting as unset.

    Raises ImproperlyConfigured with the variable's name when the value cannot be read.
    """
    if not env.str(name, default="").strip():
        return default
    try:
        return reader(name)
    except (ValueError, environ.ImproperlyConfigured) as error:
        raise ImproperlyConfigured(f"{name} cannot be read: {error}. Correct it in .env or the environment.") from error


def seconds(name: str, default: float, *, least: float = 0.0) -> float:
    """A duration in seconds that is at least `least`."""
    text = read(name, env.str, "").strip()
    try:
        # environ's own reader drops what is no digit: "3 min" would be 3 seconds.
        value = float(text) if text else default
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {text!r}; give a number of seconds such as {default:g}.") from None
    if not least <= value < 10**7:
        raise ImproperlyConfigured(f"{name} is {value:g}; give a number of seconds of at least {least:g}.")
    return value


def count(name: str, default: int, *, most: int, least: int = 1) -> int:
    """A whole number from `least` to `most`."""
    text = read(name, env.str, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most):
        raise ImproperlyConfigured(
            f"{name} is {text[:40]!r}; give a whole number from {least} to {most}, such as {default}."
        )
    return int(text)


def days(name: str, *, most: int = 1000) -> int | None:
    """A whole number of days from 0 to `most`; None when it is empty."""
    text = read(name, env.str, "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text[:9]) <= most):
        raise ImproperlyConfigured(
            f"{name} is {text[:40]!r}; give a whole number of days from 0 to {most}, or nothing."
        )
    return int(text) if text else None


def flag(name: str, *, default: bool) -> bool:
    """Yes or no in the usual words; anything else is an error, where environ would read it as no."""
    text = read(name, env.str, "").strip().lower()
    if not text:
        return default
    if text not in {*YES, *NO}:
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be true or false.")
    return text in YES


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of `allowed`."""
    value = read(name, env.str, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    return value


def code(name: str, default: str, pattern: str, shape: str) -> str:
    """A code that matches `pattern` as a whole; `shape` says it in words."""
    value = read(name, env.str, default).strip()
    if not re.fullmatch(pattern, value):
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be {shape} such as {default}.")
    return value


def time_zone(name: str, default: str) -> str:
    """A name of the IANA time-zone database."""
    value = read(name, env.str, default).strip()
    if value not in zoneinfo.available_timezones():
        raise ImproperlyConfigured(f"{name} is {value!r}; give a time zone such as America/New_York.")
    return value


def phone_region(name: str, default: str) -> str:
    """A country by the two letters under which its phone numbers are read."""
    value = read(name, env.str, default).strip()
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be two letters of a country such as {default}.")
    return value


def database(name: str, default: str) -> dict[str, Any]:
    """Django's settings for a database of one of `DATABASE_SCHEMES`."""
    if read(name, env.str, default).partition(":")[0] not in DATABASE_SCHEMES:
        raise ImproperlyConfigured(
            f"{name} must name SQLite (sqlite:///path) or PostgreSQL (postgres://user:password@host/name)."
        )
    found: dict[str, Any] = read(name, env.db_url, env.db_url_config(default))
    return found


def email(name: str, default: str) -> dict[str, Any]:
    """Django's mail settings from one address such as smtp+tls://user:password@host:587."""
    text = read(name, env.str, default)
    try:
        found: dict[str, Any] = env.email_url_config(text)
    except (ValueError, ImproperlyConfigured):  # neither repeats the address: it holds a password
        found = {}
    if not found.get("EMAIL_BACKEND"):
        raise ImproperlyConfigured(
            f"{name} must be consolemail:// or name a mail server: smtp+tls://user:password@host:587 (characters such "
            "as @ and / in the password as %40 and %2F)."
        )
    return found


def http_url(name: str, default: str) -> str:
    """An http(s) address without a trailing slash."""
    value = read(name, env.str, default).rstrip("/")
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.netloc):
        such = default or "https://s3.example.com"
        raise ImproperlyConfigured(f"{name} is {value!r}; give a full address such as {such}.")
    return value


def bucket(name: str, *, url: str, region: str, key: str, secret: str) -> dict[str, Any]:
    """The entry of STORAGES for a private bucket. Without key and secret the machine's own role is asked."""
    if find_spec("storages") is None or find_spec("boto3") is None:
        raise ImproperlyConfigured(
            f"PRIVATE_BUCKET is {name!r}, and what it takes is not installed: pip install -r requirements-s3.txt"
        )
    if bool(key) != bool(secret):
        lacking = "PRIVATE_BUCKET_SECRET" if key else "PRIVATE_BUCKET_KEY"
        raise ImproperlyConfigured(f"{lacking} is empty; give key and secret of the bucket, or neither.")
    return {
        "BACKEND": "trips.bucket.PrivateBucket",
        "OPTIONS": {
            "bucket_name": name,
            "endpoint_url": url or None,
            "region_name": region or None,
            "access_key": key or None,
            "secret_key": secret or None,
            "default_acl": None,  # the bucket's own; many refuse to be told
            "file_overwrite": False,
            "max_memory_size": 1024 * 1024,  # more of a file that is read waits on the disk, sealed as it came
            "signature_version": "s3v4",
            # With an address of its own a bucket is a path below it: few besides Amazon give each a name.
            "addressing_style": "path" if url else None,
        },
    }


def fernet_keys(name: str) -> list[str]:
    """A comma list of 32-byte keys in URL-safe base64; the first one encrypts."""
    keys: list[str] = [key.strip() for key in env.str(name, default="").split(",") if key.strip()]
    for position, key in enumerate(keys, start=1):
        try:
            length = len(base64.urlsafe_b64decode(key))
        except (binascii.Error, ValueError):
            length = -1
        if length != 32:
            raise ImproperlyConfigured(
                f"{name}: key number {position} is not 32 bytes in URL-safe base64. Make one with: python -c "
                f"'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
            )
    return keys


def public_keys(name: str, kind: type, default: tuple[str, ...] = ()) -> list[str]:
    """A comma list of public keys of one `kind`, each in base64 without a PEM's first and last line."""
    keys = ["".join(key.split()) for key in env.str(name, default="").split(",") if key.strip()]
    for position, key in enumerate(keys, start=1):
        try:
            fits = isinstance(load_der_public_key(base64.b64decode(key, validate=True)), kind)
        except (ValueError, UnsupportedAlgorithm):
            fits = False
        if not fits:
            raise ImproperlyConfigured(
                f"{name}: key number {position} is no {kind.__name__.removesuffix('PublicKey')} public key. Copy the "
                "lines between BEGIN PUBLIC KEY and END PUBLIC KEY; several keys are divided by commas."
            )
    return keys or list(default)


def shared_secret(name: str, least: int = 24) -> str:
    """A secret that two machines know: `least` characters or more, none that a header could not carry."""
    value: str = read(name, env.str, "").strip()
    if value and (len(value) < least or not re.fullmatch(r"[!-~]+", value)):
        raise ImproperlyConfigured(
            f"{name} must have {least} characters or more, letters, digits and signs without spaces. Make one with: "
            "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return value
