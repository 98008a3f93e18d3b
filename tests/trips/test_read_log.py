"""The read log: what is out of sight until somebody says what for, what is noted of each look; that it only grows."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.urls import reverse

from tests import factories
from tests.pages import Read, posted, read_log, reveal
from trips.enums import ReadKind
from trips.models import HealthRecord, Passport, ReadEntry
from trips.models.read_entry import AppendOnly
from trips.services import reading

pytestmark = pytest.mark.django_db

LOG = "admin:trips_readentry_changelist"
PARTS = {"passport": "trips.passport", "health": "trips.healthrecord"}


@pytest.fixture
def traveller():
    passport = factories.PassportFactory(number="X5559876")
    factories.HealthRecordFactory(passenger=passport.passenger, diet="rare-diet")
    return passport.passenger


def page_of(passenger):
    return reverse("admin:trips_passenger_change", args=[passenger.pk])


def reveal_url(passenger, word):
    return reverse("admin:trips_passenger_reveal", args=[passenger.pk, word])


def shown(client, passenger):
    html = client.get(page_of(passenger)).content.decode()
    return [word in html for word in ("X5559876", "rare-diet")]


def test_number_and_health_are_shown_to_who_says_what_for(admin_client, admin_user, traveller):
    assert shown(admin_client, traveller) == [False, False]
    asked = admin_client.get(reveal_url(traveller, "passport")).content.decode()

    answer = admin_client.post(reveal_url(traveller, "passport"), {"reason": "booking"})

    assert "What do you need the passport number for?" in asked
    assert (answer.status_code, answer["Location"]) == (302, f"{page_of(traveller)}#passport")
    assert shown(admin_client, traveller) == [True, False]
    reveal(admin_client, traveller, "health")
    assert shown(admin_client, traveller) == [True, True]
    people = [traveller.pk]
    assert read_log() == [
        Read(admin_user, "record", shows="trips.passport", reason="booking", people=people),
        Read(admin_user, "record", shows="trips.healthrecord", reason="checking", people=people),
    ]


def test_log_holds_the_address_that_the_nearest_proxy_saw(admin_client, traveller, settings):
    settings.PROXIES = 1
    url = reveal_url(traveller, "health")

    admin_client.post(url, {"reason": "asked"}, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})

    assert ReadEntry.objects.get().address == "198.51.100.7"


@pytest.mark.parametrize("reason", ["", "curiosity"])
def test_nothing_is_shown_or_noted_without_a_reason(admin_client, traveller, reason):
    answer = admin_client.post(reveal_url(traveller, "health"), {"reason": reason})

    assert answer.status_code == 200
    assert (shown(admin_client, traveller), read_log()) == ([False, False], [])


def test_what_was_revealed_is_shown_for_a_quarter_of_an_hour_to_this_sign_in(admin_client, client, traveller):
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        reveal(admin_client, traveller, "health")
        clock.shift(14 * 60)
        assert shown(admin_client, traveller) == [False, True]
        clock.shift(2 * 60)
        assert shown(admin_client, traveller) == [False, False]
    client.force_login(factories.UserFactory(is_staff=True, is_superuser=True))
    assert shown(client, traveller) == [False, False]


def test_page_loaded_in_time_is_saved_later_and_loses_nothing(admin_client, traveller):
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        for word in PARTS:
            reveal(admin_client, traveller, word)
        page = admin_client.get(page_of(traveller))
        clock.shift(40 * 60)

        typed = {"passport-0-number": "X5550001", "health-0-diet": "Vegan"}
        answer = admin_client.post(page_of(traveller), posted(page, **typed))

    assert answer.status_code == 302
    assert (Passport.objects.get().number, HealthRecord.objects.get().diet) == ("X5550001", "Vegan")


def test_rest_of_the_page_is_saved_with_both_out_of_sight(admin_client, traveller):
    page = admin_client.get(page_of(traveller))

    typed = {
        "preferred_name": "Addie",
        "passport-0-country": "France",
        "passport-0-number": "X1",
        "health-0-diet": "no",
    }
    answer = admin_client.post(page_of(traveller), posted(page, **typed))

    traveller.refresh_from_db()
    passport = Passport.objects.get()
    assert answer.status_code == 302
    assert (traveller.preferred_name, passport.country) == ("Addie", "France")
    assert (passport.number, HealthRecord.objects.get().diet) == ("X5559876", "rare-diet")


@pytest.mark.parametrize("word", PARTS)
def test_revealing_takes_the_permission_of_the_data(client, traveller, word):
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger"]))

    answers = [client.get(reveal_url(traveller, word)), client.post(reveal_url(traveller, word), {"reason": "asked"})]

    assert ([answer.status_code for answer in answers], read_log()) == ([403, 403], [])


def test_revealing_what_is_not_there_is_not_found(admin_client, traveller):
    assert admin_client.get(f"{page_of(traveller)[:-7]}reveal/salary/").status_code == 404
    assert admin_client.get(reverse("admin:trips_passenger_reveal", args=[0, "health"])).status_code == 404


def test_search_of_people_is_noted_once_and_not_in_readable_words(admin_client, admin_user):
    for number in range(30):
        factories.PassengerFactory(legal_last_name=f"Quist-{number}")
    people, trips = reverse("admin:trips_passenger_changelist"), reverse("admin:trips_trip_changelist")

    for url in (f"{people}?q=quist", f"{people}?q=quist&p=2", people, f"{trips}?q=havana"):
        admin_client.get(url)
    admin_client.get(reverse("trips:find"), {"q": "quist"})

    assert read_log() == [Read(admin_user, "search", "quist"), Read(admin_user, "search", "quist")]
    assert "quist" not in str(list(ReadEntry.objects.extra(select={"raw": "what"}).values_list("raw", flat=True)))


def test_export_notes_whose_passports_left(admin_client, admin_user, traveller):
    other = factories.PassengerFactory()
    url = reverse("admin:trips_passenger_export")
    columns = admin_client.get(url).context["columns"]
    passports = [name for name, label, _chosen in columns if "passport" in label.lower()]

    admin_client.post(url, {"column": ["legal_last_name"], "format": "csv"})
    admin_client.post(url, {"column": passports, "format": "csv"})

    people = [traveller.pk, other.pk]
    log = read_log()
    assert [sorted(entry.people) for entry in log] == [people, people]
    for entry in log:
        entry.people = people
    assert log == [
        Read(admin_user, "export", "2 passengers as csv", people=people),
        Read(admin_user, "export", "2 passengers as csv", shows="trips.passport", people=people),
    ]


def test_log_tells_of_one_traveller_who_looked_and_what_for(admin_client, client, traveller):
    reveal(admin_client, traveller, "passport")
    request = admin_client.get("/").wsgi_request
    reading.note(request, ReadKind.REPORT, people=[traveller.pk, 0], what="Manifest")
    reading.note(request, ReadKind.REPORT, people=[0], what="Another")

    led = admin_client.get(f"/trips/passenger/{traveller.pk}/to-readers/")
    page = admin_client.get(led["Location"])
    passports = admin_client.get(reverse(LOG), {"shows": "trips.passport"})

    assert [entry.what for entry in page.context["cl"].result_list] == ["Manifest", ""]
    assert [entry.reason for entry in passports.context["cl"].result_list] == ["checking"]
    html = page.content.decode()
    assert str(traveller.legal_last_name) in html
    assert "2 travellers" in html
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger"]))
    assert client.get(reverse(LOG)).status_code == 403
    assert "/to-readers" not in client.get(page_of(traveller)).content.decode()


def test_log_outlives_the_traveller(admin_client, traveller):
    reveal(admin_client, traveller, "passport")
    pk = traveller.pk
    traveller.delete()

    page = admin_client.get(reverse(LOG), {"passenger": pk})

    assert page.context["cl"].result_count == 1
    assert f"passenger {pk}, deleted" in page.content.decode()


def test_log_only_grows(admin_client, traveller):
    reveal(admin_client, traveller, "passport")
    entry = ReadEntry.objects.get()

    for change in (entry.save, entry.delete, ReadEntry.objects.all().delete, ReadEntry.objects.all().update):
        with pytest.raises(AppendOnly):
            change()
    url = reverse("admin:trips_readentry_change", args=[entry.pk])
    assert admin_client.post(url, {"reason": ""}).status_code == 403
    assert (
        admin_client.post(reverse("admin:trips_readentry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403
    )
    assert len(read_log()) == 1


@pytest.mark.parametrize("entries", [1, 3])
def test_log_takes_the_same_queries_for_one_and_for_three(admin_client, traveller, django_assert_num_queries, entries):
    for _ in range(entries):
        reveal(admin_client, traveller, "passport")

    with django_assert_num_queries(5):
        page = admin_client.get(reverse(LOG))

    assert page.context["cl"].result_count == entries
