"""The staff rules: what each accepts, and that form, import and flags say the same sentence."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.forms import ModelForm

from tests import factories
from trips import rules
from trips.forms import (
    ContactForm,
    DocumentForm,
    EmergencyContactForm,
    PassengerForm,
    PassportForm,
    PaymentForm,
    TripForm,
)
from trips.models import Contact, Document, EmergencyContact, Passenger, Passport, Payment, Trip
from trips.rules import Violation

TODAY = dt.date(2026, 6, 15)
MARCH = [dt.date(2027, 3, day) for day in range(1, 32)]  # MARCH[0] is 1 March
PAYMENT_AFTER = "The payment is due (2 Mar 2027) after the departure (1 Mar 2027)."
PHONELESS = "Give a phone or a mobile number to call."
NAMELESS = "Give at least a name, an e-mail address or a phone number."
MANY_NIGHTS = "{} nights is outside 0 to 90. Leave it empty to count them from the dates."
NO_SEAT = "A capacity of {} leaves no seat. Give 1 or more, or leave it empty for no limit."
ODD_MONEY = "{!r} is not a currency code of three capital letters, such as USD."
ODD_PHONE = "{!r} does not read as a phone number. Write it with its country code, such as +1 202 555 0123."
ODD_COUNTRY = "{!r} is not a country code of two capital letters, such as US."
ODD_BIRTH = "A date of birth of {} cannot be right; it must lie between 1 Jan 1900 and today."

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def today():
    with time_machine.travel(dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC), tick=False):
        yield


def trip(**values: Any) -> Trip:
    """A row that is on no page yet: without dates of its own."""
    return Trip(**{"name": "Baracoa", **values})


def contact(**values: Any) -> Contact:
    return Contact(**{"last_name": "Almqvist", **values})


def passenger(**values: Any) -> Passenger:
    return Passenger(**{"legal_last_name": "Almqvist", **values})


# One row a case: the row, and what the rules say of it.
BAD: dict[str, tuple[Any, Violation]] = {
    "nameless trip": (trip(name=" "), Violation("name_missing", "name", "A trip needs a name.", True)),
    "ends before it starts": (
        trip(start_date=MARCH[1], end_date=MARCH[0]),
        Violation("end_before_start", "end_date", "The end (1 Mar 2027) is before the start (2 Mar 2027).", True),
    ),
    "returns before it arrives": (
        trip(arrival_date=MARCH[1], return_date=MARCH[0]),
        Violation(
            "return_before_arrival", "return_date", "The return (1 Mar 2027) is before the arrival (2 Mar 2027).", True
        ),
    ),
    "lasts 61 days": (
        trip(start_date=MARCH[0], end_date=dt.date(2027, 5, 1)),
        Violation("very_long", "end_date", "The trip lasts 61 days; check the dates.", False),
    ),
    "arrives before the start": (
        trip(start_date=MARCH[1], arrival_date=MARCH[0]),
        Violation(
            "travel_outside_trip",
            "arrival_date",
            "The arrival (1 Mar 2027) is before the trip starts (2 Mar 2027).",
            False,
        ),
    ),
    "returns after the end": (
        trip(end_date=MARCH[0], return_date=MARCH[1]),
        Violation(
            "travel_outside_trip", "arrival_date", "The return (2 Mar 2027) is after the trip ends (1 Mar 2027).", False
        ),
    ),
    "final payment before the deposit": (
        trip(deposit_due=MARCH[1], final_payment_due=MARCH[0]),
        Violation(
            "final_before_deposit",
            "final_payment_due",
            "The final payment (1 Mar 2027) is due before the deposit (2 Mar 2027).",
            True,
        ),
    ),
    "final payment after the departure": (
        trip(start_date=MARCH[0], final_payment_due=MARCH[1]),
        Violation("payment_after_departure", "final_payment_due", PAYMENT_AFTER, True),
    ),
    "deposit after the departure": (
        trip(start_date=MARCH[0], deposit_due=MARCH[1]),
        Violation("payment_after_departure", "final_payment_due", PAYMENT_AFTER, True),
    ),
    "no seats": (trip(capacity=0), Violation("capacity_below_one", "capacity", NO_SEAT.format(0), True)),
    "fewer than no seats": (trip(capacity=-3), Violation("capacity_below_one", "capacity", NO_SEAT.format(-3), True)),
    "91 nights": (
        trip(nights_override=91),
        Violation("nights_out_of_range", "nights_override", MANY_NIGHTS.format(91), True),
    ),
    "minus one night": (
        trip(nights_override=-1),
        Violation("nights_out_of_range", "nights_override", MANY_NIGHTS.format(-1), True),
    ),
    "negative price": (
        trip(price_per_person=Decimal("-0.01")),
        Violation("negative_price", "price_per_person", "The price of -0.01 is below 0.", True),
    ),
    "negative deposit": (
        trip(deposit_amount=Decimal("-1.00")),
        Violation("negative_price", "price_per_person", "The deposit of -1.00 is below 0.", True),
    ),
    "currency in small letters": (
        trip(currency="usd"),
        Violation("odd_currency", "currency", ODD_MONEY.format("usd"), True),
    ),
    "currency of two letters": (
        trip(currency="US"),
        Violation("odd_currency", "currency", ODD_MONEY.format("US"), True),
    ),
    "contact without anything": (
        contact(last_name="  "),
        Violation("nothing_to_go_by", "first_name", NAMELESS, True),
    ),
    "phone that is none": (
        contact(phone="ask Bruno"),
        Violation("odd_phone", "phone", ODD_PHONE.format("ask Bruno"), False),
    ),
    "phone that is too short": (contact(phone="12"), Violation("odd_phone", "phone", ODD_PHONE.format("12"), False)),
    "country of digits": (
        contact(country="12"),
        Violation("odd_country", "country", ODD_COUNTRY.format("12"), True),
    ),
    "country of a digit and a letter": (
        contact(country="1A"),
        Violation("odd_country", "country", ODD_COUNTRY.format("1A"), True),
    ),
    "nameless passenger": (
        passenger(legal_last_name=" "),
        Violation("legal_name_missing", "legal_last_name", "A passenger needs a legal name, as in the passport.", True),
    ),
    "born in 1899": (
        passenger(date_of_birth=dt.date(1899, 12, 31)),
        Violation("odd_birth", "date_of_birth", ODD_BIRTH.format("31 Dec 1899"), True),
    ),
    "born tomorrow": (
        passenger(date_of_birth=TODAY + dt.timedelta(1), is_child=True, guardian_id=1),
        Violation("odd_birth", "date_of_birth", ODD_BIRTH.format("16 Jun 2026"), True),
    ),
    "submitted tomorrow": (
        passenger(details_submitted_on=TODAY + dt.timedelta(1)),
        Violation(
            "submitted_in_future",
            "details_submitted_on",
            "The details cannot have been submitted in the future (16 Jun 2026).",
            True,
        ),
    ),
    "called a child": (
        passenger(date_of_birth=dt.date(1980, 1, 1), is_child=True),
        Violation(
            "child_flag_disagrees",
            "is_child",
            "Marked as a child, but an adult by the date of birth. The date of birth decides.",
            False,
        ),
    ),
    "called an adult": (
        passenger(date_of_birth=dt.date(2015, 1, 1), is_child=False, guardian_id=1),
        Violation(
            "child_flag_disagrees",
            "is_child",
            "Marked as an adult, but a minor by the date of birth. The date of birth decides.",
            False,
        ),
    ),
    "child by the flag, alone": (
        passenger(is_child=True),
        Violation("minor_without_guardian", "guardian", "A traveller under 18 on departure needs a guardian.", True),
    ),
    "17 today, alone": (
        passenger(date_of_birth=dt.date(2008, 6, 16)),
        Violation("minor_without_guardian", "guardian", "A traveller under 18 on departure needs a guardian.", True),
    ),
    "passport ends before birth": (
        Passport(passenger=passenger(date_of_birth=dt.date(1980, 5, 17)), expires_on=dt.date(1980, 5, 17)),
        Violation(
            "expires_before_birth",
            "expires_on",
            "The passport expires (17 May 1980) before its holder was born (17 May 1980).",
            True,
        ),
    ),
    "nobody to call": (
        EmergencyContact(first_name="Kim", phone=" "),
        Violation("no_number_to_call", "phone", PHONELESS, True),
    ),
    "payment in no currency": (
        Payment(passenger=passenger(), currency="Usd"),
        Violation("odd_currency", "currency", ODD_MONEY.format("Usd"), True),
    ),
    "payment in another currency": (
        Payment(passenger=passenger(trip=trip(currency="EUR")), currency="USD"),
        Violation("other_currency", "currency", "Baracoa is priced in EUR; this payment is in USD.", True),
    ),
    "rejected for no reason": (
        factories.DocumentFactory.build(state="rejected", passenger=passenger()),
        Violation(
            "rejected_without_reason", "rejection_reason", "Say why it is rejected; the traveller has to mend it.", True
        ),
    ),
}

GOOD: dict[str, Any] = {
    "bare trip": trip(),
    "one day": trip(start_date=MARCH[0], end_date=MARCH[0], arrival_date=MARCH[0], return_date=MARCH[0]),
    "end without start": trip(end_date=MARCH[0]),
    "60 days": trip(start_date=MARCH[0], end_date=dt.date(2027, 4, 30)),
    "payments on the day of departure": trip(
        start_date=MARCH[0], arrival_date=MARCH[1], end_date=MARCH[5], deposit_due=MARCH[1], final_payment_due=MARCH[1]
    ),
    "one seat": trip(capacity=1),
    "no night": trip(nights_override=0),
    "90 nights": trip(nights_override=90),
    "free of charge": trip(price_per_person=Decimal(0), deposit_amount=Decimal(0)),
    "company": contact(last_name="", company_name="Lindqvist & Co"),
    "only an e-mail": contact(last_name="", email="ada@example.com"),
    "only a phone": contact(last_name="", phone="(202) 555-0123"),
    "phone from abroad": contact(phone="+53 7 8300000"),
    "country": contact(country="CU"),
    "one name": passenger(legal_last_name="", legal_first_name="Ada"),
    "born in 1900": passenger(date_of_birth=dt.date(1900, 1, 1)),
    "born today": passenger(date_of_birth=TODAY, guardian_id=1),
    "submitted today": passenger(details_submitted_on=TODAY),
    "18 today": passenger(date_of_birth=dt.date(2008, 6, 15)),
    "18 on departure": passenger(date_of_birth=dt.date(2009, 3, 1), trip=trip(start_date=MARCH[0]), is_child=False),
    "child with a guardian": passenger(is_child=True, guardian_id=1),
    "passport of a newborn": Passport(
        passenger=passenger(date_of_birth=dt.date(1980, 5, 17)), expires_on=dt.date(1980, 5, 18)
    ),
    "passport without dates": Passport(passenger=passenger()),
    "mobile only": EmergencyContact(mobile="+12025550123"),
    "payment in the trip's currency": Payment(passenger=passenger(trip=trip(currency="EUR")), currency="EUR"),
    "payment without a trip": Payment(passenger=passenger(), currency="GBP"),
    "rejected with a reason": factories.DocumentFactory.build(
        state="rejected", rejection_reason="blurred", passenger=passenger()
    ),
}

FORMS: dict[str, type[ModelForm[Any]]] = {
    "trip": TripForm,
    "contact": ContactForm,
    "passenger": PassengerForm,
    "passport": PassportForm,
    "emergencycontact": EmergencyContactForm,
    "payment": PaymentForm,
    "document": DocumentForm,
}
# Before the rule is asked the form itself says that the name is required.
FORM_IS_FIRST = {"nameless trip"}


def typed(row: Any) -> ModelForm[Any]:
    """The form for a new row of this kind, with the row's values typed into it."""
    form_class = FORMS[row._meta.model_name]
    fields = form_class(instance=row).fields
    data = {
        name: field.prepare_value(row.serializable_value(name)) for name, field in fields.items() if hasattr(row, name)
    }
    return form_class({name: value for name, value in data.items() if value is not None})


@pytest.mark.parametrize("case", BAD)
def test_rule_is_broken(case):
    row, violation = BAD[case]

    assert rules.violations(row) == [violation]


@pytest.mark.parametrize("case", GOOD)
def test_rule_is_kept(case):
    assert rules.violations(GOOD[case]) == []


@pytest.mark.parametrize("case", [case for case in BAD if case not in FORM_IS_FIRST])
def test_form_says_the_same_sentence_as_the_rule(case):
    row, violation = BAD[case]
    row = row.__class__(**{field.attname: getattr(row, field.attname) for field in row._meta.fields if field.editable})
    if isinstance(row, Passport | Payment):
        # These ask their passenger, whom a form knows by number.
        about = BAD[case][0].passenger
        if about.trip is not None:
            about.trip.save()
        row.passenger = factories.PassengerFactory(
            trip=about.trip, date_of_birth=about.date_of_birth or dt.date(1980, 1, 1)
        )
    if isinstance(row, Passenger) and row.guardian_id:
        row.guardian = factories.ContactFactory()
    form = typed(row)

    form.is_valid()

    said = form.errors.get(violation.field, []) if violation.blocking else form.warnings
    assert violation.sentence in said


@pytest.mark.parametrize("case", [case for case, (row, _) in BAD.items() if hasattr(row, "flags")])
def test_flags_name_the_stored_rule(case):
    row, violation = BAD[case]
    stored = {rule.code for rule in rules.rules_for(row) if rule.stored}

    row.derive()

    assert row.flags == (violation.code if violation.code in stored else "")


def test_several_flags_keep_the_order_of_the_rules():
    row = trip(name="", capacity=0, currency="x")

    row.derive()

    assert row.flags == "name_missing capacity_below_one odd_currency"
    assert [rules.rule_text(code) for code in row.flags.split()] == [
        "name missing",
        "capacity below one",
        "odd currency",
    ]


# Rules that ask the database


@pytest.mark.parametrize(
    "dates", [{"start_date": dt.date(2027, 3, 1)}, {"start_date": None, "arrival_date": dt.date(2027, 3, 1)}]
)
def test_name_and_start_of_another_trip_are_refused_however_they_are_spelled(dates):
    twin = factories.TripFactory(name="Baracoa – East", start_date=dt.date(2027, 3, 1), end_date=None)

    sentence = (
        f"There is a trip of this name and start (1 Mar 2027) already: Baracoa – East (no. {twin.pk}). "
        "Choose another name or other dates."
    )
    again = trip(name="BARACOA  - east ", **{"end_date": None, **dates})
    assert rules.violations(again) == [Violation("same_name_and_start", "name", sentence, True)]
    assert rules.violations(twin) == []


def test_name_of_another_trip_without_dates_is_refused_and_an_archived_one_is_called_so():
    twin = factories.TripFactory(
        name="Baracoa", start_date=None, end_date=None, archived_at=dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    )

    sentence = (
        f"There is a trip of this name without dates already: Baracoa (no. {twin.pk}, archived). "
        "Choose another name or other dates."
    )
    again = trip(name="Baracoa", start_date=None, end_date=None)
    assert rules.violations(again) == [Violation("same_name_and_start", "name", sentence, True)]


def test_yearly_trip_of_one_name_is_a_doubt():
    last = factories.TripFactory(name="Baracoa", start_date=dt.date(2026, 3, 1), end_date=None)

    sentence = (
        f"There is another trip of this name: Baracoa (no. {last.pk}, starts 1 Mar 2026). "
        "Check that it is not the same one."
    )
    next_one = trip(name="Baracoa", start_date=dt.date(2027, 3, 1), end_date=None)
    assert rules.violations(next_one) == [Violation("same_name", "name", sentence, False)]


def test_overbooked_trip_is_a_doubt():
    full = factories.TripFactory(capacity=1, passengers=2)

    assert rules.violations(full) == [Violation("overbooked", "capacity", "2 passengers are booked on 1 seats.", False)]
    full.passengers.filter(number=2).update(attendance="waitlisted")
    assert rules.violations(full) == []


def test_number_is_somebodys_already():
    booked = factories.TripFactory(passengers=1)
    first = booked.passengers.get()
    second = factories.PassengerFactory(trip=booked, number=1)

    sentence = f"Number 1 on this trip is {first.legal_name}'s."
    assert rules.violations(second) == [Violation("number_taken", "number", sentence, True)]
    second.number = 2
    assert rules.violations(second) == []


def test_same_person_twice_on_a_trip_is_refused_and_a_relative_is_not():
    first = factories.PassengerFactory(legal_first_name="Ada", legal_last_name="Ortiz")
    twin = Passenger(trip=first.trip, contact=first.contact, legal_first_name="ada ", legal_last_name="ORTIZ", number=2)
    relative = Passenger(
        trip=first.trip, contact=first.contact, legal_first_name="Bruno", legal_last_name="Ortiz", number=2
    )

    sentence = f"Ada Ortiz is on this trip already (passenger no. {first.pk})."
    assert rules.violations(twin) == [Violation("on_this_trip_already", "contact", sentence, True)]
    assert rules.violations(relative) == []


@pytest.mark.parametrize(("attendance", "doubts"), [("booked", 1), ("waitlisted", 0), ("cancelled", 0)])
def test_full_trip_is_a_doubt_for_those_who_take_a_seat(attendance, doubts):
    full = factories.TripFactory(name="Baracoa", capacity=1, passengers=1)
    late = factories.PassengerFactory.build(trip=full, attendance=attendance, contact=factories.ContactFactory())

    sentence = "Baracoa has 1 seats and 1 other passengers booked. Put this one on the waiting list."
    assert rules.violations(late) == [Violation("trip_is_full", "attendance", sentence, False)] * doubts


# Old violations


def test_old_violation_in_an_untouched_field_does_not_block():
    old = trip(start_date=MARCH[1], end_date=MARCH[0], capacity=0)

    found = rules.violations(old, changed=["end_date"])

    assert [(violation.code, violation.blocking) for violation in found] == [
        ("end_before_start", True),
        ("capacity_below_one", False),
    ]


def test_violation_is_told_at_the_field_that_was_touched():
    old = trip(start_date=MARCH[1], end_date=MARCH[0])

    assert [violation.field for violation in rules.violations(old, changed=["start_date"])] == ["start_date"]


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("(202) 555-0123", None, "+12025550123"),
        ("+44 20 7946 0958", None, "+442079460958"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("ask Bruno", None, ""),
        ("", None, ""),
        ("1", None, ""),
    ],
)
def test_e164(text, region, number):
    assert rules.e164(text, region) == number


@pytest.mark.parametrize("model", [Passport, Payment, EmergencyContact, Document, Passenger, Trip, Contact])
def test_rules_look_at_an_empty_row_without_failing(model):
    assert isinstance(rules.violations(model()), list)


@pytest.mark.parametrize(
    ("website", "fits"),
    [("", True), ("https://example.com/a", True), ("http://example.com", True), ("javascript:alert(1)", False),
     ("ftp://example.com", False)],
)  # fmt: skip
def test_website_is_a_web_address(website, fits):
    codes = [found.code for found in rules.violations(Contact(first_name="Ada", website=website))]
    assert codes == ([] if fits else ["odd_website"])


@pytest.mark.parametrize(("email", "fits"), [("", True), ("ada@example.com", True), ("ada at home", False)])
def test_emergency_contact_has_a_real_email_or_none(email, fits):
    found = rules.violations(EmergencyContact(phone="+12025550100", email=email))
    assert [(violation.code, violation.blocking) for violation in found] == ([] if fits else [("odd_email", True)])


@time_machine.travel("2026-11-25")
@pytest.mark.parametrize(
    ("day", "odd"),
    [(dt.date(1969, 12, 31), True), (dt.date(1970, 1, 1), False), (dt.date(2046, 12, 31), False),
     (dt.date(2047, 1, 1), True)],
)  # fmt: skip
def test_trip_of_an_odd_year_is_a_doubt(day, odd):
    found = rules.violations(Trip(name="Baracoa", start_date=day, currency="USD"))
    assert [(violation.code, violation.blocking) for violation in found] == ([("odd_year", False)] if odd else [])
