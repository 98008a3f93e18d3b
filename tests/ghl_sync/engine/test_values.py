"""Values that GoHighLevel refuses, changes or has no place for; clearing; sensitive directions; missing scopes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ghl_sync.engine import due, push, state
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Conflict, Issue, Link, Write
from ghl_sync.sandbox.server import Sandbox
from tests.factories import ContactFactory, HealthRecordFactory, PassengerFactory, PassportFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import HealthRecord, Passport

pytestmark = pytest.mark.django_db(transaction=True)


def open_issues() -> list[tuple[str, str]]:
    return list(Issue.objects.filter(closed_at=None).order_by("pk").values_list("code", "field"))


def test_a_refused_field_rests_and_the_others_go(session: Session, connected: Sandbox) -> None:
    contact = ContactFactory(city="Porto")
    due.run_due(session)
    contact.website, contact.city = "nonsense", "Lisbon"
    contact.save()
    connected.faults.add(
        "status", method="PUT", path="/contacts/.*", status=422, message="website must be a URL", times=1
    )

    due.run_due(session)

    theirs = connected.store.contact(link_of(contact).remote_id)
    assert theirs is not None
    assert (theirs.city, theirs.website) == ("Lisbon", None)
    assert open_issues() == [("refused", "website")]
    assert (link_of(contact).parked_fields, link_of(contact).state_now()) == (["website"], "needs_person")


def test_a_mended_field_goes_and_its_issue_ends(session: Session, connected: Sandbox) -> None:
    contact = ContactFactory()
    due.run_due(session)
    contact.website = "nonsense"
    contact.save()
    connected.faults.add("status", method="PUT", path="/contacts/.*", status=422, message="website must be a URL")
    due.run_due(session)

    contact.website = "https://example.com"
    contact.save()
    due.run_due(session)

    theirs = connected.store.contact(link_of(contact).remote_id)
    assert theirs is not None
    assert theirs.website == "https://example.com"
    assert (open_issues(), link_of(contact).parked_fields) == ([], [])
    assert link_of(contact).state_now() == "synced"


def test_a_kept_value_taken_over_here_ends_the_issue(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Text")
    due.run_due(session)
    connected.store.clearing = {"*": "ignored"}
    trip.description = ""
    trip.save()
    due.run_due(session)
    assert open_issues() == [("kept", "description")]

    trip.description = "Text"
    trip.save()
    due.run_due(session)

    assert open_issues() == []
    assert not Link.objects.due().exists()


def test_a_value_chosen_there_ends_the_issue_of_ours(session: Session, connected: Sandbox) -> None:
    trip = a_trip(travel_business="New desk")
    due.run_due(session)
    assert open_issues() == [("no_option", "travel_business")]
    connected.store.add_options("travel_business_used", ["New desk"])
    connected.edit(link_of(trip).remote_id, fields={"travel_business_used": "New desk"})

    pull(Session())

    assert open_issues() == []


def test_an_option_added_there_lets_the_value_go(session: Session, connected: Sandbox) -> None:
    trip = a_trip(travel_business="New desk")
    due.run_due(session)
    connected.store.add_options("travel_business_used", ["New desk"])

    Session().refresh_definitions()
    due.run_due(Session())

    assert custom(connected, trip)["travel_business_used"] == "New desk"
    assert open_issues() == []


def test_every_kind_of_value_can_be_cleared(session: Session, connected: Sandbox) -> None:
    passenger = PassengerFactory(
        trip=a_trip(), number=3, is_child=True, occupancy="single", roommate_request="Kim",
        details_submitted_on=dt.date(2027, 1, 1),
    )  # fmt: skip
    due.run_due(session)
    assert {"passenger_number", "is_child", "room_occupancy", "user_roomate"} <= set(custom(connected, passenger))
    passenger.number = passenger.is_child = passenger.details_submitted_on = None
    passenger.occupancy = passenger.roommate_request = ""
    passenger.save()

    due.run_due(session)

    left = set(custom(connected, passenger))
    assert not left & {"passenger_number", "is_child", "room_occupancy", "user_roomate", "form_submitted_date"}
    assert open_issues() == []


def test_a_contact_s_values_can_be_cleared(session: Session, connected: Sandbox) -> None:
    contact = ContactFactory(city="Porto", tags=["gold"], website="https://example.com")
    due.run_due(session)
    contact.city, contact.tags, contact.website, contact.phone, contact.email = "", [], "", "", ""
    contact.save()

    due.run_due(session)

    theirs = connected.store.contact(link_of(contact).remote_id)
    assert theirs is not None
    assert (theirs.city, theirs.tags, theirs.website, theirs.phone, theirs.email) == (None, (), None, None, None)
    assert open_issues() == []


# Sensitive data


def with_papers(connected: Sandbox) -> Any:
    passenger = PassengerFactory(trip=a_trip())
    PassportFactory(passenger=passenger, number="OLD")
    HealthRecordFactory(passenger=passenger, general_health="Good")
    due.run_due(Session())
    return passenger


@pytest.mark.parametrize(
    ("direction", "here", "there"),
    [("both", "FROM-THERE", "Fine"), ("pull", "FROM-THERE", "Good"), ("push", "OLD", "Fine"), ("off", "OLD", "Good")],
)
def test_sensitive_values_go_only_the_way_they_may(
    session: Session, connected: Sandbox, settings: Any, direction: str, here: str, there: str
) -> None:
    passenger = with_papers(connected)
    settings.GHL_MIRROR_SENSITIVE = direction
    connected.edit(link_of(passenger).remote_id, fields={"passport_number": "FROM-THERE"})
    health = HealthRecord.objects.get(passenger=passenger)
    health.general_health = "Fine"
    health.save()

    pull(Session())
    due.run_due(Session())
    pull(Session(), full=True)

    assert Passport.objects.get(passenger=passenger).number == here
    assert custom(connected, passenger)["health_state"] == there
    connected.requests.clear()
    due.run_due(Session())
    assert connected.writes() == []


def test_what_a_one_way_pull_replaces_is_on_record(session: Session, connected: Sandbox, settings: Any) -> None:
    passenger = with_papers(connected)
    settings.GHL_MIRROR_SENSITIVE = "pull"
    passport = Passport.objects.get(passenger=passenger)
    passport.number = "OURS"
    passport.save()
    due.run_due(Session())
    connected.edit(link_of(passenger).remote_id, fields={"passport_number": "THEIRS"})

    pull(Session())

    conflict = Conflict.objects.get()
    assert (conflict.field, conflict.outcome, conflict.our_value) == ("passport.number", "theirs", "OURS")
    assert Passport.objects.get().number == "THEIRS"


# Contacts


def test_a_parked_contact_is_not_asked_for_again_by_each_of_its_passengers(
    session: Session, connected: Sandbox
) -> None:
    first = ContactFactory(email="family@example.com")
    due.run_due(session)
    second = ContactFactory(email="family@example.com", phone="")
    for _traveller in range(3):
        PassengerFactory(contact=second, trip=a_trip(organiser=first))
    due.run_due(session)
    assert link_of(second).state_now() == "needs_person"
    connected.requests.clear()
    Link.objects.update(next_attempt_at=None)

    due.run_due(Session())

    assert [one for one in connected.requests if one.path.startswith("/contacts")] == []


def test_a_family_shares_its_phone_where_duplicates_are_allowed(session: Session, connected: Sandbox) -> None:
    connected.store.settings.allow_duplicate_contact = True
    session.refresh_definitions()
    ContactFactory(email="", phone="+12025550142")
    ContactFactory(email="", phone="+12025550142")

    due.run_due(Session())

    assert len(connected.store.contacts()) == 2
    assert set(Link.objects.with_state().values_list("state", flat=True)) == {"synced"}


def test_a_stub_is_no_question_once_its_record_was_read(session: Session, connected: Sandbox) -> None:
    theirs = connected.store.add_contact(first_name="Late", email="late@example.com")
    connected.store.add_opportunity(pipeline="TripBooking", name="Early", contact_id=theirs.id)
    pull(session, only=["trips"])
    assert open_issues() == [("stub", "")]

    due.run_due(Session())

    assert open_issues() == []


# Scopes and limits


def test_a_missing_scope_stops_only_what_needs_it(session: Session, connected: Sandbox) -> None:
    trip = a_trip(capacity=5)
    due.run_due(session)
    connected.scopes.discard("contacts.write")
    ContactFactory()
    trip.capacity = 6
    trip.save()

    report = due.run_due(session)

    assert (report.failed, report.updated) == (1, 1)
    assert custom(connected, trip)["max_passengers"] == 6


def test_a_used_up_limit_leaves_no_doubt(session: Session, connected: Sandbox) -> None:
    """The limiter refuses between the intent and the call: that call provably never left."""
    trip = a_trip()
    push.reconcile(session, link_of(trip.organiser).pk)
    session.location.refresh_from_db()
    type(session.location).objects.update(rate_max=50, held_until=database_now() + dt.timedelta(hours=1))

    push.reconcile(Session(), link_of(trip).pk)

    assert not Write.objects.filter(outcome=Write.Outcome.OPEN).exists()
    assert link_of(trip).failures == 0
    assert Change.objects.filter(kind="trip").exists()
    assert connected.opportunities() == []


def test_a_broken_record_does_not_stop_the_others(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ContactFactory(), ContactFactory()
    real = push._work

    def work(session: Session, link: Link, *args: Any) -> Any:
        if link.object_id == first.pk:
            raise ZeroDivisionError
        return real(session, link, *args)

    monkeypatch.setattr(push, "_work", work)
    report = due.run_due(session)

    assert (report.failed, report.created) == (1, 1)
    assert "ZeroDivisionError" in link_of(first).last_error
    assert link_of(second).state_now() == "synced"


def test_a_record_that_kills_its_worker_again_and_again_rests(session: Session) -> None:
    contact = ContactFactory()
    for _claim in range(5):
        assert state.claim(link_of(contact).pk, 20) is not None
        Link.objects.update(leased_until=database_now() - dt.timedelta(seconds=1))

    assert state.claim(link_of(contact).pk, 20) is None

    assert link_of(contact).state_now() == "needs_person"


# What has no way over there


def test_a_passenger_given_to_another_contact_says_what_to_do(session: Session, connected: Sandbox) -> None:
    passenger, other = PassengerFactory(trip=a_trip()), ContactFactory()
    due.run_due(session)
    passenger.contact = other
    passenger.save()

    due.run_due(Session())

    issue = Issue.objects.get(closed_at=None)
    assert (issue.link, issue.code, issue.field, issue.message) == (
        link_of(passenger),
        "kept",
        "contact",
        "In GoHighLevel the booking still belongs to another contact, which cannot be changed from here. Open the card "
        "in GoHighLevel and choose the same contact there; both sides then agree by themselves.",
    )
    connected.edit(link_of(passenger).remote_id, contact_id=link_of(other).remote_id)
    pull(Session(), full=True)
    passenger.refresh_from_db()
    assert (open_issues(), passenger.contact) == ([], other)


def test_an_organiser_changed_and_changed_back_is_no_question(session: Session, connected: Sandbox) -> None:
    trip, other = a_trip(), ContactFactory()
    first = trip.organiser
    due.run_due(session)
    trip.organiser = other
    trip.save()
    due.run_due(Session())
    assert open_issues() == [("kept", "organiser")]

    trip.organiser = first
    trip.save()
    due.run_due(Session())

    assert open_issues() == []


def test_a_trip_of_the_fallback_contact_is_no_question(session: Session, connected: Sandbox, settings: Any) -> None:
    settings.GHL_FALLBACK_CONTACT_EMAIL = "desk@example.com"
    trip = a_trip(organiser=None)
    due.run_due(Session())
    trip.capacity = 7
    trip.save()

    due.run_due(Session())

    assert open_issues() == []


def test_company_and_do_not_contact_of_a_contact_say_what_to_do(session: Session, connected: Sandbox) -> None:
    contact = ContactFactory(company_name="Old Ltd")
    due.run_due(session)
    contact.company_name, contact.do_not_contact, contact.city = "New Ltd", True, "Oslo"
    contact.save()

    due.run_due(Session())

    rows = Issue.objects.filter(closed_at=None).order_by("field").values_list("field", "message")
    assert dict(rows) == {
        "company_name": "GoHighLevel takes the company name only when the contact is made. Change it in GoHighLevel as "
        "well; both sides then agree by themselves.",
        "do_not_contact": "“do not contact” of a contact is only read from GoHighLevel. Change it in GoHighLevel as "
        "well; both sides then agree by themselves.",
    }
    theirs = connected.store.contact(link_of(contact).remote_id)
    assert theirs is not None
    assert theirs.city == "Oslo"
    connected.edit(theirs.id, company_name="New Ltd", dnd=True)
    pull(Session(), full=True)
    assert open_issues() == []
    due.run_due(Session())
    assert not Link.objects.due().exists()
