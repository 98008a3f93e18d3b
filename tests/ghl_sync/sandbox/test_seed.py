"""The seeds: invented, repeatable, and with the faults that real accounts have."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from typing import Any

import phonenumbers
import pytest

from ghl_sync.sandbox.seed import fill
from ghl_sync.sandbox.store import Opportunity, Store

TODAY = dt.date(2026, 11, 25)


def filled(size: str) -> Store:
    store = Store()
    fill(store, size, TODAY)
    return store


@pytest.fixture(scope="module")
def small() -> Store:
    return filled("small")


@pytest.fixture(scope="module")
def real() -> Store:
    return filled("real")


def fields_of(store: Store, pipeline: str) -> list[dict[str, Any]]:
    return [store.custom_by_key(row) for row in store.opportunities(pipeline)]


def content(store: Store) -> Any:
    """Everything but ids and the times that hang on the clock."""
    names = {row.id: row.email or row.name for row in store.contacts()}
    cards = [(row.name, names[row.contact_id], store.custom_by_key(row)) for row in store.opportunities()]
    return json.dumps([sorted(names.values()), cards, store.field("trip_name").options])


@pytest.mark.parametrize("size", ["small", "real"])
def test_a_seed_gives_the_same_account_each_time(size: str, request: pytest.FixtureRequest) -> None:
    assert content(filled(size)) == content(request.getfixturevalue(size))


def test_the_real_seed_takes_less_than_five_seconds() -> None:
    started = time.monotonic()
    filled("real")
    assert time.monotonic() - started < 5


def test_an_unknown_seed_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="no seed 'huge'; there are small, real"):
        fill(Store(), "huge")


@pytest.mark.parametrize("size", ["small", "real"])
def test_everybody_is_invented(size: str, request: pytest.FixtureRequest) -> None:
    store = request.getfixturevalue(size)
    contacts = store.contacts()
    for row in contacts:
        assert row.email is None or row.email.endswith("@example.com")
        if row.phone:
            assert row.phone[5:10] == "55501"
            assert phonenumbers.is_possible_number(phonenumbers.parse(row.phone))
    numbers = [value for fields in fields_of(store, "Passenger") for key, value in fields.items()
               if key.endswith(("phone", "mob_number")) and value.startswith("+")]  # fmt: skip
    assert {number[5:10] for number in numbers} == {"55501"}
    for key in ("email", "phone"):
        found = [getattr(row, key) for row in contacts if getattr(row, key)]
        assert len(found) == len(set(found))


def test_the_small_seed_is_small_and_has_its_problems(small: Store) -> None:
    trips, passengers = fields_of(small, "TripBooking"), fields_of(small, "Passenger")
    names = Counter(row.name for row in small.opportunities("TripBooking"))
    aboard = Counter(fields.get("trip_id") for fields in passengers)
    assert (len(trips), len(passengers), len(small.contacts())) == (12, 62, 52)
    people = Counter((row.first_name, row.last_name) for row in small.contacts())
    assert sum(count == 2 for count in people.values()) == 2
    assert len({fields["trip_vendor"] for fields in trips}) == 4
    assert [name for name, count in names.items() if count > 1] == ["Matanzas Coast Ride"]
    assert aboard[None] == 1
    assert [fields["max_passengers"] for fields in trips if isinstance(fields["max_passengers"], str)] == [
        "about twelve"
    ]
    countable = [fields for fields in trips if isinstance(fields["max_passengers"], int)]
    over = [fields["trip_name"] for fields in countable if aboard[fields["trip_id"]] > fields["max_passengers"]]
    assert over == ["Havana Jazz Week"]
    expiring = [fields for fields in passengers if fields.get("passport_expire", "9") < "2027-06-01"]
    assert [(fields["passport_expire"], fields["trip_name"]) for fields in expiring] == [
        ("2027-01-04", "Havana Jazz Week")
    ]
    assert sum("passport_number" not in fields for fields in passengers) == 1
    over = [row.name for row, fields in zip(small.opportunities("TripBooking"), trips, strict=True)
            if fields["end_date"] < TODAY.isoformat()
            and small.stage("TripBooking", row.stage_id).name != "TripComplete"]  # fmt: skip
    assert over == ["Cienfuegos Choir Visit"]


def test_the_small_seed_lies_around_today(small: Store) -> None:
    starts = [dt.date.fromisoformat(fields["start_date"]) for fields in fields_of(small, "TripBooking")]
    stages = {small.stage("TripBooking", row.stage_id).name for row in small.opportunities("TripBooking")}
    assert min(starts) < TODAY < max(starts)
    assert len(stages) == 5
    assert {small.stage("Passenger", row.stage_id).name for row in small.opportunities("Passenger")} == {
        "AddedToTrip", "DetailsSubmitted", "TripDetailsSent", "TripReady", "TripInProgress", "TripComplete",
    }  # fmt: skip


def test_the_real_seed_has_the_size_of_a_real_account(real: Store) -> None:
    trips, passengers = real.opportunities("TripBooking"), real.opportunities("Passenger")
    owners = Counter(row.contact_id for row in trips)
    assert (len(trips), len(passengers), len(real.contacts())) == (697, 6_477, 5_453)
    assert [count for _, count in owners.most_common(5)] == [188, 105, 47, 29, 26]
    assert (len(owners), len({row.contact_id for row in passengers})) == (163, 5_431)
    assert len(set(owners) & {row.contact_id for row in passengers}) == 156
    assert Counter(row.status for row in trips) == {"open": 693, "won": 3, "lost": 1}
    assert Counter(real.stage("TripBooking", row.stage_id).name for row in trips) == {
        "TripComplete": 690, "TripScheduled": 6, "FormSubmit": 1,
    }  # fmt: skip
    assert (sum(row.email is None for row in real.contacts()), sum(row.phone is None for row in real.contacts())) == (
        2,
        15,
    )


def test_the_real_seed_links_passengers_as_badly_as_life(real: Store) -> None:
    trips = real.opportunities("TripBooking")
    numbers = {real.custom_by_key(row).get("trip_id"): row.name for row in trips} | {None: None}
    by_name = Counter(row.name for row in trips)
    passengers = fields_of(real, "Passenger")
    named = [fields for fields in passengers if "trip_name" in fields]
    dangling = Counter(fields["trip_id"] for fields in passengers if fields.get("trip_id") not in numbers)
    assert len(passengers) - len(named) == 959
    assert sum(by_name[fields["trip_name"]] == 2 for fields in named) == 56
    assert (sum(dangling.values()), len(dangling), max(dangling.values())) == (447, 16, 265)
    assert sum("trip_id" not in fields for fields in passengers) == 1
    assert sum(numbers[fields["trip_id"]] != fields["trip_name"] for fields in named) == 113
    dashed = [name for name in by_name if "–" in name]
    unseen = [fields for fields in passengers if numbers.get(fields.get("trip_id")) in dashed]
    assert (len(dashed), len(unseen), sum("trip_name" in fields for fields in unseen)) == (19, 179, 0)
    options = real.field("trip_name").options
    assert (len(options), len(set(options))) == (689, 686)
    assert sum(row.name not in options for row in trips) == 27


def test_the_real_seed_holds_people_more_than_once(real: Store) -> None:
    groups: dict[Any, list[Opportunity]] = {}
    for row in real.opportunities("Passenger"):
        trip = real.custom_by_key(row).get("trip_id")
        if trip is not None:
            groups.setdefault((row.contact_id, trip), []).append(row)
    double = [rows for rows in groups.values() if len(rows) > 1]
    same = [rows for rows in double if len({row.name for row in rows}) == 1]
    assert (len(double), sum(map(len, double))) == (591, 1_457)
    assert (len(same), sum(len(rows) - 1 for rows in same)) == (314, 428)


def test_the_real_seed_holds_odd_values(real: Store) -> None:
    passengers, trips = fields_of(real, "Passenger"), fields_of(real, "TripBooking")
    texts = [value for fields in (*passengers, *trips) for value in fields.values() if isinstance(value, str)]
    sizes = Counter(20 <= len(fields) <= 29 for fields in passengers)
    assert sizes[True] / len(passengers) == pytest.approx(0.975, abs=0.003)
    assert sum(fields.get("passport_expire", "9") < "1970" for fields in passengers) == 23
    assert sum(fields["form_submitted_date"] < "1970" for fields in passengers) == 18
    assert sum(fields.get("passport_expire", "") >= "2040" for fields in passengers) == 14
    assert sum(isinstance(fields.get("passenger_number"), float) for fields in passengers) == 10
    assert sum("<p>" in text for text in texts) == 683
    assert max(map(len, texts)) == 11_553
    assert sum(len(text) > 500 for text in texts) > 300
    assert sum("\n" in text for text in texts) > 900
    assert sum(text.lower() in {"n/a", "none", "no", "-"} for text in texts) > 6_000
    assert sum("contact1_uphone" not in fields and "contact1_umob_number" not in fields for fields in passengers) == 527
    crowded = Counter(fields.get("trip_id") for fields in passengers)
    assert (
        sum(crowded[fields.get("trip_id")] > fields["max_passengers"] for fields in trips if "trip_id" in fields) == 196
    )
