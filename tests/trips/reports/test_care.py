from __future__ import annotations

import csv
import datetime as dt
import io
import logging

import pypdfium2
import pytest
import time_machine
from django.urls import reverse

from tests import factories
from tests.pages import Read, read_log
from tests.trips.reports.conftest import traveller
from trips.enums import Occupancy
from trips.models import Room
from trips.services import rooming

pytestmark = pytest.mark.django_db
HEALTH = ("trips.view_healthrecord",)
EMERGENCY = ("trips.view_emergencycontact", "trips.view_contact")


def page(client, trip, code, preset="standard"):
    return client.get(reverse("trips:trip_report", args=[trip.pk, code, preset]))


def taken(client, trip, code, wanted, preset="standard"):
    return client.post(reverse("trips:trip_report_file", args=[trip.pk, code, preset]), {"format": wanted})


def csv_rows(answer):
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def totals(answer):
    return [(total.full_label, total.value) for total in answer.context["table"].totals]


@pytest.fixture
def four(baracoa):
    """One who wrote, one with the same diet otherwise spelt, one who declared nothing, one who was never asked."""
    factories.HealthRecordFactory(
        passenger=traveller(baracoa, "Ada", "Almqvist"), general_health="", diet="Vegetarian", allergies="Peanuts"
    )
    factories.HealthRecordFactory(
        passenger=traveller(baracoa, "Bruno", "Baptiste"), general_health="Good", diet=" vegetarian"
    )
    factories.HealthRecordFactory(
        passenger=traveller(baracoa, "Carla", "Cortez"), general_health="", nothing_to_declare=True
    )
    traveller(baracoa, "Dmitri", "Dvořák")
    return baracoa


def test_dietary_sheet_tells_none_from_not_answered(clerk, four):
    rows = csv_rows(taken(clerk(*HEALTH), four, "dietary", "csv"))

    assert rows == [
        ["Last name", "First names", "Age", "Diet", "Allergies"],
        ["Almqvist", "Ada", "46", "Vegetarian", "Peanuts"],
        ["Baptiste", "Bruno", "46", " vegetarian", "Not answered"],
        ["Cortez", "Carla", "46", "None", "None"],
        ["Dvořák", "Dmitri", "46", "Not answered", "Not answered"],
    ]


def test_kitchen_totals_count_plates_whatever_the_spelling(clerk, four):
    assert totals(page(clerk(*HEALTH), four, "dietary")) == [
        ("Travellers", "4"),
        ("Diet: Vegetarian", "2"),
        ("Diet: None", "1"),
        ("Diet: Not answered", "1"),
        ("Allergy: Peanuts", "1"),
        ("Allergy: None", "1"),
        ("Allergy: Not answered", "2"),
    ]


def test_medical_sheet_counts_who_told_who_has_nothing_and_who_was_not_asked(clerk, four):
    assert totals(page(clerk(*HEALTH), four, "medical")) == [
        ("Travellers", "4"),
        ("Told something", "2"),
        ("Nothing to declare", "1"),
        ("Not answered", "1"),
    ]


def test_emergency_sheet_dials_and_names_whom_nobody_can_call(clerk, baracoa):
    factories.EmergencyContactFactory(
        passenger=traveller(baracoa, "Ada", "Almqvist"), last_name="Lindqvist", phone="+1 (202) 555-0101", mobile=""
    )
    traveller(baracoa, "Bruno", "Baptiste")

    answer = page(clerk(*EMERGENCY), baracoa, "emergency")

    assert '<a class="text-link" href="tel:+12025550101">+1 (202) 555-0101</a>' in answer.content.decode()
    assert answer.context["table"].notes == ("Nobody to call for Bruno Baptiste.",)
    assert [line["row"].name for line in answer.context["lines"]] == ["Bruno Baptiste", "Ada Almqvist"]


@pytest.mark.parametrize(("names", "shown"), [(EMERGENCY, False), ((*EMERGENCY, *HEALTH), True)])
def test_emergency_sheet_holds_medication_only_for_who_may_see_health(clerk, baracoa, names, shown):
    factories.HealthRecordFactory(passenger=traveller(baracoa, "Ada", "Almqvist"), medications="rare-medication")

    answer = taken(clerk(*names), baracoa, "emergency", "csv").content.decode()

    assert ("rare-medication" in answer, "Medication" in answer) == (shown, shown)


@pytest.mark.parametrize("code", ["emergency", "medical", "dietary"])
def test_sheet_is_not_offered_without_its_permission_and_its_address_is_refused_and_logged(
    clerk, baracoa, caplog, code
):
    caplog.set_level(logging.WARNING, "trips.reports")
    client = clerk()

    listed = client.get(reverse("trips:trip_reports", args=[baracoa.pk])).content.decode()
    answers = [page(client, baracoa, code), taken(client, baracoa, code, "pdf")]

    assert f"/reports/{code}/" not in listed
    assert [answer.status_code for answer in answers] == [403, 403]
    told = [record.getMessage() for record in caplog.records if record.name == "trips.reports"]
    user = answers[0].wsgi_request.user
    assert told == [f"user {user.pk} was refused {code}/standard of trip {baracoa.pk}"] * 2


@time_machine.travel(dt.datetime(2027, 2, 1, 15, 30, tzinfo=dt.UTC), tick=False)
def test_confidential_sheet_bears_who_made_it_and_when_on_every_page(clerk, baracoa, settings):
    settings.TIME_ZONE = "America/New_York"
    contact = factories.ContactFactory()
    for number in range(80):
        factories.HealthRecordFactory(
            passenger=traveller(baracoa, f"Person {number}", "Almqvist", contact=contact), medications="x " * 60
        )

    answer = taken(clerk(*HEALTH, first_name="Greta", last_name="Ortiz"), baracoa, "medical", "pdf")

    pdf = pypdfium2.PdfDocument(answer.content)
    texts = [sheet.get_textpage().get_text_bounded() for sheet in pdf]
    pdf.close()
    assert len(texts) > 1
    mark = "Confidential – Greta Ortiz – 1 Feb 2027, 10:30 EST"
    assert [mark in text for text in texts] == [True] * len(texts)


def test_each_look_at_a_sheet_stands_in_the_read_log(clerk, baracoa):
    ada = traveller(baracoa, "Ada", "Almqvist")
    factories.HealthRecordFactory(passenger=ada, diet="rare-diet")
    client = clerk(*HEALTH)

    user = page(client, baracoa, "medical").wsgi_request.user

    what = f"Medical sheet – {baracoa}, opened"
    assert read_log() == [Read(user, "report", what, shows="trips.healthrecord", people=[ada.pk])]


def test_rooming_list_has_no_passport_numbers_unless_asked_for(clerk, baracoa):
    factories.PassportFactory(passenger=traveller(baracoa, "Ada", "Almqvist"), number="X5550001")
    client = clerk("trips.view_passport", "trips.change_passport")

    plain, asked = (taken(client, baracoa, "rooming", "csv", preset) for preset in ("standard", "passports"))

    assert ["X5550001" in answer.content.decode() for answer in (plain, asked)] == [False, True]
    assert page(clerk(), baracoa, "rooming", "passports").status_code == 403


def test_rooming_list_goes_room_by_room_and_counts_them(clerk, baracoa):
    ada = traveller(baracoa, "Ada", "Almqvist", occupancy=Occupancy.SINGLE)
    bruno, carla = traveller(baracoa, "Bruno", "Baptiste"), traveller(baracoa, "Carla", "Cortez")
    traveller(baracoa, "Dmitri", "Dvořák")
    double, single = (rooming.add_room(trip=baracoa, beds=beds) for beds in (2, 1))
    for person, room in ((bruno, double), (carla, double), (ada, single)):
        rooming.put(passenger=person, room=room)
    Room.objects.filter(pk=single.pk).update(label="Suite")

    shown = page(clerk(), baracoa, "rooming")
    rows = taken(clerk(), baracoa, "rooming", "csv", "standard").content.decode("utf-8-sig").splitlines()

    assert totals(shown) == [
        ("Travellers", "4"),
        ("Rooms", "2"),
        ("Rooms: Single", "1"),
        ("Rooms: Double", "1"),
        ("Without a room", "1"),
    ]
    assert [",".join(row.split(",")[:4]) for row in rows[1:]] == [
        "1,Double,Baptiste,Bruno",
        "1,Double,Cortez,Carla",
        "2 (Suite),Single,Almqvist,Ada",
        ",,Dvořák,Dmitri",
    ]


def test_arrivals_count_who_comes_and_leaves_on_which_day(clerk, baracoa):
    traveller(baracoa, "Ada", "Almqvist")
    traveller(baracoa, "Bruno", "Baptiste")

    assert totals(page(clerk(), baracoa, "arrivals")) == [
        ("Travellers", "2"),
        ("Arrive 1 Mar 2027", "2"),
        ("Leave 8 Mar 2027", "2"),
    ]


@pytest.mark.parametrize("travellers", [1, 3])
def test_sheets_take_the_same_queries_for_one_and_for_three(clerk, baracoa, django_assert_num_queries, travellers):
    for number in range(travellers):
        person = traveller(baracoa, f"Person {number}", "Almqvist", is_child=True, date_of_birth=None)
        person.guardian = factories.ContactFactory()
        person.save(update_fields=["guardian"])
        factories.EmergencyContactFactory(passenger=person)
        factories.HealthRecordFactory(passenger=person)
    client = clerk(*EMERGENCY, *HEALTH)
    page(client, baracoa, "emergency")

    with django_assert_num_queries(13):
        page(client, baracoa, "emergency")
