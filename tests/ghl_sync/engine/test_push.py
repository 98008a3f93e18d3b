"""Push end to end: a record here, the sandbox there, and the calls in between."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ghl_sync.engine import due, push, state
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Conflict, Issue, Link, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import (
    ContactFactory,
    EmergencyContactFactory,
    HealthRecordFactory,
    PassengerFactory,
    PassportFactory,
    VendorFactory,
)
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.models import Contact, Passenger

pytestmark = pytest.mark.django_db(transaction=True)


def states() -> dict[str, int]:
    found: dict[str, int] = {}
    for state_name in Link.objects.with_state().values_list("state", flat=True):
        found[state_name] = found.get(state_name, 0) + 1
    return found


def calls(sandbox: Sandbox) -> list[str]:
    return [f"{one.method} {one.path}" for one in sandbox.requests]


def pushed(session: Session) -> dict[str, Any]:
    """The counts of one push, without the time it took."""
    report = due.run_due(session).as_json()
    del report["seconds"], report["calls"]
    return report


def test_a_new_trip_stands_on_the_board_with_every_value(session: Session, connected: Sandbox) -> None:
    vendor = VendorFactory(name="Harbour Tours")
    trip = a_trip(
        name="Lisbon – Spring",
        organiser=ContactFactory(first_name="Ines", last_name="Prado", email="ines@example.com", phone="+12025550142"),
        vendor=vendor,
        start_date=dt.date(2027, 3, 1),
        end_date=dt.date(2027, 3, 9),
        capacity=20,
        price_per_person=Decimal("1499.50"),
        lodging="Hotel",
    )
    assert pushed(session) == {
        "ok": True, "created": 2, "updated": 0, "deleted": 0, "unchanged": 0, "waiting": 0, "failed": 0,
    }  # fmt: skip
    (card,) = connected.opportunities("TripBooking")
    (contact,) = connected.store.contacts()
    assert (card.name, card.status, card.contact_id) == ("Lisbon – Spring", "open", contact.id)
    assert connected.store.stage("TripBooking", card.stage_id).name == "FormSubmit"
    assert connected.store.custom_by_key(card) == {
        "tripbuilder_key": f"trip:{trip.uid}",
        "trip_name": "Lisbon – Spring",
        "start_date": "2027-03-01",
        "end_date": "2027-03-09",
        "max_passengers": 20,
        "passenger_count": 0,
        "trip_standard_level_pricing": 1499.5,
        "trip_vendor": "Harbour Tours",
        "lodging": "Hotel",
    }
    assert (contact.first_name, contact.last_name, contact.email) == ("Ines", "Prado", "ines@example.com")
    assert connected.store.custom_by_key(contact) == {"tripbuilder_key": f"contact:{trip.organiser.uid}"}
    assert link_of(trip).remote_id == card.id
    assert states() == {"synced": 2}
    assert not Change.objects.exists()
    assert not Write.objects.filter(outcome=Write.Outcome.OPEN).exists()


def test_nothing_is_sent_twice(session: Session, connected: Sandbox) -> None:
    PassengerFactory(trip=a_trip())
    pushed(session)
    connected.requests.clear()
    assert pushed(session)["unchanged"] == 0
    assert connected.writes() == []


def test_an_edit_is_one_put_with_the_changed_field_only(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old", capacity=20)
    pushed(session)
    connected.requests.clear()
    trip.description = "New"
    trip.save()
    assert pushed(session)["updated"] == 1
    (write,) = connected.writes()
    assert write.method == "PUT"
    assert write.body == {
        "customFields": [{"id": connected.store.field("trip_description").id, "field_value": "New"}],
    }
    assert connected.store.custom_by_key(connected.opportunities()[0])["trip_description"] == "New"


def test_ten_saves_are_one_write(session: Session, connected: Sandbox) -> None:
    trip = a_trip(capacity=20)
    pushed(session)
    connected.requests.clear()
    for seats in range(21, 31):
        trip.capacity = seats
        trip.save()
    pushed(session)
    assert len(connected.writes()) == 1


def test_a_save_without_a_mirrored_change_makes_no_call(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    pushed(session)
    connected.requests.clear()
    trip.deposit_amount = Decimal("250")
    trip.save()
    assert pushed(session)["unchanged"] == 1
    assert calls(connected) == []
    assert states() == {"synced": 2}


def test_a_passenger_goes_with_its_contact_trip_and_papers(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Fjords", legacy_trip_id=77)
    passenger = PassengerFactory(trip=trip, legal_first_name="Tove", legal_last_name="Lind", number=1)
    PassportFactory(passenger=passenger, number="X123", country="Canada", expires_on=dt.date(2031, 1, 1))
    HealthRecordFactory(passenger=passenger, general_health="Good")
    EmergencyContactFactory(passenger=passenger, first_name="Kim", phone="+12025550100")
    pushed(session)
    pushed(session)
    (card,) = connected.opportunities("Passenger")
    custom = connected.store.custom_by_key(card)
    assert card.name == "Tove Lind – Fjords"
    assert custom["tripbuilder_trip"] == f"trip:{trip.uid}"
    assert (custom["trip_id"], custom["trip_name"]) == (77, "Fjords")
    assert (custom["passport_number"], custom["passport_country"]) == ("X123", "Canada")
    assert (custom["health_state"], custom["contact1_ufirst_name"]) == ("Good", "Kim")
    assert custom["contact1_uphone"] == "+12025550100"


def test_sensitive_values_are_kept_as_hashes_only(session: Session, connected: Sandbox) -> None:
    passenger = PassengerFactory(trip=a_trip())
    PassportFactory(passenger=passenger, number="SECRET-NUMBER-9")
    pushed(session)
    stored = list(Link.objects.values_list("base", flat=True)) + list(Write.objects.values_list("values", flat=True))
    assert "SECRET-NUMBER-9" not in str(stored)


def test_sensitive_values_stay_here_until_confirmed(session: Session, connected: Sandbox, settings: Any) -> None:
    settings.GHL_MIRROR_SENSITIVE = "ask"
    passenger = PassengerFactory(trip=a_trip())
    PassportFactory(passenger=passenger, number="X999")
    pushed(Session())
    (card,) = connected.opportunities("Passenger")
    assert "passport_number" not in connected.store.custom_by_key(card)


def test_a_trips_count_follows_its_passengers(session: Session, connected: Sandbox) -> None:
    trip = a_trip(passengers=3)
    pushed(session)
    Change.objects.update(due_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    pushed(session)
    (card,) = connected.opportunities("TripBooking")
    assert connected.store.custom_by_key(card)["passenger_count"] == 3
    Passenger.objects.filter(trip=trip).last().delete()  # type: ignore[union-attr]
    pushed(session)
    Change.objects.update(due_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    pushed(session)
    assert connected.store.custom_by_key(connected.opportunities("TripBooking")[0])["passenger_count"] == 2


def test_a_rename_reaches_the_drop_down_and_every_passenger(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Old name", passengers=2)
    pushed(session)
    pushed(session)
    trip.name = "New name"
    trip.save()
    pushed(session)
    pushed(session)
    assert {connected.store.custom_by_key(card)["trip_name"] for card in connected.opportunities()} == {"New name"}
    assert "New name" in connected.store.field("trip_name").options
    assert "Old name" in connected.store.field("trip_name").options
    assert states() == {"synced": 6} or states() == {"synced": 5, "waiting": 1}


def test_a_deleted_trip_disappears_there(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    pushed(session)
    trip.delete()
    assert pushed(session)["deleted"] == 1
    assert connected.opportunities() == []
    assert len(connected.store.contacts()) == 1
    link = Link.objects.get(kind="trip")
    assert link.remote_gone_at is not None


def test_deleting_what_is_gone_already_is_done(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    pushed(session)
    connected.store.delete(link_of(trip).remote_id)
    trip.delete()
    assert pushed(session)["failed"] == 0
    assert Link.objects.get(kind="trip").remote_gone_at is not None


@pytest.mark.parametrize("kind", ["lost", "half", "late", "empty", "ok_html"])
def test_a_create_whose_answer_is_lost_makes_one_record(session: Session, connected: Sandbox, kind: str) -> None:
    a_trip()
    connected.faults.add(kind, method="POST", path="/opportunities/", seconds=0.2)
    pushed(session)
    _rest(session)
    assert len(connected.opportunities("TripBooking")) == 1
    assert states() == {"synced": 2}


def test_a_create_that_never_arrived_is_repeated_after_two_looks(session: Session, connected: Sandbox) -> None:
    a_trip()
    connected.faults.add("cut", method="POST", path="/opportunities/")
    pushed(session)
    assert connected.opportunities() == []
    _rest(session)
    assert len(connected.opportunities()) == 1
    assert states() == {"synced": 2}


@pytest.mark.parametrize("kind", ["lost", "cut", "late"])
def test_a_contact_whose_answer_is_lost_is_made_once(session: Session, connected: Sandbox, kind: str) -> None:
    a_trip()
    connected.faults.add(kind, method="POST", path="/contacts/", seconds=0.2)
    pushed(session)
    _rest(session)
    assert len(connected.store.contacts()) == 1
    assert len(connected.opportunities()) == 1


@pytest.mark.parametrize("kind", ["lost", "cut", "late", "status", "html", "timeout_401"])
def test_an_update_whose_answer_is_lost_is_settled(session: Session, connected: Sandbox, kind: str) -> None:
    trip = a_trip(description="Old")
    pushed(session)
    connected.faults.add(kind, method="PUT", path="/opportunities/.*", seconds=0.1)
    trip.description = "New"
    trip.save()
    pushed(session)
    _rest(session)
    assert connected.store.custom_by_key(connected.opportunities()[0])["trip_description"] == "New"
    assert states() == {"synced": 2}
    assert not Conflict.objects.exists()


def _rest(session: Session, tries: int = 40) -> None:
    """Push until nothing is due, not waiting for the times at which things may be tried again."""
    for _try in range(tries):
        if not Link.objects.due().exists():
            return
        time.sleep(0.1)
        due.run_due(session)
    raise AssertionError(f"not at rest: {list(Link.objects.due().values('label', 'waits_for', 'last_error'))}")


def test_the_newest_value_wins_over_a_late_one(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="A")
    pushed(session)
    connected.faults.add("late", method="PUT", path="/opportunities/.*", seconds=0.3)
    trip.description = "B"
    trip.save()
    pushed(session)
    trip.description = "C"
    trip.save()
    _rest(session)
    time.sleep(0.4)
    state.ask_for(link_of(trip))
    _rest(session)
    assert connected.store.custom_by_key(connected.opportunities()[0])["trip_description"] == "C"
    trip.refresh_from_db()
    assert trip.description == "C"


def test_clearing_a_value_clears_it_there(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Text", capacity=9, start_date=dt.date(2027, 1, 1), end_date=dt.date(2027, 1, 2))
    pushed(session)
    trip.description, trip.capacity, trip.start_date, trip.end_date = "", None, None, None
    trip.save()
    pushed(session)
    custom = connected.store.custom_by_key(connected.opportunities()[0])
    assert not {"trip_description", "max_passengers", "start_date", "end_date"} & set(custom)
    assert not Issue.objects.filter(closed_at=None).exists()


@pytest.mark.parametrize("mode", ["ignored", "refused"])
def test_clearing_that_does_not_work_is_an_issue_and_no_loop(session: Session, connected: Sandbox, mode: str) -> None:
    trip = a_trip(description="Text")
    pushed(session)
    connected.store.clearing = {"*": mode}
    trip.description = ""
    trip.save()
    pushed(session)
    _rest(session)
    connected.requests.clear()
    pushed(session)
    assert connected.writes() == []
    if mode == "ignored":
        assert [issue.code for issue in Issue.objects.filter(closed_at=None)] == ["kept"]
    else:
        assert states()["needs_person"] == 1


def test_an_unknown_option_stays_here_with_an_issue(session: Session, connected: Sandbox) -> None:
    trip = a_trip(travel_business="Unknown desk")
    pushed(session)
    (card,) = connected.opportunities()
    assert "travel_business_used" not in connected.store.custom_by_key(card)
    assert [(issue.code, issue.field) for issue in Issue.objects.all()] == [("no_option", "travel_business")]
    assert states() == {"synced": 2}
    assert link_of(trip).parked_at is None


def test_an_edit_in_ghl_and_one_here_of_other_fields_both_stay(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Ours", capacity=10)
    pushed(session)
    (card,) = connected.opportunities()
    connected.edit(card.id, fields={"max_passengers": 33})
    trip.description = "Ours, edited"
    trip.save()
    state.mark_dirty([link_of(trip).pk])
    pushed(session)
    trip.refresh_from_db()
    assert (trip.description, trip.capacity) == ("Ours, edited", 33)
    custom = connected.store.custom_by_key(connected.opportunities()[0])
    assert (custom["trip_description"], custom["max_passengers"]) == ("Ours, edited", 33)
    assert not Conflict.objects.exists()


def test_the_same_field_changed_on_both_sides_is_a_conflict(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Base")
    pushed(session)
    connected.edit(connected.opportunities()[0].id, fields={"trip_description": "Theirs"})
    trip.description = "Ours"
    trip.save()
    state.mark_dirty([link_of(trip).pk])
    pushed(session)
    (conflict,) = Conflict.objects.all()
    assert (conflict.field, conflict.base_value, conflict.our_value, conflict.their_value) == (
        "description", "Base", "Ours", "Theirs",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ours_last", "kept", "offset"),
    [(True, "Ours", 0), (False, "Theirs", 0), (True, "Ours", 300), (False, "Theirs", -300)],
)
def test_the_younger_edit_wins_whatever_the_clocks_say(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch, ours_last: bool, kept: str, offset: int
) -> None:
    trip = a_trip(description="Base")
    pushed(session)
    card = connected.opportunities()[0]
    monkeypatch.setattr("ghl_sync.sandbox.store.now_ms", lambda: (time.time_ns() // 1_000_000) + offset * 1000)
    connected.clock_offset = offset
    Link.objects.update(remote_updated_at=None)
    pause = 0.05 if offset == 0 else 2.5  # a clock that is off is only known to a second or two

    def ours() -> None:
        trip.description = "Ours"
        trip.save()

    def theirs() -> None:
        connected.store.put(replace(card, custom=dict(card.custom), updated=0))
        connected.edit(card.id, fields={"trip_description": "Theirs"})

    for number, edit in enumerate((theirs, ours) if ours_last else (ours, theirs)):
        time.sleep(pause * number)
        edit()
    state.mark_dirty([link_of(trip).pk])
    pushed(session)
    trip.refresh_from_db()
    (conflict,) = Conflict.objects.all()
    assert (trip.description, conflict.outcome) == (kept, kept.lower())
    assert (conflict.our_value, conflict.their_value) == ("Ours", "Theirs")
    assert connected.store.custom_by_key(connected.opportunities()[0])["trip_description"] == kept


def test_contacts_that_exist_there_are_adopted(session: Session, connected: Sandbox) -> None:
    known = connected.store.add_contact(email="ines@example.com", first_name="Ines", city="Porto")
    a_trip(organiser=ContactFactory(email="ines@example.com", first_name="Inês", last_name="Prado", phone=""))
    pushed(session)
    assert [contact.id for contact in connected.store.contacts()] == [known.id]
    assert Contact.objects.get(email="ines@example.com").city == "Porto"


def test_no_duplicate_opportunities_allowed_is_a_person_s_matter(session: Session, connected: Sandbox) -> None:
    connected.store.settings.allow_duplicate_opportunity = False
    organiser = ContactFactory()
    a_trip(organiser=organiser)
    pushed(session)
    second = a_trip(organiser=organiser)
    assert pushed(session)["failed"] == 1
    assert "Allow Duplicate Opportunities" in link_of(second).last_error
    assert len(connected.opportunities()) == 1


def test_a_trip_without_organiser_says_what_to_do(session: Session, connected: Sandbox) -> None:
    trip = a_trip(organiser=None)
    assert pushed(session)["failed"] == 1
    assert link_of(trip).last_error == (
        "The trip has no lead organiser, and GoHighLevel takes no trip without one: choose one and save. "
        "(Administrators: GHL_FALLBACK_CONTACT_EMAIL can name one for all such trips.)"
    )
    trip.organiser = ContactFactory()
    trip.save()
    assert pushed(session)["created"] == 2


def test_the_fallback_contact_owns_trips_without_organiser(session: Session, connected: Sandbox, settings: Any) -> None:
    settings.GHL_FALLBACK_CONTACT_EMAIL = "office@example.com"
    trip = a_trip(organiser=None)
    pushed(Session())
    assert [contact.email for contact in connected.store.contacts()] == ["office@example.com"]
    assert len(connected.opportunities()) == 1
    trip.refresh_from_db()
    assert trip.organiser is None


def test_a_429_pauses_and_burns_no_attempt(session: Session, connected: Sandbox) -> None:
    a_trip()
    connected.faults.add("status", status=429, method="POST", path="/contacts/")
    pushed(session)
    assert set(Link.objects.values_list("failures", flat=True)) == {0}


def test_unicode_newlines_and_html_survive_the_round_trip(session: Session, connected: Sandbox) -> None:
    text = "Ünïcode – “quotes” 🚢\nמסע\n<b>bold</b>  double"
    trip = a_trip(description=text)
    pushed(session)
    assert connected.store.custom_by_key(connected.opportunities()[0])["trip_description"] == text
    state.ask_for(link_of(trip))
    pushed(session)
    trip.refresh_from_db()
    assert trip.description == text


def test_a_deleted_contact_stays_in_ghl(session: Session, connected: Sandbox) -> None:
    contact = ContactFactory()
    pushed(session)
    contact.delete()
    pushed(session)
    assert len(connected.store.contacts()) == 1


def test_trips_share_one_option_write(session: Session, connected: Sandbox) -> None:
    for _number in range(5):
        a_trip()
    pushed(session)
    puts = [one for one in connected.writes() if "customFields" in one.path]
    assert len(puts) == 1
    assert len(puts[0].body["options"]) == 5


def test_a_finished_tombstone_is_not_deleted_again(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    pushed(session)
    trip.delete()
    pushed(session)
    connected.requests.clear()
    push.reconcile(session, Link.objects.get(kind="trip").pk)
    assert calls(connected) == []


def test_the_name_of_a_trip_that_is_gone_is_not_added(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Short-lived")
    push.reconcile(session, link_of(trip.organiser).pk)
    push.reconcile(session, link_of(trip).pk)
    trip.delete()
    pushed(session)
    assert "Short-lived" not in connected.store.field("trip_name").options


def test_a_missing_stage_is_named_as_ghl_names_it(session: Session, connected: Sandbox) -> None:
    connected.store.remove_stage("TripBooking", "FormSubmit")
    session.refresh_definitions()
    trip = a_trip()
    assert pushed(session)["failed"] == 1
    assert "no stage 'FormSubmit'" in link_of(trip).last_error


def test_without_a_key_field_a_lost_create_is_a_person_s_matter(session: Session, connected: Sandbox) -> None:
    connected.store.remove_field("tripbuilder_key")
    session.refresh_definitions()
    trip = a_trip()
    connected.faults.add("lost", method="POST", path="/opportunities/")
    pushed(session)
    _rest(session)
    assert len(connected.opportunities("TripBooking")) == 1
    assert "no field for TripBuilder's key" in link_of(trip).last_error


def test_without_a_key_field_a_create_that_never_arrived_is_repeated(session: Session, connected: Sandbox) -> None:
    connected.store.remove_field("tripbuilder_key")
    session.refresh_definitions()
    a_trip()
    connected.faults.add("cut", method="POST", path="/opportunities/")
    pushed(session)
    _rest(session)
    assert len(connected.opportunities("TripBooking")) == 1
