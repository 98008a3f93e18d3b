"""Rows of a file: who is known, what changes, what is refused and why, and that an undo takes all of it back."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from trips.enums import BatchKind
from trips.models import Contact, EmergencyContact, Passenger, Passport, Payment, Trip, Vendor
from trips.resources import RESOURCES, guessed, run
from trips.services.batches import recorded, undo
from trips.services.sheets import read_text

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss():
    return factories.StaffFactory(is_superuser=True)


def resource_for(model, user, **how):
    return RESOURCES[model](user=user, **how)


def looked(model, text, user, **how):
    """(state, reasons or changes or twin) of each row, without saving."""
    sheet = read_text(text)
    resource = resource_for(model, user, **how)
    return run(resource, sheet, guessed(resource, sheet.headers))


def imported(model, text, user, **how):
    sheet = read_text(text)
    with recorded(kind=BatchKind.IMPORT, title="Import", by=user) as recorder:
        resource = resource_for(model, user, recorder=recorder, **how)
        rows = run(resource, sheet, guessed(resource, sheet.headers))
    return rows, recorder.batch


def told(rows):
    return [(row.state, row.twin or "; ".join(row.reasons) or row.known) for row in rows]


def test_passenger_is_found_by_email_phone_and_name_with_birthday(boss):
    trip = factories.TripFactory()
    by_mail = factories.ContactFactory(first_name="Ada", last_name="Almqvist", email="ada@example.com", phone="")
    by_phone = factories.ContactFactory(first_name="Bruno", last_name="Baptiste", email="", phone="+12025550123")
    travelled = factories.PassengerFactory(
        legal_first_name="Carla", legal_last_name="Castañeda", date_of_birth=dt.date(1980, 5, 17)
    )
    text = (
        "First name,Last name,E-mail,Phone,DOB\n"
        "Ada,Almqvist,ADA@example.com,,1970-01-02\n"
        "Bruno,Baptiste,,(202) 555-0123,\n"
        "CARLA,castañeda,,,17 May 1980\n"
        "Dmitri,Dvořák,dmitri@example.com,,\n"
    )

    rows = looked(Passenger, text, boss, trip=trip)

    assert told(rows) == [
        ("new", "Known by e-mail"),
        ("new", "Known by phone"),
        ("new", "Known by name and date of birth"),
        ("new", ""),
    ]
    assert [row.instance.contact for row in rows[:3]] == [by_mail, by_phone, travelled.contact]
    assert (Passenger.objects.count(), Contact.objects.count()) == (1, 3)

    imported(Passenger, text, boss, trip=trip)

    names = list(trip.passengers.order_by("number").values_list("number", "contact__email", "legal_last_name"))
    assert names == [
        (1, "ada@example.com", "Almqvist"),
        (2, "", "Baptiste"),
        (3, travelled.contact.email, "castañeda"),
        (4, "dmitri@example.com", "Dvořák"),
    ]


def test_same_file_again_is_the_same_and_a_correction_changes_only_its_field(boss):
    trip = factories.TripFactory(name="Baracoa")
    text = "Trip,First name,Last name,E-mail,DOB\nBaracoa,Ada,Almqvist,ada@example.com,1970-01-02\n"
    rows, _batch = imported(Passenger, text, boss)
    assert ("Date of birth", "", "2 Jan 1970") in [
        (change.label, change.before, change.after) for change in rows[0].changes
    ]
    assert told(looked(Passenger, text, boss)) == [("same", "Known by e-mail")]

    rows, batch = imported(Passenger, text.replace("1970-01-02", "1971-01-02"), boss)

    assert [(change.label, change.before, change.after) for change in rows[0].changes] == [
        ("Date of birth", "2 Jan 1970", "2 Jan 1971")
    ]
    assert (trip.passengers.get().date_of_birth, batch.made, batch.changed) == (dt.date(1971, 1, 2), 0, 1)
    undo(batch=batch, by=boss)
    assert trip.passengers.get().date_of_birth == dt.date(1970, 1, 2)


def test_suspected_twin_is_left_out_until_ticked(boss):
    trip = factories.TripFactory()
    factories.ContactFactory(first_name="Ada", last_name="Almqvist", email="ada@example.com")
    factories.PassengerFactory(
        legal_first_name="Roberto",
        legal_last_name="Eriksen",
        date_of_birth=dt.date(1990, 1, 2),
        contact__email="rob@example.com",
    )
    text = (
        "First name,Last name,E-mail,DOB\n"
        "Ada,Almqvist,other@example.com,1970-01-02\n"
        "Bob,Eriksen,bob@example.com,1990-01-02\n"
    )

    rows, batch = imported(Passenger, text, boss, trip=trip)
    assert [row.state for row in rows] == ["twin", "twin"]
    assert rows[0].twin.startswith("The same name as Ada Almqvist (no. ")
    assert rows[1].twin.startswith("The same last name and date of birth as a passenger of ")
    assert (batch.pk, trip.passengers.count()) == (None, 0)

    rows, _batch = imported(Passenger, text, boss, trip=trip, twins=[2])

    assert [row.state for row in rows] == ["twin", "new"]
    assert trip.passengers.get().contact.email == "bob@example.com"


def test_family_of_newcomers_shares_one_new_contact(boss):
    trip = factories.TripFactory()
    text = (
        "First name,Last name,E-mail,DOB\n"
        "Ada,Almqvist,family@example.com,1970-01-02\n"
        "Bo,Almqvist,family@example.com,1972-01-02\n"
        "Ada,Almqvist,family@example.com,1970-01-02\n"
    )
    assert told(looked(Passenger, text, boss, trip=trip)) == [
        ("new", ""),
        ("new", "Known by e-mail"),
        ("error", "The same as row 1 of this file."),
    ]

    imported(Passenger, text, boss, trip=trip)

    assert (Contact.objects.count(), trip.passengers.count()) == (1, 2)


def test_bad_cells_are_named_and_good_rows_go_in(boss):
    trip = factories.TripFactory(name="Baracoa")
    text = (
        "First name,Last name,E-mail,DOB,Sex,Trip,Number\n"
        "Ada,Almqvist,ada@example.com,03/04/1970,F,Baracoa,\n"
        "Ben,Baptiste,ben@example.com,1.2.70,M,Baracoa,\n"
        "Cleo,Castañeda,cleo@,1970-02-30,Q,Baracoa,x\n"
        "Dora,Dvořák,dora@example.com,1970-02-28,f,Nowhere,\n"
        ",,nobody@example.com,,,Baracoa,\n"
        "Eva,Eriksen,eva@example.com,2080-01-01,,Baracoa,\n"
        "Finn,Fontaine,finn@example.com,28/02/1970,male,baracoa,7\n"
    )

    rows, _batch = imported(Passenger, text, boss)

    assert [row.reasons for row in rows] == [
        ["Date of birth: '03/04/1970' can be 4 Mar 1970 or 3 Apr 1970. Write it as 1970-03-04 or 1970-04-03."],
        ["Date of birth: '1.2.70' has a year of two digits. Write all four."],
        ["E-mail: 'cleo@' is not an e-mail address."],
        ["Trip: There is no trip 'Nowhere'. Add it first, or mend the name."],
        ["A passenger needs a legal name, as in the passport."],
        [
            "A date of birth of 1 Jan 2080 cannot be right; it must lie between 1 Jan 1900 and today.",
            "A traveller under 18 on departure needs a guardian.",
        ],
        [],
    ]
    assert [(one.legal_first_name, one.number, one.sex) for one in trip.passengers.all()] == [("Finn", 7, "M")]
    assert Contact.objects.count() == 1


def test_full_trip_refuses_the_rows_beyond_its_seats(boss):
    trip = factories.TripFactory(capacity=3, passengers=1)
    clerk = factories.StaffFactory(
        permissions=["trips.view_passenger", "trips.add_passenger", "trips.change_passenger", "trips.add_contact"]
    )
    text = "First name,Last name,E-mail,Attendance\n" + "".join(
        f"P{n},Almqvist-{n},p{n}@example.com,{'waitlisted' if n == 3 else ''}\n" for n in range(5)
    )
    full = f"{trip} has 3 seats, and they are taken. Set the attendance to “waitlisted”, or ask who may overbook."
    wanted = [("new", ""), ("new", ""), ("error", full), ("new", ""), ("error", full)]

    assert told(looked(Passenger, text, clerk, trip=trip)) == wanted
    rows, _batch = imported(Passenger, text, clerk, trip=trip)
    assert told(rows) == wanted
    others = text.replace("Almqvist", "Berg")
    assert {row.state for row in looked(Passenger, others, boss, trip=trip)} == {"new"}


def test_sensitive_columns_exist_only_for_who_may_write_them(boss):
    clerk = factories.StaffFactory(permissions=["trips.view_passenger", "trips.add_passenger", "trips.add_contact"])
    nurse = factories.StaffFactory(
        permissions=["trips.view_healthrecord", "trips.add_healthrecord", "trips.change_healthrecord"]
    )
    secret = {"Passport number", "Allergies", "Emergency contact phone"}

    columns = {
        user: {column.label for column in resource_for(Passenger, user).columns} & secret
        for user in (boss, clerk, nurse)
    }

    assert columns == {boss: secret, clerk: set(), nurse: {"Allergies"}}
    assert guessed(resource_for(Passenger, clerk), ["Passport number", "Last name"]) == {
        "Passport number": "",
        "Last name": "Legal last name",
    }


def test_parts_are_made_changed_and_undone_with_their_passenger(boss):
    trip = factories.TripFactory()
    head = "First name,Last name,E-mail,Passport number,Passport expires,Diet,Emergency contact phone\n"
    row = "Ada,Almqvist,ada@example.com,X5550001,2031-05-06,=vegan,+1 202 555 0199\n"
    _rows, made = imported(Passenger, head + row, boss, trip=trip)
    passenger = trip.passengers.get()
    assert (passenger.passport.number, passenger.passport.expires_on) == ("X5550001", dt.date(2031, 5, 6))
    assert (passenger.health.diet, passenger.emergency_contacts.get().phone) == ("=vegan", "+12025550199")
    assert [one.state for one in looked(Passenger, head + row, boss, trip=trip)] == ["same"]

    rows, changed = imported(Passenger, head + row.replace("X5550001", "X5550002"), boss, trip=trip)
    assert [change.label for change in rows[0].changes] == ["Passport number"]
    assert Passport.objects.get().number == "X5550002"

    undo(batch=changed, by=boss)
    assert Passport.objects.get().number == "X5550001"
    assert undo(batch=made, by=boss).kept == []
    assert [model.objects.count() for model in (Contact, Passenger, Passport, EmergencyContact)] == [0, 0, 0, 0]


def test_part_that_breaks_a_rule_keeps_the_whole_row_out(boss):
    trip = factories.TripFactory()
    text = "First name,Last name,E-mail,Emergency contact first name\nAda,Almqvist,ada@example.com,Kim\n"

    rows, batch = imported(Passenger, text, boss, trip=trip)

    assert told(rows) == [("error", "Give a phone or a mobile number to call.")]
    assert (batch.pk, Contact.objects.count()) == (None, 0)


def test_empty_cells_change_nothing(boss):
    contact = factories.ContactFactory(first_name="Ada", last_name="Almqvist", email="ada@example.com", city="Lund")

    rows, batch = imported(Contact, "First name,Last name,Email,City,Tags\nAda,Almqvist,ada@example.com,,\n", boss)

    contact.refresh_from_db()
    assert (told(rows), batch.pk, contact.city) == ([("same", "Known by e-mail")], None, "Lund")


def test_contact_gets_its_changes_and_keeps_its_tags(boss):
    contact = factories.ContactFactory(
        first_name="Ada", last_name="Almqvist", email="ada@example.com", tags=["vip"], country=""
    )

    rows, _batch = imported(
        Contact,
        "First name;Last name;E-mail;Tags;Country\nAda;Almqvist;ada@example.com;fjords, vip;se\n"
        "Eve;Other;ada@example.com;;\nFay;Foss;;;Sweden\n",
        boss,
    )

    contact.refresh_from_db()
    assert (contact.tags, contact.country) == (["vip", "fjords"], "SE")
    assert [row.state for row in rows] == ["changed", "error", "error"]
    assert rows[1].reasons == ["The same as row 1 of this file."]


def test_trip_rows_follow_the_rules_and_find_vendor_and_organiser(boss):
    vendor = factories.VendorFactory(name="Acme")
    organiser = factories.ContactFactory(email="lead@example.com")
    factories.TripFactory(name="Twice", start_date=dt.date(2027, 1, 1))
    factories.TripFactory(name="Twice", start_date=dt.date(2028, 1, 1))
    text = (
        "Name\tStart\tEnd\tSeats\tPrice\tVendor\tLead organiser\n"
        'Baracoa\t2027-03-01\t2027-03-08\t20\t"2,450.00"\tACME \tLead@example.com\n'
        "Backwards\t2027-03-08\t2027-03-01\t\t\t\t\n"
        "Stranger\t\t\t\t1.234,50\tNobody\t\n"
        "Twice\t2028-01-01\t\t12\t\t\t\n"
    )

    rows, _batch = imported(Trip, text, boss)

    assert told(rows) == [
        ("new", ""),
        ("error", "The end (1 Mar 2027) is before the start (8 Mar 2027)."),
        (
            "error",
            "Price per person: '1.234,50' does not read as an amount. Write it as 1234.50, without a currency.; "
            "Vendor: There is no vendor 'Nobody'. Add it first, or mend the name.",
        ),
        ("changed", "Known by name"),
    ]
    trip = Trip.objects.get(name="Baracoa")
    assert (trip.vendor, trip.organiser, trip.price_per_person) == (vendor, organiser, Decimal("2450.00"))
    assert Trip.objects.get(name="Twice", start_date=dt.date(2028, 1, 1)).capacity == 12


def test_vendor_is_known_by_its_name_however_written(boss):
    factories.VendorFactory(name="Acme", phone="")

    rows, _batch = imported(Vendor, "Name,Phone,Kind\nACME ,+1 202 555 0100,Hotel\nBeta,,no idea\n", boss)

    assert [(row.state, row.reasons) for row in rows] == [
        ("changed", []),
        (
            "error",
            ["Kind: 'no idea' is none of: Ground operator, Hotel, Airline, Transfer, Guide, Other."],
        ),
    ]
    vendor = Vendor.objects.get()
    assert (vendor.name, vendor.phone, vendor.kind) == ("Acme", "+12025550100", "hotel")


def test_payments_go_to_their_passenger_once(boss):
    trip = factories.TripFactory(name="Baracoa")
    ada = factories.PassengerFactory(trip=trip, legal_first_name="Ada", legal_last_name="Almqvist")
    text = (
        "Passenger,Trip,Amount,Date,Reference\n"
        "Ada Almqvist,Baracoa,500.00,2027-01-05,R-1\n"
        "Ada Almqvist,Baracoa,-5,2027-01-05,R-2\n"
        "Ada Almqvist,Baracoa,100,2027-01-06,\n"
        "Nobody Known,,100,2027-01-06,\n"
    )

    rows, _batch = imported(Payment, text, boss)
    assert told(rows)[:2] == [
        ("new", ""),
        ("error", "The amount of -5 is not above 0; record money given back as a refund."),
    ]
    assert [row.state for row in rows] == ["new", "error", "new", "error"]
    assert sorted(ada.payments.values_list("amount", flat=True)) == [Decimal(100), Decimal(500)]

    assert [row.state for row in looked(Payment, text, boss)] == ["same", "error", "twin", "error"]


def test_whoever_may_not_add_contacts_gets_a_reason(boss):
    clerk = factories.StaffFactory(permissions=["trips.add_passenger", "trips.change_passenger"])
    trip = factories.TripFactory()

    rows = looked(Passenger, "Last name,E-mail\nNew,new@example.com\n", clerk, trip=trip)

    assert told(rows) == [("error", "Nobody here has this address, and you may not add contacts. Ask who may.")]


def reads(sheet, user, trip):
    resource = resource_for(Passenger, user, trip=trip)
    with CaptureQueriesContext(connection) as asked:
        run(resource, sheet, guessed(resource, sheet.headers))
    return len([query for query in asked.captured_queries if query["sql"].startswith("SELECT")])


def test_preview_reads_people_once_for_a_file(boss):
    trip = factories.TripFactory(capacity=None)
    known = [factories.ContactFactory() for _ in range(6)]
    lines = [f"{one.first_name},{one.last_name},{one.email}" for one in known]
    counts = [
        reads(read_text("\n".join(["First name,Last name,E-mail", *some, "Zoe,Zorn,zoe@example.com"])), boss, trip)
        for some in (lines[:1], lines)
    ]

    assert counts == [3, 3]  # contacts, travellers, who is on the trip
