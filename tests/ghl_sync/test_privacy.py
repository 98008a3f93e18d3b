"""A person who is erased, and data that retention takes away: what GoHighLevel keeps, and that nothing comes back."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from ghl_sync.engine import deleting, due
from ghl_sync.engine.base import Base
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Conflict, DeletedRecord, Drift, Issue, Link, Run, WebhookEvent, Write
from ghl_sync.sandbox.server import Sandbox
from tests import factories
from tests.everything import holders
from tests.ghl_sync.engine.mirror import custom, link_of
from trips.models import Contact, HealthRecord, Passenger, Passport
from trips.services import erasing, retention

pytestmark = pytest.mark.django_db(transaction=True)
WORDS = ("Zdenka", "Quillfeather", "zdenka.q@example.com", "ZQ7770123", "peanutbane", "Ottoline", "Nightjar")
PAST = {"trip__start_date": dt.date(2025, 3, 1), "trip__end_date": dt.date(2025, 3, 8)}


@pytest.fixture
def clerk(db: None) -> Any:
    return factories.StaffFactory(is_superuser=True)


def a_person(**values: Any) -> tuple[Contact, Passenger]:
    contact = factories.ContactFactory(
        first_name="Zdenka", last_name="Quillfeather", email="zdenka.q@example.com", address_line1="4 Nightjar Lane"
    )
    trip = factories.TripFactory(
        start_date=dt.date(2025, 3, 1), end_date=dt.date(2025, 3, 8), organiser=factories.ContactFactory()
    )
    one = factories.PassengerFactory(contact=contact, trip=trip, roommate_request="Ottoline", **values)
    factories.PassportFactory(passenger=one, number="ZQ7770123")
    factories.HealthRecordFactory(passenger=one, general_health="peanutbane")
    factories.EmergencyContactFactory(passenger=one, first_name="Ottoline", last_name="Quillfeather")
    return contact, one


def erase(contact: Contact, clerk: Any, *chosen: int) -> erasing.Plan:
    plan = erasing.decide(contact=contact, itself=True, chosen=chosen)
    erasing.erase(contact_id=contact.pk, itself=True, chosen=chosen, shown=plan.shown, by=clerk)
    return plan


def noted(link: Link) -> None:
    """What the sync may have written down of a record on its way."""
    Conflict.objects.create(link=link, field="address", our_value="Quillfeather", policy="ask", ours_by="x")
    Issue.objects.create(link=link, code=Issue.Code.KEPT, message="Kept", raw="Quillfeather", field="city")
    Issue.objects.create(code=Issue.Code.SAME_HERE, message="Belongs to Zdenka Quillfeather already")
    run = Run.objects.create(mode=Run.Mode.AUDIT, finished_at=timezone.now())
    Drift.objects.create(
        run=run, link=link, kind=link.kind, object_id=link.object_id, label=link.label, what="differs",
        our_value="Quillfeather",
    )  # fmt: skip
    WebhookEvent.objects.create(
        delivery_id="1", kind="ContactUpdate", record_id="other", body=json.dumps({"contactId": link.remote_id})
    )
    WebhookEvent.objects.create(delivery_id="2", kind="NoteCreate", body='{"text": "ZDENKA.Q@example.com wrote"}')
    WebhookEvent.objects.create(delivery_id="3", kind="NoteCreate", body='{"text": "nothing of hers"}')


def test_nothing_of_an_erased_person_is_left_and_no_pull_brings_it_back(
    session: Session, connected: Sandbox, clerk: Any
) -> None:
    contact, one = a_person()
    due.run_due(session)
    card, theirs = link_of(one), link_of(contact)
    noted(card)
    assert {line.rpartition(": ")[2] for line in holders(*WORDS)} == {*WORDS}

    plan = erase(contact, clerk, one.pk)
    left = holders(*WORDS)
    due.run_due(session)
    for _night in range(2):
        pull(Session(), full=True)
    Link.objects.update(remote_gone_at=timezone.now() - dt.timedelta(days=90))
    forgotten = deleting.purge()
    Link.objects.update(remote_digest="")
    pull(Session(), full=True)

    assert (left, holders(*WORDS)) == ([], [])
    assert [stay.what for stay in plan.stays][-1:] == [
        "The contact in GoHighLevel with its conversations, and 60 days of its audit log"
    ]
    assert plan.stays[-1].url == theirs.remote_url
    assert connected.opportunities("Passenger") == []
    assert "zdenka.q@example.com" in [person.email for person in connected.store.contacts()]
    assert (DeletedRecord.objects.count(), Passenger.objects.count(), forgotten) == (0, 0, 0)
    assert not Contact.objects.filter(last_name="Quillfeather").exists()
    assert list(WebhookEvent.objects.order_by("delivery_id").values_list("body", flat=True)) == [
        "", "", '{"text": "nothing of hers"}'
    ]  # fmt: skip
    assert [issue.message for issue in Issue.objects.filter(link=None, code="same_here")] == ["Erased person"]


def test_undo_of_the_delete_has_nothing_to_bring_back(
    session: Session, connected: Sandbox, clerk: Any, settings: Any
) -> None:
    settings.GHL_DELETE_HOLD_SECONDS = 60_000
    contact, one = a_person()
    due.run_due(session)

    erase(contact, clerk, one.pk)
    held = Link.objects.get(kind="passenger").held_until
    due.run_due(session)

    assert (held, connected.opportunities("Passenger")) == (None, [])


def test_card_that_was_changed_there_since_is_asked_about_and_shows_no_hash(
    session: Session, connected: Sandbox, clerk: Any
) -> None:
    contact, one = a_person()
    due.run_due(session)
    connected.store.edit(link_of(one).remote_id, fields={"user_roomate": "Somebody"})

    erase(contact, clerk, one.pk)
    due.run_due(session)

    issue = Issue.objects.get(code=Issue.Code.CHANGED)
    assert issue.message == (
        "Deleted here, but changed in GoHighLevel since: roommate request. Delete it there too, or restore it here."
    )
    assert (len(connected.opportunities("Passenger")), holders("Somebody")) == (1, [])
    deleting.delete_anyway(issue.link, clerk)
    due.run_due(session)
    assert connected.opportunities("Passenger") == []


@pytest.mark.parametrize("direction", ["both", "pull"])
def test_what_stays_reduced_is_emptied_there_as_far_as_its_direction_goes(
    session: Session, connected: Sandbox, clerk: Any, settings: Any, direction: str
) -> None:
    contact, one = a_person()
    factories.PaymentFactory(passenger=one, reference="REF-1")
    due.run_due(session)
    settings.GHL_MIRROR_SENSITIVE = direction

    plan = erase(contact, clerk, one.pk)
    fresh = Session()
    due.run_due(fresh)
    Link.objects.update(remote_digest="")
    pull(fresh, full=True)
    due.run_due(Session())

    there = custom(connected, one)
    card, theirs = link_of(one), link_of(contact)
    names = ("passport_number", "health_state", "user_roomate", "contact1_ufirst_name", "passenger_last_name")
    health = (None, None) if direction == "both" else ("ZQ7770123", "peanutbane")
    assert tuple(there.get(name) or None for name in names) == (*health, None, None, "person")
    assert holders(*WORDS) == []
    assert (Passport.objects.count(), HealthRecord.objects.count()) == (0, 0)
    assert (str(Passenger.objects.get()), str(Contact.objects.get(pk=contact.pk))) == ("Erased person",) * 2
    # The contact over there is left as it is, for a person to delete.
    assert (theirs.ignored_at is not None, theirs.base) == (True, {})
    assert "zdenka.q@example.com" in [person.email for person in connected.store.contacts()]
    assert card.state_now() == "synced"
    assert ("Passport and health stay on it, too" in plan.stays[-1].why) is (direction == "pull")


def test_call_under_way_is_waited_for(session: Session, clerk: Any) -> None:
    contact, one = a_person()
    due.run_due(session)
    link = link_of(one)
    open_call = Write.objects.create(link=link, action=Write.Action.UPDATE)
    waits = erasing.decide(contact=contact, itself=True, chosen=[one.pk]).waits
    open_call.delete()
    Link.objects.filter(pk=link.pk).update(leased_until=timezone.now() + dt.timedelta(seconds=60))
    leased = erasing.decide(contact=contact, itself=True, chosen=[one.pk]).waits

    assert waits == leased == ("GoHighLevel is being written about them this moment. Look again in a minute.",)


def test_sealed_agreement_still_tells_what_changed(session: Session, clerk: Any) -> None:
    _contact, one = a_person()
    due.run_due(session)
    link = link_of(one)
    before = Base.of(link)
    link.erased_at = timezone.now()
    link.base = before.sealed(Base.of(link).sensitive).dump()
    base = Base.of(link)

    assert "Quillfeather" not in json.dumps(link.base)
    assert (base.remote_is("legal_last_name", "Quillfeather"), base.remote_is("legal_last_name", "Other")) == (
        True,
        False,
    )
    assert base.remote["stage"] == before.remote["stage"]


# Retention


@pytest.mark.parametrize("direction", ["both", "pull"])
def test_what_retention_took_does_not_come_back(
    session: Session, connected: Sandbox, settings: Any, direction: str
) -> None:
    _contact, one = a_person()
    due.run_due(session)
    settings.GHL_MIRROR_SENSITIVE = direction
    settings.RETENTION_HEALTH_DAYS = settings.RETENTION_SCAN_DAYS = 30

    counts, _left = retention.run()
    fresh = Session()
    due.run_due(fresh)
    Link.objects.update(remote_digest="")
    pull(fresh, full=True)
    due.run_due(Session())

    there = custom(connected, one)
    left = (None, None, None) if direction == "both" else ("ZQ7770123", "2031-01-01", "peanutbane")
    assert counts == {"health records": 1, "passports": 1}
    assert (Passport.objects.count(), HealthRecord.objects.count()) == (0, 0)
    assert tuple(there.get(name) or None for name in ("passport_number", "passport_expire", "health_state")) == left
    assert link_of(one).state_now() == "synced"
    assert retention.run() == ({}, False)
