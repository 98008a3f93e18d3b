"""Who a webhook is believed to come from: three proofs, each alone, over the bytes as they came."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.http.request import HttpHeaders

from ghl_sync.client.signatures import NotAuthentic, Refusal, Sender, Trust, check

BODY = b'{"type": "OpportunityUpdate",  "id": "abc"}'
FIRST, SECOND, STRANGER = (ed25519.Ed25519PrivateKey.generate() for _ in range(3))
OLD = rsa.generate_private_key(65537, 2048)
SECRET = "a-secret-that-two-machines-know"


def public(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def signed(key: ed25519.Ed25519PrivateKey, body: bytes = BODY) -> str:
    return base64.b64encode(key.sign(body)).decode()


def signed_as_before(body: bytes = BODY) -> str:
    return base64.b64encode(OLD.sign(body, PKCS1v15(), SHA256())).decode()


TRUST = Trust(ed25519=(public(FIRST), public(SECOND)), rsa=(public(OLD),), secret=SECRET)


def verdict(trust: Trust = TRUST, body: bytes = BODY, **headers: str) -> Sender | Refusal:
    sent = HttpHeaders({f"HTTP_{name}": value for name, value in headers.items()})
    try:
        return check(trust, sent, body)
    except NotAuthentic as refused:
        return refused.reason


@pytest.mark.parametrize("key", [FIRST, SECOND])
def test_any_key_of_the_list_may_have_signed(key: ed25519.Ed25519PrivateKey) -> None:
    assert verdict(X_GHL_SIGNATURE=signed(key)) is Sender.APP


@pytest.mark.parametrize(
    "signature",
    [signed(STRANGER), signed(FIRST, BODY + b" "), signed(FIRST)[:-4], "N/A", "", "ü", "A" * 88, signed_as_before()],
    ids=[
        "stranger's",
        "another body's",
        "cut",
        "none",
        "empty",
        "not ASCII",
        "made up",
        "the old kind",
    ],  # keys are new each time
)
def test_a_signature_that_does_not_fit_is_wrong(signature: str) -> None:
    assert verdict(X_GHL_SIGNATURE=signature) is Refusal.WRONG


def test_the_same_json_written_otherwise_is_another_body() -> None:
    assert verdict(body=BODY.replace(b"  ", b" "), X_GHL_SIGNATURE=signed(FIRST)) is Refusal.WRONG


def test_the_new_header_rules_out_the_others() -> None:
    right = {"X_WH_SIGNATURE": signed_as_before(), "X_TRIPBUILDER_SECRET": SECRET}
    assert verdict(X_GHL_SIGNATURE=signed(STRANGER), **right) is Refusal.WRONG


def test_the_old_header_counts_only_where_its_keys_are_given() -> None:
    assert verdict(X_WH_SIGNATURE=signed_as_before()) is Sender.OLD_APP
    assert verdict(X_WH_SIGNATURE=signed_as_before(b"other")) is Refusal.WRONG
    assert verdict(X_WH_SIGNATURE=signed(FIRST)) is Refusal.WRONG
    assert verdict(replace(TRUST, rsa=()), X_WH_SIGNATURE=signed_as_before()) is Refusal.UNSIGNED


def test_a_workflow_is_known_by_its_secret_where_there_is_one() -> None:
    assert verdict(X_TRIPBUILDER_SECRET=SECRET) is Sender.WORKFLOW
    assert verdict(X_TRIPBUILDER_SECRET=SECRET[:-1]) is Refusal.WRONG
    assert verdict(X_TRIPBUILDER_SECRET="ü" * len(SECRET)) is Refusal.WRONG
    assert verdict(replace(TRUST, secret=""), X_TRIPBUILDER_SECRET="") is Refusal.UNSIGNED


def test_nothing_at_all_is_unsigned() -> None:
    assert verdict() is Refusal.UNSIGNED


def test_a_key_of_another_kind_fits_nothing() -> None:
    crossed = Trust(ed25519=(public(OLD),), rsa=(public(FIRST),))
    assert verdict(crossed, X_GHL_SIGNATURE=signed(FIRST)) is Refusal.WRONG
    assert verdict(crossed, X_WH_SIGNATURE=signed_as_before()) is Refusal.WRONG


def test_the_secret_does_not_show() -> None:
    assert SECRET not in repr(TRUST)
