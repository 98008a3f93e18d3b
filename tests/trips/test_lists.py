"""Long lists: counted as far as staff read the number, and searched by one index a way."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.db.utils import NotSupportedError, ProgrammingError
from django.urls import reverse

from tests import factories
from trips.admin import lists
from trips.admin.lists import AtLeast, counted
from trips.models import Trip

pytestmark = pytest.mark.django_db

TRIPS = "admin:trips_trip_changelist"


@pytest.fixture
def four_of_three(monkeypatch):
    """Four trips where counting stops at three, and two fit a page."""
    monkeypatch.setattr(lists.counted, "__defaults__", (3,))
    monkeypatch.setattr(admin.site.get_model_admin(Trip), "list_per_page", 2)
    for name in ("Ana", "Bea", "Cas", "Dea"):
        factories.TripFactory(name=name)


@pytest.mark.parametrize("refusal", [ProgrammingError("permission denied"), NotSupportedError("not available")])
def test_an_upgrade_that_may_not_or_cannot_install_trigrams_says_what_to_do(refusal):
    def refuse(_sql):
        raise refusal

    editor = SimpleNamespace(connection=SimpleNamespace(vendor="postgresql"), execute=refuse)

    with pytest.raises(ProgrammingError, match=r"Have its administrator run \"CREATE EXTENSION pg_trgm\""):
        import_module("trips.migrations.0023_find_words_by_trigrams").make(None, editor)


@pytest.mark.parametrize(("rows", "told", "more"), [(2, "2", False), (3, "2+", True)])
def test_counting_stops_at_its_limit(rows, told, more):
    factories.TripFactory.create_batch(rows)

    found = counted(Trip.objects.all(), 2)

    assert (str(found), found, isinstance(found, AtLeast)) == (told, 2, more)


def test_a_thousand_reads_with_its_comma():
    assert str(AtLeast(20_000)) == "20,000+"


def test_a_list_beyond_the_limit_says_so_and_counts_nothing_beside_its_filters(admin_client, four_of_three):
    page = admin_client.get(reverse(TRIPS))

    html = page.content.decode()
    assert "3+" in html
    assert "Select all 3+ trips" in html
    assert page.context["cl"].add_facets is False
    assert len(page.context["cl"].result_list) == 2


def test_all_of_a_list_beyond_the_limit_are_taken_when_all_were_asked_for(admin_client, four_of_three):
    ticked = [str(trip.pk) for trip in Trip.objects.all()[:2]]

    admin_client.post(
        reverse(TRIPS), {"action": "archive_selected", "_selected_action": ticked, "select_across": "1", "index": "0"}
    )

    assert Trip.objects.filter(archived_at__isnull=False).count() == 4


def test_a_page_beyond_the_limit_is_not_offered(admin_client, four_of_three):
    answer = admin_client.get(reverse(TRIPS), {"p": "3"})

    assert (answer.status_code, answer["Location"]) == (302, "/trips/trip/?e=1")


def test_a_search_that_finds_many_finds_the_same(admin_client, monkeypatch, four_of_three):
    monkeypatch.setattr(lists, "FEW", 0)
    monkeypatch.setattr(lists, "MOST_COUNTED", 3)

    page = admin_client.get(reverse(TRIPS), {"q": "a"})

    assert [str(trip) for trip in page.context["cl"].result_list] == ["Dea", "Cas"]


@pytest.mark.parametrize(("most", "told"), [(3, False), (4, True)])
def test_a_filter_of_a_long_table_counts_no_further_answers(admin_client, monkeypatch, most, told):
    factories.TripFactory.create_batch(4, organiser=None)
    monkeypatch.setattr(lists, "MOST_ASKED_AGAIN", most)

    page = admin_client.get(reverse(TRIPS), {"look": "no_organiser"})

    assert (page.context["cl"].result_count, page.context["cl"].add_facets) == (4, told)


@pytest.mark.parametrize(("text", "name"), [("ana", "Ana Ortiz"), ("ana@", "Bea Lind"), ("ana.r", "Cas Moe")])
def test_a_word_means_an_address_only_where_it_looks_like_one(admin_client, text, name):
    factories.PassengerFactory(legal_first_name="Ana", legal_last_name="Ortiz", contact__email="o@example.com")
    factories.PassengerFactory(legal_first_name="Bea", legal_last_name="Lind", contact__email="ana@example.com")
    factories.PassengerFactory(legal_first_name="Cas", legal_last_name="Moe", contact__email="ana.r@example.com")

    page = admin_client.get(reverse("admin:trips_passenger_changelist"), {"q": text})

    assert [str(row) for row in page.context["cl"].result_list] == [name]


def test_a_long_text_is_searched_and_finds_nothing(admin_client):
    factories.TripFactory(name="Ana")

    page = admin_client.get(reverse(TRIPS), {"q": "ana " * 500})

    assert page.status_code == 200
    assert page.context["cl"].result_count == 0


def test_vendors_to_look_at_are_marked_in_words(admin_client):
    factories.VendorFactory(name="Harbour Tours", needs_review=True)
    factories.VendorFactory(name="Old Quarter Guides", needs_review=False)

    page = admin_client.get(reverse("admin:trips_vendor_changelist")).content.decode()

    assert page.count("Look at it") == 1


def test_list_without_reminders_says_how_to_send_one(admin_client):
    page = admin_client.get(reverse("admin:trips_reminder_changelist")).content.decode()

    assert "No reminder was sent yet" in page
    assert "Tick passengers in their list and choose “Remind of what is missing…”." in page
