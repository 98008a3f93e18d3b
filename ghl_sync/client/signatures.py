"""Whether a webhook comes from who may send one (API notes §10). Plain Python; keys and secret are passed in.

Three ways in, and a header decides which: what it names must hold, and nothing else is tried instead. Ed25519 over
the raw body is how an app of GoHighLevel's marketplace signs today; RSA is how it signed before, and counts only where
its keys are given; a shared secret is what a workflow can send, as workflows do not sign.
"""

from __future__ import annotations

import base64
import enum
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

SIGNATURE, OLD_SIGNATURE, SECRET = "X-GHL-Signature", "X-WH-Signature", "X-TripBuilder-Secret"


class Sender(enum.StrEnum):
    """By what a webhook was known."""

    APP = "app"
    OLD_APP = "old_app"
    WORKFLOW = "workflow"


class Refusal(enum.StrEnum):
    """Why a webhook counts as nobody's."""

    UNSIGNED = "unsigned"
    WRONG = "wrong"


class NotAuthentic(Exception):
    """The webhook may come from anybody; `reason` is one of `Refusal`."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe. Keys are public ones in base64 (DER, SubjectPublicKeyInfo); any one of a list may match.

    No RSA keys: the old header is not accepted. No secret: workflows are not.
    """

    ed25519: tuple[str, ...] = ()
    rsa: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)


def check(trust: Trust, headers: Mapping[str, str], body: bytes) -> Sender:
    """Who sent this `body`, exactly as it came over the wire. Raises NotAuthentic.

    `headers` finds names whatever their case. The new header rules out the others even when it is wrong, so that
    nobody can choose the weaker proof.
    """
    if SIGNATURE in headers:
        _require(any(_ed25519_fits(key, headers[SIGNATURE], body) for key in trust.ed25519))
        return Sender.APP
    if OLD_SIGNATURE in headers and trust.rsa:
        _require(any(_rsa_fits(key, headers[OLD_SIGNATURE], body) for key in trust.rsa))
        return Sender.OLD_APP
    if SECRET in headers and trust.secret:
        given = headers[SECRET].encode("utf-8", "surrogatepass")
        _require(hmac.compare_digest(given, trust.secret.encode()))
        return Sender.WORKFLOW
    raise NotAuthentic(Refusal.UNSIGNED)


def _require(holds: bool) -> None:
    if not holds:
        raise NotAuthentic(Refusal.WRONG)


def _ed25519_fits(key: str, signature: str, body: bytes) -> bool:
    public = _loaded(key)
    if not isinstance(public, Ed25519PublicKey):
        return False
    try:
        public.verify(base64.b64decode(signature, validate=True), body)
    except (InvalidSignature, ValueError):  # ValueError: no base64, as in "N/A" (API notes §10)
        return False
    return True


def _rsa_fits(key: str, signature: str, body: bytes) -> bool:
    public = _loaded(key)
    if not isinstance(public, RSAPublicKey):
        return False
    try:
        public.verify(base64.b64decode(signature, validate=True), body, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=16)
def _loaded(key: str) -> object:
    return load_der_public_key(base64.b64decode(key, validate=True))
