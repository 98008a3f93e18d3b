"""Encrypted fields: unreadable in the table, readable after rotation, and never shown or replaced under a wrong key."""

from __future__ import annotations

import base64

import pytest
from django.db import connection
from django.db.models import F, Value

from tests.factories import PassengerFactory
from trips.encryption import Undecryptable, current_key_id, decrypt, encrypt, keyed_hash
from trips.models import Passport

OLD, NEW, OTHER = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))


def stored_number() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM trips_passport")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
def test_passport_number_is_unreadable_in_its_table_and_readable_through_the_model():
    Passport.objects.create(passenger=PassengerFactory(), number="X1234567")

    assert "X1234567" not in stored_number()
    assert stored_number().startswith(f"{current_key_id()}:")
    assert Passport.objects.get().number == "X1234567"


@pytest.mark.django_db
def test_empty_text_stays_empty_in_its_table():
    Passport.objects.create(passenger=PassengerFactory(), number="")

    assert stored_number() == ""


@pytest.mark.parametrize("text", ["X1", "ñ 🧳 שלום", "half \ud83d", "n\x00l", "x" * 11_000])
def test_any_text_comes_back(text):
    assert decrypt(encrypt(text, "trips.passport.number"), "trips.passport.number") == text


def test_same_text_is_sealed_differently_each_time():
    assert encrypt("X1", "a") != encrypt("X1", "a")


def test_value_of_the_old_key_opens_after_rotation_and_new_ones_use_the_new_key(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    sealed, old_id = encrypt("X1", "a"), current_key_id()

    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]

    assert decrypt(sealed, "a") == "X1"
    assert current_key_id() != old_id
    assert encrypt("X1", "a").startswith(f"{current_key_id()}:")


def test_missing_key_is_named_and_nothing_is_shown(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    sealed, old_id = encrypt("X1", "a"), current_key_id()
    settings.FIELD_ENCRYPTION_KEYS = [OTHER]

    with pytest.raises(Undecryptable) as caught:
        decrypt(sealed, "a")

    assert str(caught.value) == (
        f"A value of a was encrypted with the key '{old_id}', which is not in FIELD_ENCRYPTION_KEYS. "
        "Add that key to the list; nothing was changed."
    )


def test_value_copied_into_another_column_does_not_open():
    with pytest.raises(Undecryptable, match="does not open"):
        decrypt(encrypt("X1", "trips.passport.number"), "trips.healthrecord.diet")


@pytest.mark.django_db
@pytest.mark.parametrize("value", [F("country"), Value("X1234567")])
def test_an_expression_is_refused_since_it_would_stand_there_in_the_open(value):
    Passport.objects.create(passenger=PassengerFactory(), number="X1")

    with pytest.raises(TypeError, match=r"trips\.passport\.number takes values, no expressions"):
        Passport.objects.update(number=value)


def test_keyed_hash_compares_without_keeping_the_value(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    first = keyed_hash("X1")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]

    assert keyed_hash("X1", first.partition(":")[0]) == first
    assert keyed_hash("X1") != first
    assert keyed_hash("X1", "unknown") is None
