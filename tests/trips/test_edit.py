"""Editing: what two people do to one row, moves between trips, full trips, and locks while saving."""

from __future__ import annotations

import datetime as dt
import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from django.core import signing
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.pages import posted
from tests.trips.postgres import elsewhere, postgresql_only
from trips.forms import LOST, PassengerForm, PassportForm, TripForm
from trips.models import EmergencyContact, HealthRecord, Passenger, Passport, Trip

pytestmark = pytest.mark.django_db


SOURCE = " in GoHighLevel"


def change_url(row):
    return reverse(f"admin:trips_{row._meta.model_name}_change", args=[row.pk])


class Editor:
    """A member of staff with one page open: `type` what they change, others write, then `save`."""

    def __init__(self, client, row):
        self.client, self.url = client, change_url(row)
        self.page = client.get(self.url)

    def save(self, **typed):
        answer = self.client.post(self.url, posted(self.page, **typed))
        if answer.status_code == 200:
            self.page = answer
        return answer

    @property
    def form(self):
        return self.page.context["adminform"].form

    @property
    def inline_forms(self):
        return [form for inline in self.page.context["inline_admin_formsets"] for form in inline.formset.forms]

    def errors(self):
        """Errors by field of each form that has some. Another app may add who it was; that is its own to test."""
        broken = [form.errors for form in (self.form, *self.inline_forms) if form.errors]
        return [{name: [text.replace(SOURCE, "") for text in said] for name, said in form.items()} for form in broken]


@pytest.fixture
def edit(admin_client):
    return lambda row: Editor(admin_client, row)


# Nobody takes back what others changed

MEANWHILE = {
    # field: as it was, as it is by now, as its input shows that
    "destination": ("Havana", "Trinidad", "Trinidad"),
    "description": ("one\ntwo", "one\ntwo\nthree", "one\ntwo\nthree"),
    "start_date": (dt.date(2027, 3, 1), dt.date(2027, 3, 2), "2027-03-02"),
    "capacity": (20, None, ""),
    "stage": ("form_submit", "trip_scheduled", "trip_scheduled"),
    "price_per_person": (Decimal("2450.00"), Decimal("2600.50"), "2600.50"),
}


@pytest.mark.parametrize("field", MEANWHILE)
def test_after_an_error_an_untouched_field_shows_and_keeps_the_database_value(edit, field):
    old, new, shown = MEANWHILE[field]
    trip = factories.TripFactory(**{field: old})
    staff = edit(trip)
    Trip.objects.update(**{field: new})

    staff.save(deposit_amount="-1")

    assert staff.form.errors == {"deposit_amount": ["The deposit of -1 is below 0."]}
    bound = staff.form[field]
    assert str(bound.field.prepare_value(bound.value())) == shown
    assert staff.save(deposit_amount="1").status_code == 302
    kept = Trip.objects.get()
    assert (str(getattr(kept, field)), kept.deposit_amount) == (str(new), 1)


@pytest.mark.parametrize(("old", "new"), [(True, False), (False, True)])
def test_after_an_error_an_untouched_box_shows_the_database_value(edit, old, new):
    contact = factories.ContactFactory(do_not_contact=old)
    staff = edit(contact)
    type(contact).objects.update(do_not_contact=new)

    staff.save(country="12")

    assert staff.form["do_not_contact"].value() is new
    assert bool(re.search(r" checked[ >]", str(staff.form["do_not_contact"]))) is new


def test_after_an_error_an_untouched_choice_of_a_person_shows_the_database_value(edit):
    passenger = factories.PassengerFactory(legal_last_name="Ortiz", trip=None)
    staff = edit(passenger)
    guardian = factories.ContactFactory(first_name="Greta", last_name="Lind")
    Passenger.objects.update(guardian=guardian, is_child=True)

    staff.save(legal_last_name="", legal_first_name="")

    assert "Greta Lind" in str(staff.form["guardian"])
    assert staff.form["is_child"].value() is True
    assert '<option value="true" selected' in str(staff.form["is_child"])


def test_value_shown_after_an_error_can_be_changed(edit):
    trip = factories.TripFactory(destination="Havana")
    staff = edit(trip)
    Trip.objects.update(destination="Trinidad")
    staff.save(deposit_amount="-1")

    assert staff.save(deposit_amount="1", destination="Viñales").status_code == 302

    assert Trip.objects.get().destination == "Viñales"


def test_change_made_while_the_error_was_shown_is_noticed_too(edit):
    trip = factories.TripFactory(destination="Havana")
    staff = edit(trip)
    Trip.objects.update(destination="Trinidad")
    staff.save(deposit_amount="-1")
    Trip.objects.update(destination="Baracoa")

    staff.save(deposit_amount="1", destination="Viñales")

    assert staff.errors() == [{"destination": ["Changed meanwhile to “Baracoa”; save again to keep yours."]}]


@pytest.mark.parametrize(
    ("field", "old", "new", "typed", "words"),
    [
        ("destination", "Havana", "Trinidad", "Viñales", "“Trinidad”"),
        ("destination", "Havana", "", "Viñales", "nothing"),
        ("capacity", 20, 25, "30", "“25”"),
        ("end_date", dt.date(2027, 3, 8), dt.date(2027, 3, 9), "2027-03-10", "9 Mar 2027"),
        ("stage", "form_submit", "trip_scheduled", "trip_complete", "“Trip scheduled”"),
    ],
)
def test_field_changed_by_both_names_the_value_and_keeps_the_typing(edit, field, old, new, typed, words):
    trip = factories.TripFactory(**{field: old})
    staff = edit(trip)
    Trip.objects.update(**{field: new})

    staff.save(**{field: typed})

    assert staff.errors() == [{field: [f"Changed meanwhile to {words}; save again to keep yours."]}]
    assert staff.form[field].value() == typed
    assert staff.save().status_code == 302


def test_same_change_by_both_is_no_error(edit):
    trip = factories.TripFactory(destination="Havana")
    staff = edit(trip)
    Trip.objects.update(destination="Trinidad")

    assert staff.save(destination="Trinidad").status_code == 302


def test_saving_without_changes_writes_nothing(edit):
    passenger = factories.PassportFactory().passenger
    factories.HealthRecordFactory(passenger=passenger)
    factories.EmergencyContactFactory(passenger=passenger)
    rows = [passenger, passenger.passport, passenger.health, passenger.emergency_contacts.get()]
    histories = [row.history.count() for row in rows]

    assert edit(passenger).save().status_code == 302

    assert [row.history.count() for row in rows] == histories
    for row in rows:
        updated = row.updated_at
        row.refresh_from_db()
        assert row.updated_at == updated


def test_text_with_odd_line_ends_and_spaces_counts_as_untouched(edit):
    trip = factories.TripFactory(description="one\r\ntwo\rthree \n", destination=" Havana  ")
    staff = edit(trip)

    assert staff.save(capacity="7", description="one\r\ntwo\r\nthree \r\n").status_code == 302

    stored = Trip.objects.get()
    assert (stored.capacity, stored.description, stored.destination) == (7, "one\r\ntwo\rthree \n", " Havana  ")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "forged",
        signing.dumps({"model": "trips.trip", "pk": "1", "values": {}}, salt="another"),
    ],
)
def test_without_its_digests_nothing_is_saved(edit, token):
    trip = factories.TripFactory(destination="Havana")
    staff = edit(trip)

    staff.save(destination="Viñales", rendered_values=token)

    assert staff.errors() == [{"__all__": [LOST]}]
    assert Trip.objects.get().destination == "Havana"


def test_digests_of_another_row_are_refused(edit):
    trip, other = factories.TripFactory.create_batch(2)
    staff = edit(trip)

    staff.save(destination="Viñales", rendered_values=edit(other).form.initial["rendered_values"])

    assert staff.errors() == [{"__all__": [LOST]}]


def test_digests_do_not_hold_the_values():
    passport = factories.PassportFactory(number="X5551234")
    token = PassportForm(instance=passport).initial["rendered_values"]

    said = signing.loads(token, salt="trips.forms.rendered")

    assert "5551234" not in str(said)
    assert re.fullmatch(r"[0-9a-f]{8}~:[0-9a-f]{32}", said["values"]["number"])


def test_page_shown_under_the_old_key_can_be_saved_under_the_new_one(edit, settings):
    trip = factories.TripFactory(destination="Havana")
    (old,) = settings.FIELD_ENCRYPTION_KEYS
    staff = edit(trip)
    settings.FIELD_ENCRYPTION_KEYS = ["bm90LXRoZS1vbGQta2V5LWJ1dC1hLW5ldy1vbmUtMzI=", old]

    assert staff.save(capacity="7").status_code == 302

    assert Trip.objects.get().destination == "Havana"


def test_form_of_a_new_row_carries_no_digests():
    assert "rendered_values" not in TripForm().initial


# The same for the parts of a passenger


def test_inline_touched_by_both_names_the_value(edit):
    passport = factories.PassportFactory(country="Canada")
    staff = edit(passport.passenger)
    Passport.objects.update(country="Cuba")

    staff.save(**{"passport-0-country": "Peru"})

    assert staff.errors() == [{"country": ["Changed meanwhile to “Cuba”; save again to keep yours."]}]
    assert staff.save().status_code == 302
    assert Passport.objects.get().country == "Peru"


def test_inline_shows_the_database_value_after_an_error_elsewhere(edit):
    passport = factories.PassportFactory(number="X5551111", country="Canada")
    staff = edit(passport.passenger)
    Passport.objects.filter(pk=passport.pk).update(country="Cuba")

    staff.save(legal_first_name="", legal_last_name="")

    (form,) = [form for form in staff.inline_forms if isinstance(form.instance, Passport)]
    assert form["country"].value() == "Cuba"
    assert staff.save(legal_last_name="Ortiz").status_code == 302
    assert Passport.objects.get().country == "Cuba"


def test_inline_without_its_digests_saves_nothing(edit):
    passport = factories.PassportFactory(country="Canada")
    staff = edit(passport.passenger)

    staff.save(**{"passport-0-country": "Peru", "passport-0-rendered_values": "forged"})

    assert staff.errors() == [{"__all__": [LOST]}]
    assert Passport.objects.get().country == "Canada"


def test_passport_made_meanwhile_is_not_overwritten(edit):
    passenger = factories.PassengerFactory()
    staff = edit(passenger)
    factories.PassportFactory(passenger=passenger, number="X5551111")

    answer = staff.save(
        **{"passport-TOTAL_FORMS": "1", "passport-0-number": "X5552222", "passport-0-passenger": passenger.pk}
    )

    assert answer.status_code == 200
    assert staff.errors() != []
    assert Passport.objects.get().number == "X5551111"


def test_emergency_contact_deleted_meanwhile_does_not_crash_the_save(edit):
    contact = factories.EmergencyContactFactory()
    staff = edit(contact.passenger)
    EmergencyContact.objects.all().delete()

    answer = staff.save(**{"emergency_contacts-0-relationship": "Aunt"})

    assert answer.status_code == 200
    assert not EmergencyContact.objects.exists()


def test_health_record_is_made_only_when_there_is_a_value(edit):
    passenger = factories.PassengerFactory()
    part = {"health-TOTAL_FORMS": "1", "health-0-passenger": passenger.pk}

    assert edit(passenger).save(**part).status_code == 302
    assert not HealthRecord.objects.exists()

    assert edit(passenger).save(**part, **{"health-0-diet": "vegan"}).status_code == 302
    assert HealthRecord.objects.get().diet == "vegan"


# Moves between trips


def test_moved_passenger_gets_a_number_of_the_new_trip(edit):
    passenger = factories.TripFactory(passengers=1).passengers.get()
    there = factories.TripFactory(name="Baracoa", passengers=2)

    answer = edit(passenger).save(trip=there.pk)

    assert answer.status_code == 302
    passenger.refresh_from_db()
    assert (passenger.trip, passenger.number) == (there, 3)
    assert f"{passenger} has number 3 on Baracoa." in [str(m) for m in answer.wsgi_request._messages]


def test_number_typed_with_the_move_is_kept(edit):
    passenger = factories.PassengerFactory(number=1)
    there = factories.TripFactory(passengers=2)

    assert edit(passenger).save(trip=there.pk, number="17").status_code == 302

    passenger.refresh_from_db()
    assert passenger.number == 17


def test_number_typed_with_the_move_must_be_free_there(edit):
    passenger = factories.PassengerFactory(number=5)
    there = factories.TripFactory(passengers=2)
    staff = edit(passenger)

    staff.save(trip=there.pk, number="2")

    second = there.passengers.get(number=2)
    assert staff.errors() == [{"number": [f"Number 2 on this trip is {second.legal_name}'s."]}]


def test_passenger_taken_off_a_trip_has_no_number(edit):
    passenger = factories.PassengerFactory(number=4)

    assert edit(passenger).save(trip="").status_code == 302

    passenger.refresh_from_db()
    assert (passenger.trip, passenger.number) == (None, None)


def test_emptied_number_takes_the_next_free_one(edit):
    trip = factories.TripFactory(passengers=3)

    assert edit(trip.passengers.get(number=1)).save(number="").status_code == 302

    assert sorted(trip.passengers.values_list("number", flat=True)) == [2, 3, 4]


def test_number_stays_when_something_else_changes(edit):
    numbered, unnumbered = factories.PassengerFactory(number=4), factories.PassengerFactory(number=None)

    for passenger in (numbered, unnumbered):
        assert edit(passenger).save(preferred_name="Addie").status_code == 302
        assert edit(passenger).save(attendance="waitlisted").status_code == 302

    assert list(Passenger.objects.order_by("pk").values_list("number", flat=True)) == [4, None]


def test_move_of_somebody_whom_others_moved_meanwhile_is_an_error(edit):
    passenger = factories.PassengerFactory(number=4)
    there, elsewhere_too = factories.TripFactory(name="Baracoa"), factories.TripFactory(name="Trinidad")
    staff = edit(passenger)
    Passenger.objects.update(trip=elsewhere_too)

    staff.save(trip=there.pk)

    assert staff.errors() == [{"trip": ["Changed meanwhile to “Trinidad”; save again to keep yours."]}]


# Full trips


@pytest.fixture
def clerk(client):
    """A member of staff who may not overbook."""
    names = ("view_passenger", "add_passenger", "change_passenger", "view_trip", "view_contact")
    client.force_login(factories.StaffFactory(permissions=[f"trips.{name}" for name in names]))
    return client


FULL = "Baracoa has 1 seats and 1 other passengers booked. Put this one on the waiting list."


def test_last_seat_is_not_sold_twice(clerk):
    trip = factories.TripFactory(name="Baracoa", capacity=1, passengers=1)
    contact = factories.ContactFactory()
    where = reverse("admin:trips_passenger_add")
    typed = {"legal_last_name": "Ortiz", "contact": contact.pk, "trip": trip.pk}

    page = clerk.post(where, posted(clerk.get(where), **typed))

    assert page.context["adminform"].form.errors == {"attendance": [FULL]}
    assert clerk.post(where, posted(page, attendance="waitlisted")).status_code == 302


def test_who_may_overbook_is_warned(edit):
    trip = factories.TripFactory(name="Baracoa", capacity=1, passengers=1)
    passenger = factories.PassengerFactory()

    answer = edit(passenger).save(trip=trip.pk)

    assert answer.status_code == 302
    assert FULL in [str(message) for message in answer.wsgi_request._messages]


def test_full_trip_does_not_hinder_other_changes_of_those_on_it(clerk):
    trip = factories.TripFactory(capacity=1, passengers=2)
    staff = Editor(clerk, trip.passengers.first())

    assert staff.save(preferred_name="Addie").status_code == 302


def test_somebody_waiting_is_not_booked_on_a_full_trip(clerk):
    trip = factories.TripFactory(name="Baracoa", capacity=1, passengers=1)
    staff = Editor(clerk, factories.PassengerFactory(trip=trip, attendance="waitlisted"))

    staff.save(attendance="booked")

    assert staff.errors() == [{"attendance": [FULL]}]


@pytest.mark.django_db(transaction=True)
@postgresql_only
def test_two_at_once_do_not_both_get_the_last_seat():
    trip = factories.TripFactory(name="Baracoa", capacity=2, passengers=1)
    names = [f"trips.{name}" for name in ("view_passenger", "add_passenger", "view_trip", "view_contact")]
    where = reverse("admin:trips_passenger_add")
    requests = []
    for _ in range(2):
        client = Client()
        client.force_login(factories.StaffFactory(permissions=names))
        typed = {"legal_last_name": "Ortiz", "contact": factories.ContactFactory().pk, "trip": trip.pk}
        requests.append((client, posted(client.get(where), **typed)))
    together = Barrier(2)

    def post(request):
        client, data = request
        together.wait(timeout=10)
        try:
            return client.post(where, data).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(post, requests))

    assert sorted(answers) == [200, 302]
    assert sorted(trip.passengers.values_list("number", flat=True)) == [1, 2]


# Locks


@pytest.mark.django_db(transaction=True)
@postgresql_only
@pytest.mark.parametrize("model", [Passenger, Passport, HealthRecord, EmergencyContact, Trip])
def test_row_and_parts_are_held_from_reading_to_saving(edit, monkeypatch, model):
    passenger = factories.PassengerFactory()
    factories.PassportFactory(passenger=passenger)
    factories.HealthRecordFactory(passenger=passenger)
    factories.EmergencyContactFactory(passenger=passenger)
    there = factories.TripFactory()
    staff = edit(passenger)
    refused = []

    def try_to_write() -> None:
        from django.db import transaction

        try:
            with transaction.atomic():
                list(model.objects.order_by("-pk")[:1].select_for_update(nowait=True).values_list("pk"))
        except OperationalError:
            refused.append(model)

    saving = Passenger.save

    def save(self, *args, **kwargs):
        elsewhere(try_to_write)
        saving(self, *args, **kwargs)

    monkeypatch.setattr(Passenger, "save", save)

    assert staff.save(trip=there.pk).status_code == 302

    assert refused == [model]


def test_form_outside_a_transaction_holds_nothing():
    trip = factories.TripFactory()
    form = PassengerForm({"legal_last_name": "Ortiz", "trip": trip.pk})

    form.is_valid()

    assert form.cleaned_data["trip"] == trip
