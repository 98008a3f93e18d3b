"""Money on the staff's pages: what is due is offered, balances stand on every row, and only for who may see them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories
from tests.pages import posted
from trips.models import Cost, Passenger, Payment, Trip

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
CLERK = ("trips.view_passenger", "trips.change_passenger", "trips.view_trip", "trips.change_trip")
DUE = "admin:trips_payment_due"


def url(model, page, *args):
    return reverse(f"admin:trips_{model}_{page}", args=args)


@pytest.fixture
def clerk(client):
    """Logs in somebody who may edit trips and passengers and what is named beside."""

    def log_in(*names):
        client.force_login(factories.StaffFactory(permissions=[*CLERK, *names]))
        return client

    return log_in


def traveller(paid=None, **values):
    passenger = factories.PassengerFactory(
        legal_first_name="Greta",
        legal_last_name="Ortiz",
        **{"trip__name": "Baracoa", "trip__price_per_person": 1000, **values},
    )
    if paid:
        factories.PaymentFactory(passenger=passenger, amount=paid)
    return passenger


# What the page of a new payment asks for


def test_due_amount_is_told_for_a_payment_and_for_a_refund(admin_client):
    owes, back = traveller("300"), traveller("300", attendance="cancelled")

    answers = [admin_client.get(reverse(DUE), {"passenger": row.pk}).json() for row in (owes, back)]

    assert answers == [
        {
            "amounts": {"payment": "700.00", "refund": ""},
            "currency": "USD",
            "sentence": "Baracoa: price 1,000.00, paid 300.00, owes 700.00 USD. All due.",
        },
        {
            "amounts": {"payment": "", "refund": "300.00"},
            "currency": "USD",
            "sentence": "Cancelled on Baracoa. To give back: 300.00 USD.",
        },
    ]


@pytest.mark.parametrize("names", [(), ("trips.add_payment",)])
def test_due_amount_needs_the_permission_to_view_payments(clerk, names):
    assert clerk(*names).get(reverse(DUE), {"passenger": traveller().pk}).status_code == 403


def test_due_amount_needs_the_permission_to_view_passengers(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_payment", "trips.add_payment"]))

    assert client.get(reverse(DUE), {"passenger": traveller().pk}).status_code == 403


@pytest.mark.parametrize("number", ["", "abc", "77", "-1", "99999999999999999999"])
def test_due_amount_of_nobody_is_not_found(admin_client, number):
    assert admin_client.get(reverse(DUE), {"passenger": number}).status_code == 404


def test_due_amount_is_only_read(admin_client):
    assert admin_client.post(reverse(DUE), {"passenger": traveller().pk}).status_code == 405


def choices(client, term):
    asked = {"term": term, "app_label": "trips", "model_name": "payment", "field_name": "passenger"}
    return [entry["text"] for entry in client.get(reverse("admin:autocomplete"), asked).json()["results"]]


def test_choice_of_a_passenger_names_the_trip_and_the_balance(admin_client):
    traveller("300")
    traveller("40", attendance="cancelled", trip__start_date=None, trip__end_date=None)
    factories.PassengerFactory(trip=None, legal_first_name="Hugo", legal_last_name="Ortiz")

    assert sorted(choices(admin_client, "orti")) == [
        "Greta Ortiz · Baracoa (1 Mar 2027) · owes 700.00 USD",
        "Greta Ortiz · Baracoa · cancelled · to give back 40.00 USD",
        "Hugo Ortiz · no trip",
    ]


def test_choice_of_a_passenger_tells_no_balance_to_who_may_not_view_payments(clerk):
    traveller("300")

    assert choices(clerk("trips.add_payment"), "orti") == ["Greta Ortiz · Baracoa (1 Mar 2027)"]


@pytest.mark.parametrize("people", [1, 3])
def test_choices_cost_the_same_for_one_and_three(admin_client, django_assert_num_queries, people):
    for _ in range(people):
        traveller("300")
    choices(admin_client, "x")

    with django_assert_num_queries(5):
        assert len(choices(admin_client, "orti")) == people


# Recording


def test_next_payment_keeps_the_day_and_the_method(admin_client):
    passenger = traveller()
    page = admin_client.get(url("payment", "add"))
    typed = {"passenger": passenger.pk, "amount": "5", "paid_on": "2026-06-10", "method": "cheque", "_addanother": "1"}

    answer = admin_client.post(url("payment", "add"), posted(page, **typed))

    assert answer["Location"] == f"{url('payment', 'add')}?paid_on=2026-06-10&method=cheque"
    again = admin_client.get(answer["Location"]).context["adminform"].form
    assert [str(again[name].value() or "") for name in ("passenger", "amount", "paid_on", "method")] == [
        "",
        "",
        "2026-06-10",
        "cheque",
    ]


def test_more_than_owed_is_kept_and_said(admin_client):
    passenger = traveller("900")
    page = admin_client.get(url("payment", "add"))
    typed = {"passenger": passenger.pk, "amount": "150", "paid_on": "2026-06-10"}

    answer = admin_client.post(url("payment", "add"), posted(page, **typed), follow=True)

    assert "That is 50.00 USD more than Greta Ortiz owed." in answer.content.decode()
    assert Passenger.objects.with_balance().get().balance == -50


def test_refund_of_more_than_was_paid_is_an_error_on_the_amount(admin_client):
    passenger = traveller("100")
    page = admin_client.get(url("payment", "add"))
    typed = {"passenger": passenger.pk, "amount": "100.01", "kind": "refund", "paid_on": "2026-06-10"}

    answer = admin_client.post(url("payment", "add"), posted(page, **typed))

    said = "Greta Ortiz has paid 100.00 USD in all: 100.01 USD cannot be given back."
    assert answer.context["adminform"].form.errors == {"amount": [said]}
    assert Payment.objects.count() == 1


def test_history_tells_who_recorded_a_payment(admin_client, admin_user):
    page = admin_client.get(url("payment", "add"))
    typed = {"passenger": traveller().pk, "amount": "5", "paid_on": "2026-06-10"}

    admin_client.post(url("payment", "add"), posted(page, **typed))

    assert Payment.history.get().history_user == admin_user


# The list of payments


def test_totals_are_of_what_the_filters_show(admin_client):
    passenger = traveller("1000.50")
    factories.PaymentFactory(passenger=passenger, amount="200", kind="refund")
    factories.PaymentFactory(passenger=passenger, amount="70", currency="EUR")
    factories.PaymentFactory(amount="9", paid_on=dt.date(2026, 2, 1))

    everything = admin_client.get(url("payment", "changelist")).context["cl"].totals
    january = admin_client.get(url("payment", "changelist"), {"paid_on_from": "2026-01-01", "paid_on_to": "2026-01-31"})
    trip = admin_client.get(url("payment", "changelist"), {"passenger__trip__id__exact": passenger.trip.pk})

    euros = {"net": "70.00 EUR", "count": 1, "received": "70.00", "refunded": ""}
    dollars = {"net": "800.50 USD", "count": 2, "received": "1,000.50", "refunded": "200.00"}
    assert everything == [euros, {"net": "809.50 USD", "count": 3, "received": "1,009.50", "refunded": "200.00"}]
    assert [page.context["cl"].totals for page in (january, trip)] == [[euros, dollars]] * 2
    assert "1,000.50 received, 200.00 given back" in january.content.decode()


def test_range_with_a_day_that_is_none_says_so(admin_client):
    factories.PaymentFactory()

    page = admin_client.get(url("payment", "changelist"), {"paid_on_from": "2026-02-30"})

    assert "“2026-02-30” is not a date, so the filter leaves it out." in page.content.decode()
    assert page.context["cl"].result_count == 1


# Passengers


def test_balance_stands_on_the_row_of_each_passenger(admin_client):
    with time_machine.travel(NOON, tick=False):
        traveller("1000")
        traveller("300")
        traveller(trip__final_payment_due=dt.date(2026, 3, 3))
        traveller(trip__deposit_due=dt.date(2025, 12, 3), trip__deposit_amount=9, trip__price_per_person=None)
        traveller("50", attendance="cancelled")
        shown = admin_client.get(url("passenger", "changelist")).content.decode()

    wanted = ("paid", "owes 700.00", "owes 1,000.00, overdue since 3 Mar")
    wanted += ("deposit overdue since 3 Dec 2025", "give back 50.00")
    assert [f">{text}</span>" in shown for text in wanted] == [True] * 5


@pytest.mark.parametrize(
    ("asked", "found"),
    [("overdue", ["late"]), ("owes", ["late", "owes"]), ("back", ["cancelled", "too much"])],
)
def test_passengers_are_narrowed_by_what_they_owe(admin_client, asked, found):
    with time_machine.travel(NOON, tick=False):
        traveller("1000", preferred_name="paid")
        traveller("300", preferred_name="owes")
        traveller(preferred_name="late", trip__final_payment_due=dt.date(2026, 3, 3))
        traveller("50", preferred_name="cancelled", attendance="cancelled")
        traveller("1001", preferred_name="too much")
        page = admin_client.get(url("passenger", "changelist"), {"money": asked})

    assert sorted(row.preferred_name for row in page.context["cl"].result_list) == found


def test_money_is_hidden_from_who_may_not_view_payments(clerk):
    passenger = traveller("123.45")
    client = clerk("trips.add_payment")
    pages = [
        client.get(url("passenger", "changelist")),
        client.get(url("passenger", "change", passenger.pk)),
        client.get(url("trip", "change", passenger.trip.pk)),
    ]

    told = [("123.45" in text, "876.55" in text) for text in (page.content.decode() for page in pages)]
    assert told == [(False, False)] * 3
    assert client.get(url("passenger", "changelist"), {"money": "owes"}).status_code == 302


def test_ledger_keeps_a_running_balance(clerk):
    passenger = traveller()
    for day, amount, kind, currency in (
        (3, "300", "payment", "USD"),
        (1, "500", "payment", "USD"),
        (4, "100", "refund", "USD"),
        (5, "70", "payment", "EUR"),
    ):
        paid_on = dt.date(2026, 1, day)
        factories.PaymentFactory(passenger=passenger, amount=amount, kind=kind, currency=currency, paid_on=paid_on)
    client = clerk("trips.view_payment")

    with CaptureQueriesContext(connection) as queries:
        shown = client.get(url("passenger", "change", passenger.pk)).content.decode()

    cells = [part.partition("</td>")[0] for part in shown.partition('class="ledger"')[2].split('class="ledger-sum">')]
    assert [cell for cell in cells[1:] if "<" not in cell][-9:] == [
        "1,000.00 USD",
        "500.00 USD",
        "500.00",
        "300.00 USD",
        "200.00",
        "-100.00 USD",
        "300.00",
        "70.00 EUR",
        "not in USD",
    ]
    assert len([query for query in queries if 'FROM "trips_payment"' in query["sql"]]) == 2  # the balance, the ledger


def test_payment_is_added_from_the_passenger(admin_client):
    passenger = traveller()

    page = admin_client.get(reverse("admin:trips_passenger_add_payment", args=[passenger.pk]), follow=True)

    assert str(page.context["adminform"].form["passenger"].value()) == str(passenger.pk)


def test_payment_is_not_added_from_the_passenger_without_the_permission(clerk):
    passenger = traveller()
    client = clerk("trips.view_payment")

    assert client.get(reverse("admin:trips_passenger_add_payment", args=[passenger.pk])).status_code == 403
    assert "Add a payment</" not in client.get(url("passenger", "change", passenger.pk)).content.decode()


# Trips


def test_trip_tells_what_is_expected_paid_and_outstanding(clerk):
    passenger = traveller("300")
    factories.PassengerFactory(trip=passenger.trip)

    shown = clerk("trips.view_payment").get(url("trip", "change", passenger.trip.pk)).content.decode()

    assert "2,000.00 USD expected, 300.00 USD paid," in shown
    assert f"?trip__id__exact={passenger.trip.pk}&amp;money=owes" in shown
    assert "1,700.00 USD outstanding" in shown


def test_new_trip_gets_due_dates_and_says_so(admin_client, settings):
    settings.TRIP_DEPOSIT_DAYS_BEFORE, settings.TRIP_FINAL_DAYS_BEFORE = 120, 60
    page = admin_client.get(url("trip", "add"))

    with time_machine.travel(NOON, tick=False):
        typed = {"name": "Baracoa", "start_date": "2027-03-01", "deposit_due": "2026-09-01"}
        answer = admin_client.post(url("trip", "add"), posted(page, **typed), follow=True)

    trip = Trip.objects.get()
    assert (trip.deposit_due, trip.final_payment_due) == (dt.date(2026, 9, 1), dt.date(2026, 12, 31))
    assert "Due dates counted back from the start: final payment 31 Dec 2026." in answer.content.decode()


def test_changed_trip_keeps_its_empty_due_dates(admin_client, settings):
    settings.TRIP_DEPOSIT_DAYS_BEFORE = 120
    trip = factories.TripFactory()
    where = url("trip", "change", trip.pk)

    admin_client.post(where, posted(admin_client.get(where), destination="Trinidad"))

    trip.refresh_from_db()
    assert (trip.destination, trip.deposit_due) == ("Trinidad", None)


COSTS = ("trips.view_cost", "trips.add_cost", "trips.change_cost", "trips.delete_cost")


def typed_cost(**values):
    row = {"what": "Hotel", "amount": "700", "currency": "USD", "basis": "per_person", **values}
    return {"costs-TOTAL_FORMS": "1", **{f"costs-0-{name}": value for name, value in row.items()}}


def test_cost_is_recorded_on_the_trip_and_the_margin_told(clerk):
    trip = traveller().trip
    where = url("trip", "change", trip.pk)
    client = clerk(*COSTS)

    answer = client.post(where, posted(client.get(where), **typed_cost()))

    assert answer.status_code == 302, answer.context["errors"]
    assert Cost.objects.values_list("what", "amount", "currency", "basis").get() == ("Hotel", 700, "USD", "per_person")
    shown = client.get(where).content.decode()
    assert "1 booked: 300.00 USD (30 %); 20 at capacity: 6,000.00 USD (30 %)" in shown
    assert Cost.history.get().history_user is not None


@pytest.mark.parametrize(
    ("typed", "errors"),
    [
        ({"amount": "0"}, {"amount": ["The amount is 0.00; it must be greater than 0."]}),
        ({"amount": "-1"}, {"amount": ["The amount is -1.00; it must be greater than 0."]}),
        ({"what": ""}, {"what": ["This field is required."]}),
        ({"currency": "12"}, {"currency": ["'12' is not a currency code of three capital letters, such as USD."]}),
    ],
)
def test_cost_that_cannot_be_is_an_error_on_its_field(admin_client, typed, errors):
    where = url("trip", "change", factories.TripFactory().pk)

    answer = admin_client.post(where, posted(admin_client.get(where), **typed_cost(**typed)))

    (costs,) = [inline.formset for inline in answer.context["inline_admin_formsets"]]
    assert (costs.errors, Cost.objects.count()) == ([errors], 0)


def test_costs_and_margins_are_hidden_from_who_may_not_view_them(clerk):
    trip = traveller().trip
    factories.CostFactory(trip=trip, what="secret-hotel", amount="777.77")
    where = url("trip", "change", trip.pk)
    client = clerk("trips.view_payment")

    page = client.get(where)
    client.post(where, posted(page, **typed_cost()))

    shown = page.content.decode()
    assert ("secret-hotel" in shown, "777.77" in shown, "at capacity" in shown) == (False, False, False)
    assert Cost.objects.values_list("what").get() == ("secret-hotel",)


def test_new_cost_is_in_the_currency_of_its_trip(admin_client):
    trip = factories.TripFactory(currency="EUR")

    page = admin_client.get(url("trip", "change", trip.pk))

    (costs,) = [inline.formset for inline in page.context["inline_admin_formsets"]]
    assert costs.empty_form["currency"].value() == "EUR"


def test_a_payment_is_called_by_its_amount_as_everywhere():
    assert str(Payment(amount=Decimal("1950"), currency="USD")) == "1,950.00 USD"
