"""The office's main pages with a real-sized account: queries, and milliseconds inside the server."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Count
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bench import larger, rows
from bench.rows import Row
from bench.stage import Stage
from trips.admin.lists import MOST_COUNTED
from trips.models import Contact, Passenger, Trip

# Staff should never wait for a page; the network and the browser's own work come on top.
LIMIT_MS, LARGE_LIMIT_MS = 300, 500


def measure(stage: Stage) -> Iterator[Row]:
    yield from _measure(stage, LIMIT_MS)


def measure_large(stage: Stage) -> Iterator[Row]:
    """The same pages with every record of the account a hundred times."""
    started = time.perf_counter()
    larger.furnish()
    larger.multiply(stage.sizes.times)
    counts = f"{Trip.objects.count():,} trips, {Passenger.objects.count():,} passengers"
    yield Row("making the account larger", "s", time.perf_counter() - started, note=counts)
    yield from _measure(stage, LARGE_LIMIT_MS)


def _measure(stage: Stage, limit: int) -> Iterator[Row]:
    client = Client(SERVER_NAME="localhost")
    client.force_login(get_user_model()._default_manager.create_superuser("bench", password="only-here"))
    with override_settings(DEBUG=False):  # else Django keeps a log of its queries, which production does not
        for name, url in _pages().items():
            yield _page(client, name, url, stage.sizes.views, limit)


def _pages() -> dict[str, str]:
    largest = Trip.objects.annotate(people=Count("passengers")).order_by("-people", "pk")
    trip, passenger = largest[0], Passenger.objects.filter(trip__isnull=False).order_by("pk")[0]
    middle = max(min(Passenger.objects.count(), MOST_COUNTED) // 50, 1)
    given, family = passenger.legal_first_name, passenger.legal_last_name
    contact = Contact.objects.exclude(last_name="").order_by("pk")[0]
    trips, passengers, contacts = (
        reverse(f"admin:trips_{name}_changelist") for name in ("trip", "passenger", "contact")
    )
    return {
        "home": reverse("admin:index"),
        "trip list": trips,
        "trip list, searched": f"{trips}?q={trip.name.split()[0]}",
        "passenger list": passengers,
        "passenger list, searched": f"{passengers}?q={passenger.legal_last_name}",
        "passenger list, searched by a part of both names": f"{passengers}?q={family[:4]}+{given[:3]}",
        "passenger list, half-way through": f"{passengers}?p={middle}",
        "passengers whose papers are not complete": f"{passengers}?look=documents&departs=upcoming",
        "passengers who are overdue": f"{passengers}?money=overdue",
        "passengers who owe money": f"{passengers}?money=owes",
        "passengers whose passport is short": f"{passengers}?look=passport&departs=upcoming",
        "trips that are not ready": f"{trips}?look=not_ready&departs=upcoming",
        "board of trips": reverse("admin:trips_trip_board"),
        "board of passengers": reverse("admin:trips_passenger_board"),
        "calendar, a quarter": f"{reverse('admin:trips_trip_calendar')}?show=quarter",
        "contact list, searched": f"{contacts}?q={contact.last_name}",
        f"page of the largest trip ({trip.people} people)": reverse("admin:trips_trip_change", args=(trip.pk,)),
        "timeline of the largest trip": reverse("admin:trips_trip_timeline", args=(trip.pk,)),
        "programme of the largest trip": reverse("admin:trips_trip_programme", args=(trip.pk,)),
        "passengers of the largest trip": reverse("admin:trips_trip_passengers", args=(trip.pk,)),
        "documents of the largest trip": reverse("admin:trips_trip_filing", args=(trip.pk,)),
        "OFAC packs of the largest trip": reverse("admin:trips_trip_ofac", args=(trip.pk,)),
        "papers of the largest trip, to be made": f"{reverse('admin:trips_paperrun_ask')}?trip={trip.pk}",
        "page of a passenger": reverse("admin:trips_passenger_change", args=(passenger.pk,)),
        "emergency card of a passenger": reverse("admin:trips_passenger_emergency", args=(passenger.pk,)),
        "rooming of the largest trip": reverse("admin:trips_trip_rooming", args=(trip.pk,)),
        "find, two parts of a name": f"{reverse('trips:find')}?q={family[:4]}+{given[:3]}",
        "work list “Not linked to a trip”": reverse("admin:trips_passenger_unlinked"),
        "sync desk": reverse("admin:ghl_sync_desk"),
        "synced records": reverse("admin:ghl_sync_link_changelist"),
    }


def _page(client: Client, name: str, url: str, views: int, limit: int) -> Row:
    _look(client, url)  # the first view compiles the templates
    with CaptureQueriesContext(connection) as queries:
        size = _look(client, url)
        count = len(queries)
    times = []
    for _ in range(views):
        started = time.perf_counter()
        _look(client, url)
        times.append((time.perf_counter() - started) * 1000)
    return rows.median(name, "ms", times, limit, f"{count} queries, {size / 1024:,.0f} kB")


def _look(client: Client, url: str) -> int:
    answer = client.get(url)
    if answer.status_code != 200:
        raise AssertionError(f"{url} answered {answer.status_code}")
    return len(answer.content)
