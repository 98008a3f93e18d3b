"""Lists for others: a trip's reports on paper, and the pages of those across trips, with a real-sized account."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from django.contrib.auth import get_user_model
from django.db.models import Count
from django.test import Client, override_settings
from django.utils import timezone

from bench import rows
from bench.rows import Row
from bench.stage import Stage
from trips.models import Trip
from trips.reports import catalogue, pdf
from trips.reports.stamp import Stamp
from trips.reports.table import Preset, Report, Scope, build, full_title

LINES = 40
PDF_MS, PAGE_MS = 200, 300


def measure(stage: Stage) -> Iterator[Row]:
    trip = Trip.objects.annotate(people=Count("passengers")).order_by("-people", "pk")[0]
    scope = Scope(may=lambda _model: True, today=timezone.localdate(), trip=trip, whole=True)
    for report, presets in catalogue.offered(scope.may, of_trip=True):
        for preset in presets:
            yield _pdf(report, preset, scope, stage.sizes.views)
    client = Client(SERVER_NAME="localhost")
    client.force_login(get_user_model()._default_manager.create_superuser("reports", password="only-here"))
    with override_settings(DEBUG=False):
        for report, presets in catalogue.offered(scope.may, of_trip=False):
            yield _page(client, report, presets[0], stage.sizes.views)


def _pdf(report: Report, preset: Preset, scope: Scope, views: int) -> Row:
    def make() -> tuple[int, int]:
        table = build(report, preset, scope, part=slice(LINES), count=LINES)
        stamp = Stamp("Bench", timezone.now())
        return len(table.rows), len(pdf.write(table, stamp, confidential=report.confidential))

    lines, size = make()  # the first one loads the library and its font
    times = [_timed(make) for _ in range(views)]
    name = f"PDF “{full_title(report, preset)}”"
    return rows.median(name, "ms", times, PDF_MS, f"{lines} rows with their queries, {size / 1024:,.0f} kB")


def _page(client: Client, report: Report, preset: Preset, views: int) -> Row:
    url = f"/reports/{report.code}/{preset.code}/?first=&last="

    def look() -> None:
        if (status := client.get(url).status_code) != 200:
            raise AssertionError(f"{url} answered {status}")

    look()
    times = [_timed(look) for _ in range(views)]
    return rows.median(f"page “{full_title(report, preset)}”, all departures", "ms", times, PAGE_MS)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
