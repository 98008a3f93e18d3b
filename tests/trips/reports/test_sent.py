from __future__ import annotations

import hashlib

import pytest
from django.db import connection
from django.urls import reverse

from tests import factories
from tests.trips.reports.conftest import traveller
from trips.enums import Attendance
from trips.models import SentReport

pytestmark = pytest.mark.django_db
PASSPORTS = ("trips.view_passport", "trips.change_passport")


def send(client, trip, preset="hotel", **typed):
    return client.post(reverse("trips:trip_report_file", args=[trip.pk, "manifest", preset]), typed)


def page(client, trip, preset="hotel"):
    return client.get(reverse("trips:trip_report", args=[trip.pk, "manifest", preset]))


def compared(client, copy):
    return client.get(reverse("trips:sent_copy", args=[copy.pk]))


def test_file_is_kept_only_with_the_box_ticked(clerk, baracoa):
    traveller(baracoa, "Ada", "Almqvist")
    client = clerk()

    send(client, baracoa, format="csv")
    assert not SentReport.objects.exists()

    answer = send(client, baracoa, format="csv", sent="yes")

    copy = SentReport.objects.get()
    assert (copy.title, copy.format, copy.row_count, copy.trip, copy.by) == (
        "Manifest, for the hotel",
        "csv",
        1,
        baracoa,
        answer.wsgi_request.user,
    )
    assert copy.sha256 == hashlib.sha256(answer.content).hexdigest()


def test_rows_of_a_copy_cannot_be_read_in_the_database(clerk, baracoa):
    factories.PassportFactory(passenger=traveller(baracoa, "Wilhelmina", "Almqvist"), number="X5559876")

    send(clerk(*PASSPORTS), baracoa, "airline", format="csv", sent="yes")

    with connection.cursor() as cursor:
        cursor.execute("select rows from trips_sentreport")
        (stored,) = cursor.fetchone()
    assert "X5559876" in SentReport.objects.get().rows
    assert ("X5559876" in stored, "WILHELMINA" in stored) == (False, False)


def test_comparison_names_who_came_who_went_and_what_changed(clerk, baracoa):
    ada, bruno = traveller(baracoa, "Ada", "Almqvist", sex="F"), traveller(baracoa, "Bruno", "Baptiste")
    client = clerk()
    send(client, baracoa, format="page")

    ada.sex, ada.roommate_request = "X", "Carla"
    ada.save(update_fields=["sex", "roommate_request"])
    bruno.attendance = Attendance.CANCELLED
    bruno.save(update_fields=["attendance"])
    traveller(baracoa, "Carla", "Cortez")
    found = compared(client, SentReport.objects.get()).context["found"]

    assert [row.name for row in found.added] == ["Carla Cortez"]
    assert found.removed == ("Bruno Baptiste",)
    assert [(row.name, [(e.label, e.before, e.after) for e in row.edits]) for row in found.changed] == [
        ("Ada Almqvist", [("Sex", "F", "X"), ("Wants to share with", "", "Carla")])
    ]
    assert "1 added, 1 no longer on it, 1 changed since" in page(client, baracoa).content.decode()


def test_nothing_is_different_straight_after_sending(clerk, baracoa):
    factories.PassportFactory(passenger=traveller(baracoa, "Ada", "Almqvist"))
    client = clerk(*PASSPORTS)

    send(client, baracoa, "airline", format="xlsx", sent="yes")

    assert compared(client, SentReport.objects.get()).context["found"].summary == "nothing is different"


def test_comparison_shows_no_number_whole(clerk, baracoa):
    passport = factories.PassportFactory(passenger=traveller(baracoa, "Ada", "Almqvist"), number="X5551111")
    client = clerk(*PASSPORTS)
    send(client, baracoa, "airline", format="csv", sent="yes")
    passport.number = "X5552222"
    passport.save(update_fields=["number"])

    text = compared(client, SentReport.objects.get()).content.decode()

    assert ("••1111" in text, "••2222" in text) == (True, True)
    assert ("X5551111" in text, "X5552222" in text) == (False, False)


def test_copy_is_refused_to_whoever_may_not_have_the_report(clerk, baracoa):
    factories.PassportFactory(passenger=traveller(baracoa, "Ada", "Almqvist"))
    send(clerk(*PASSPORTS), baracoa, "airline", format="csv", sent="yes")

    assert compared(clerk(), SentReport.objects.get()).status_code == 403


def test_column_that_somebody_may_not_see_is_not_compared(clerk, baracoa):
    passport = factories.PassportFactory(passenger=traveller(baracoa, "Ada", "Almqvist"), country="Canada")
    send(clerk(*PASSPORTS), baracoa, format="csv", sent="yes")
    passport.country = "Mexico"
    passport.save(update_fields=["country"])

    answer = compared(clerk(), SentReport.objects.get())

    assert answer.context["found"].summary == "nothing is different"
    assert answer.context["found"].apart == ("Nationality",)


def test_copy_of_a_deleted_trip_stays_and_says_that_it_cannot_be_compared(clerk, baracoa):
    client = clerk()
    send(client, baracoa, format="page")
    baracoa.delete()

    copy = SentReport.objects.get()

    assert (copy.trip, copy.about) == (None, "Baracoa, Cuba, 1 Mar 2027 – 8 Mar 2027")
    assert compared(client, copy).status_code == 404


def test_copy_of_a_range_of_days_stays_on_its_page_and_is_compared_for_those_days(clerk, baracoa):
    traveller(baracoa, "Ada", "Almqvist")
    client = clerk("trips.view_document")
    address = reverse("trips:office_report", args=["documents", "all"])
    days = "?first=2027-01-01&last=2027-12-31"
    client.post(f"{reverse('trips:office_report_file', args=['documents', 'all'])}{days}", {"format": "page"})
    traveller(baracoa, "Bruno", "Baptiste")

    same, other = client.get(address + days), client.get(f"{address}?first=2026-01-01&last=2027-12-31")

    assert [told for _copy, told in same.context["copies"]] == ["1 added"]
    assert [told for _copy, told in other.context["copies"]] == [""]
    assert compared(client, SentReport.objects.get()).context["found"].summary == "1 added"


def test_list_of_everything_sent_shows_no_row_and_takes_no_edit(clerk, baracoa):
    traveller(baracoa, "Wilhelmina", "Almqvist")
    client = clerk("trips.view_sentreport", "trips.change_sentreport", "trips.delete_sentreport")
    send(client, baracoa, format="page")
    copy = SentReport.objects.get()

    listed = client.get(reverse("admin:trips_sentreport_changelist")).content.decode()
    opened = client.get(reverse("admin:trips_sentreport_change", args=[copy.pk])).content.decode()
    statuses = [
        client.post(reverse("admin:trips_sentreport_change", args=[copy.pk]), {"title": "other"}).status_code,
        client.post(reverse("admin:trips_sentreport_delete", args=[copy.pk]), {"post": "yes"}).status_code,
        client.get(reverse("admin:trips_sentreport_add")).status_code,
    ]

    assert reverse("trips:sent_copy", args=[copy.pk]) in listed
    assert ["Wilhelmina" in page for page in (listed, opened)] == [False, False]
    assert statuses == [403, 403, 403]
