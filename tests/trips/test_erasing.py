"""Erasing a person: what goes, what stays and why, what holds it up, and that nothing of them is left anywhere."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.urls import reverse

from tests import factories
from tests.everything import holders
from tests.trips.papers.conftest import private_folder  # noqa: F401 - the fixture
from trips.enums import BatchKind, DocumentKind, DocumentState
from trips.models import (
    Contact,
    Document,
    Erasure,
    Flight,
    ImportDraft,
    Note,
    Passenger,
    Payment,
    ReadEntry,
    Reminder,
    Room,
    RoomPlace,
    SentReport,
    TravellerForm,
)
from trips.services import erasing, reading
from trips.services.batches import recorded
from trips.services.elsewhere import Stay

pytestmark = pytest.mark.django_db
TODAY = dt.datetime(2028, 6, 1, 12, tzinfo=dt.UTC)
WORDS = (
    "Zdenka", "Quillfeather", "zdenka.q@example.com", "0142777", "Nightjar Lane", "ZQ7770123", "peanutbane",
    "Ottoline", "window seat zq", "QF-ZQ-1", "scan-of-zq",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _today(private_folder):  # noqa: F811 - the fixture
    with time_machine.travel(TODAY, tick=False):
        yield


@pytest.fixture
def clerk():
    return factories.StaffFactory(is_superuser=True)


def a_person(clerk, **values):
    """Somebody of whom every table holds something, on a trip that is over."""
    contact = factories.ContactFactory(
        first_name="Zdenka", last_name="Quillfeather", email="zdenka.q@example.com", phone="+12020142777",
        address_line1="4 Nightjar Lane", notes="Zdenka prefers mails", tags=["vip"],
    )  # fmt: skip
    one = factories.PassengerFactory(
        contact=contact, guardian=factories.ContactFactory(), preferred_name="Zdenka", roommate_request="Ottoline",
        **values,
    )  # fmt: skip
    factories.PassportFactory(passenger=one, number="ZQ7770123")
    factories.HealthRecordFactory(passenger=one, allergies="peanutbane")
    factories.EmergencyContactFactory(passenger=one, first_name="Ottoline", last_name="Quillfeather")
    Note.objects.create(passenger=one, text="Zdenka wants a window seat zq", by=clerk)
    Flight.objects.create(
        trip=one.trip, passenger=one, number="QF1", booking_code="QF-ZQ-1",
        leaves_on=dt.date(2027, 3, 1), arrives_on=dt.date(2027, 3, 1),
    )  # fmt: skip
    RoomPlace.objects.create(room=Room.objects.create(trip=one.trip, number=1, beds=2), passenger=one)
    TravellerForm.objects.create(
        passenger=one, expires_at=TODAY, secret_hash="0" * 64, answers=json.dumps({"health": "peanutbane"}),
        signed_name="Zdenka Quillfeather", state="accepted",
    )  # fmt: skip
    Reminder.objects.create(
        passenger=one, kind="gaps", recipient=contact.email, subject="Dear Zdenka", body="Dear Zdenka", by=clerk
    )
    document = Document(passenger=one, kind=DocumentKind.PASSPORT_SCAN, original_name="scan-of-zq.pdf")
    document.file.save("scan-of-zq.pdf", ContentFile(b"%PDF zq"))
    with recorded(kind=BatchKind.CHANGE, title="Form of Zdenka Quillfeather accepted", by=clerk) as batch:
        batch.change(one, birth_country="Quillfeather")
        batch.change(one.health, diet="peanutbane")
    for row in (one, contact):
        LogEntry.objects.create(
            user=clerk, content_type=ContentType.objects.get_for_model(row), object_id=str(row.pk),
            object_repr="Zdenka Quillfeather", action_flag=2, change_message="Quillfeather",
        )  # fmt: skip
    ImportDraft.objects.create(
        user=clerk, model="trips.passenger", title="people.csv", content='["zdenka.q@example.com"]'
    )
    rows = [{"key": f"passenger:{one.pk}", "name": "Zdenka Quillfeather", "cells": ["ZQ7770123"]},
            {"key": "passenger:0", "name": "Other", "cells": ["shares with Zdenka Quillfeather"]}]  # fmt: skip
    SentReport.objects.create(
        report="manifest", preset="airline", title="Manifest", trip=one.trip, format="csv", sha256="0" * 64,
        row_count=2, rows=json.dumps({"columns": [{"code": "x", "label": "X"}], "rows": rows}),
    )  # fmt: skip
    return contact, one


def erase(contact, clerk, *, itself=True, chosen=None):
    ids = erasing.own_bookings(contact, erasing.bookings_of(contact)) if chosen is None else chosen
    plan = erasing.decide(contact=contact, itself=itself, chosen=ids)
    done = erasing.erase(contact_id=contact.pk, itself=itself, chosen=ids, shown=plan.shown, by=clerk)
    return plan, done


def test_nothing_of_somebody_with_no_records_to_keep_is_left_anywhere(
    clerk,
    private_folder,  # noqa: F811 - the fixture
    django_capture_on_commit_callbacks,
):
    contact, one = a_person(clerk)
    guardian, number, pk = one.guardian, contact.pk, one.pk
    assert {line.rpartition(": ")[2] for line in holders(*WORDS)} == {*WORDS}

    with django_capture_on_commit_callbacks(execute=True):
        plan, done = erase(contact, clerk)

    assert holders(*WORDS) == []
    assert (list(Contact.objects.all()), Passenger.objects.count()) == ([guardian], 0)
    assert [path for path in private_folder.rglob("*") if path.is_file()] == []
    histories = plan.goes["entries of histories"]
    assert plan.goes == {
        "contacts": 1, "passengers": 1, "passports": 1, "health records": 1, "emergency contacts": 1, "documents": 1,
        "notes": 1, "reminders": 1, "places in rooms": 1, "traveller forms": 1, "flights": 1,
        "entries of histories": histories, "rows of bulk work": 2, "lines of the admin’s log": 2,
    }  # fmt: skip
    assert [stay.what for stay in plan.stays] == [
        "Who opened their data and when, with their numbers",
        "What others wrote about them in free text",
    ]
    record = Erasure.objects.get()
    assert record == done
    assert (record.kind, record.by, record.contact_id, record.passengers, record.counts) == (
        "person", clerk, number, [pk], {**plan.goes, "lists as sent, without their rows": 1}
    )  # fmt: skip


def test_payments_stay_without_a_name(clerk):
    contact, one = a_person(clerk)
    payment = factories.PaymentFactory(passenger=one, reference="REF-1")

    plan, _done = erase(contact, clerk)

    assert holders(*WORDS) == []
    one = Passenger.objects.get()
    kept = {column.attname: getattr(one, column.attname) for column in one._meta.concrete_fields}
    for name in ("id", "uid", "created_at", "updated_at"):
        del kept[name]
    assert {name: value for name, value in kept.items() if value not in (None, "", 0)} == {
        "contact_id": contact.pk, "trip_id": one.trip_id, "legal_first_name": "Erased", "legal_last_name": "person",
        "search_key": "erased person", "name_key": "erased person", "attendance": "booked", "stage": "added_to_trip",
        "status": "open", "ledger_sum": payment.amount, "ledger_currency": "USD",
    }  # fmt: skip
    assert str(Contact.objects.get(pk=contact.pk)) == "Erased person"
    assert list(Payment.objects.values_list("passenger", "reference")) == [(one.pk, "REF-1")]
    assert [(row.history_change_reason, str(row.instance)) for row in Passenger.history.filter(id=one.pk)] == [
        ("Erased", "Erased person")
    ]
    assert (
        Stay(f"1 payment of passenger no. {one.pk}, without the name", "The books", "as long as they do") in plan.stays
    )
    assert Stay(f"Contact no. {contact.pk} as “Erased person”", "What stays, or somebody else, names it.") in plan.stays


def test_record_of_a_licence_keeps_name_affidavit_and_payments_for_ten_years(clerk):
    contact, one = a_person(clerk, licence="Support for the Cuban People")
    signed = factories.DocumentFactory(passenger=one, kind=DocumentKind.AFFIDAVIT, state=DocumentState.APPROVED)
    factories.DocumentFactory(passenger=one, kind=DocumentKind.AFFIDAVIT, state=DocumentState.REJECTED)

    plan, _done = erase(contact, clerk)

    assert {line.rpartition(": ")[0] for line in holders(*WORDS)} == {
        f"trips.{table}.{column}"
        for table in ("passenger", "historicalpassenger")
        for column in (
            "legal_first_name",
            "legal_last_name",
            *(("search_key", "name_key") if table == "passenger" else ()),
        )
    }
    one.refresh_from_db()
    assert (one.legal_name, one.licence, one.date_of_birth) == (
        "Zdenka Quillfeather", "Support for the Cuban People", None
    )  # fmt: skip
    assert list(Document.objects.all()) == [signed]
    assert plan.stays[0] == Stay(
        f"Name, trip, licence and signed affidavit of passenger no. {one.pk}, and the trip’s schedule",
        "Records of travel under a licence (31 CFR 501.601)",
        "8 Mar 2037",
    )
    with time_machine.travel(dt.datetime(2037, 3, 9, 12, tzinfo=dt.UTC)):
        erase(Contact.objects.get(pk=contact.pk), clerk, chosen=[one.pk])
    assert holders(*WORDS) == []


def test_others_that_a_contact_booked_for_stay_as_they_are(clerk):
    contact, _one = a_person(clerk)
    child = factories.PassengerFactory(contact=contact, legal_first_name="Milo", legal_last_name="Quillfeather")
    ward = factories.PassengerFactory(guardian=contact)

    erase(contact, clerk)

    child.refresh_from_db()
    ward.refresh_from_db()
    assert (child.legal_name, child.date_of_birth, str(child.contact)) == (
        "Milo Quillfeather", dt.date(1980, 5, 17), "Erased person"
    )  # fmt: skip
    assert ward.guardian is None
    assert Passenger.objects.count() == 2


def test_one_of_many_that_an_agent_booked_is_erased_alone(clerk):
    contact, one = a_person(clerk)
    agent = factories.ContactFactory(first_name="Ada", last_name="Ortiz")
    Passenger.objects.filter(pk=one.pk).update(contact=agent)

    assert erasing.own_bookings(agent, erasing.bookings_of(agent)) == set()
    erase(agent, clerk, itself=False, chosen=[one.pk])

    assert set(Contact.objects.values_list("last_name", flat=True)) >= {"Ortiz", "Quillfeather"}
    assert not Passenger.objects.exists()
    assert str(Contact.objects.get(pk=contact.pk)) == "Zdenka Quillfeather"


def test_duplicates_and_bookings_that_were_deleted_before_go_along(clerk):
    contact, one = a_person(clerk)
    factories.ContactFactory(first_name="Zdenka", last_name="Quillfeather", merged_into=contact)
    one.delete()
    assert holders("Quillfeather") != []

    erase(contact, clerk)

    assert holders(*WORDS) == []


@pytest.mark.parametrize("ends", [dt.date(2028, 6, 1), None])
def test_who_is_booked_or_leads_a_trip_that_is_not_over_waits(clerk, ends):
    contact, one = a_person(clerk)
    trip = one.trip
    trip.start_date, trip.end_date, trip.organiser, trip.name = None, ends, contact, "Baracoa"
    trip.save()
    plan = erasing.decide(contact=contact, itself=True, chosen=[one.pk])

    assert plan.waits == (
        "Zdenka Quillfeather is booked on “Baracoa”, which is not over. Cancel the booking first.",
        "They lead “Baracoa”, which is not over. Choose another lead organiser first.",
    )
    with pytest.raises(erasing.Refused, match="Cancel the booking first"):
        erasing.erase(contact_id=contact.pk, itself=True, chosen=[one.pk], shown=plan.shown, by=clerk)
    assert Passenger.objects.filter(pk=one.pk).exists()


def test_what_changed_since_the_look_is_looked_at_again(clerk):
    contact, one = a_person(clerk)
    plan = erasing.decide(contact=contact, itself=True, chosen=[one.pk])
    factories.PaymentFactory(passenger=one)

    with pytest.raises(erasing.Refused, match="look again"):
        erasing.erase(contact_id=contact.pk, itself=True, chosen=[one.pk], shown=plan.shown, by=clerk)
    assert (Erasure.objects.count(), Passenger.objects.count()) == (0, 1)


# The page


def page_of(contact):
    return reverse("admin:trips_contact_erase", args=[contact.pk])


def test_page_shows_what_happens_and_takes_the_typed_name(admin_client, admin_user, clerk):
    contact, one = a_person(clerk)
    shown = admin_client.get(page_of(contact))
    typed = {"chosen": 1, "contact": 1, "booking": one.pk, "shown": shown.context["plan"].shown, "erase": 1}

    wrong = admin_client.post(page_of(contact), {**typed, "typed": "Zdenka"})
    left = Passenger.objects.count()
    right = admin_client.post(page_of(contact), {**typed, "typed": " zdenka  quillfeather"}, follow=True)

    html = shown.content.decode()
    assert [text in html for text in ("Passports: 1", "This cannot be undone.", "The read log only grows.")] == [
        True
    ] * 3
    assert (wrong.context["problem"], left) == ("That is not the name. Type it as it stands above.", 1)
    assert (Passenger.objects.count(), right.status_code) == (0, 200)
    assert (Erasure.objects.get().by, holders(*WORDS)) == (admin_user, [])


@pytest.mark.parametrize("missing", ["trips.erase_person", "trips.view_contact", "trips.view_passenger"])
def test_it_takes_a_permission_of_its_own_and_sight_of_all(client, clerk, missing):
    contact, _one = a_person(clerk)
    names = {"trips.erase_person", "trips.view_contact", "trips.view_passenger"}
    client.force_login(factories.StaffFactory(permissions=[*names - {missing}]))
    led = factories.StaffFactory(permissions=[*names], permissions__own_trips=True)

    answers = [client.get(page_of(contact)), client.post(page_of(contact), {"erase": 1})]
    client.force_login(led)
    answers.append(client.get(page_of(contact)))
    client.force_login(factories.StaffFactory(permissions=[*names]))
    answers.append(client.get(page_of(contact)))

    assert [answer.status_code for answer in answers] == [403, 403, 403, 200]


def test_read_log_keeps_its_numbers(clerk, rf):
    contact, one = a_person(clerk)
    request = rf.get("/")
    request.user = clerk
    number = one.pk
    reading.note(request, "record", shows=["trips.passport"], people=[number], reason="asked")

    erase(contact, clerk)

    assert list(ReadEntry.objects.values_list("persons__passenger_id", flat=True)) == [number]


def test_list_of_erasures_names_nobody(admin_client, clerk):
    contact, _one = a_person(clerk)
    erase(contact, clerk)

    html = admin_client.get(reverse("admin:trips_erasure_changelist")).content.decode()

    assert ("Quillfeather" in html, "passports: 1" in html) == (False, True)
