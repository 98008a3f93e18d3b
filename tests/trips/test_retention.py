"""Retention: what is due when, who keeps theirs, what never goes, and that a dry run changes nothing."""

from __future__ import annotations

import datetime as dt
import io
import json

import pytest
import time_machine
from django.core.management import call_command
from django_q.models import Schedule

from tests import factories
from tests.everything import holders
from trips.enums import Attendance, BatchKind, DocumentKind
from trips.models import (
    Document,
    Erasure,
    HealthRecord,
    Passport,
    ReadEntry,
    Reminder,
    SentReport,
    TravellerForm,
)
from trips.receivers import install_schedules
from trips.services import reading, retention
from trips.services.batches import recorded

pytestmark = pytest.mark.django_db
ENDED = dt.date(2027, 3, 8)  # the last day of the factories' trips
LICENCE = "Support for the Cuban People"


@pytest.fixture(autouse=True)
def _days(settings):
    for name in retention.SETTINGS:
        setattr(settings, name, None)


def on(days):
    """So many days after the trip's end."""
    return time_machine.travel(dt.datetime.combine(ENDED, dt.time(12), dt.UTC) + dt.timedelta(days=days), tick=False)


def a_traveller(**values):
    """One of whom each kind holds something."""
    one = factories.PassengerFactory(**values)
    factories.PassportFactory(passenger=one, number="ZQ7770123")
    factories.HealthRecordFactory(passenger=one, diet="peanutbane")
    factories.DocumentFactory(passenger=one, kind=DocumentKind.PASSPORT_SCAN)
    factories.DocumentFactory(passenger=one, kind=DocumentKind.MOU)
    TravellerForm.objects.create(
        passenger=one, state="accepted", secret_hash=f"{one.pk:064}", expires_at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
        answers=json.dumps({"details": {}, "passport": {"number": "ZQ7770123"}, "health": {"diet": "peanutbane"}}),
        base=json.dumps({"health": {"diet": "peanutbane"}}),
    )  # fmt: skip
    Reminder.objects.create(passenger=one, kind="gaps", recipient="a@example.com", subject="Dear", body="Dear")
    return one


def counts():
    models = (HealthRecord, Passport, Document, TravellerForm, Reminder, SentReport, ReadEntry)
    return {model._meta.model_name: model.objects.count() for model in models if model.objects.count()}


ALL = {"healthrecord": 1, "passport": 1, "document": 2, "travellerform": 1, "reminder": 1}


def test_everything_is_kept_until_a_setting_says_otherwise():
    a_traveller()
    with on(20_000):
        assert ([due.days for due in retention.look()], retention.run()) == ([None] * 10, ({}, False))
    assert (counts(), Erasure.objects.count()) == (ALL, 0)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("RETENTION_HEALTH_DAYS", {**ALL, "healthrecord": 0}),
        ("RETENTION_SCAN_DAYS", {**ALL, "passport": 0, "document": 1}),
        ("RETENTION_PAPER_DAYS", {**ALL, "document": 1}),
        ("RETENTION_FORM_DAYS", {**ALL, "travellerform": 0}),
        ("RETENTION_MAIL_DAYS", {**ALL, "reminder": 0}),
    ],
)
def test_each_kind_goes_after_its_days_and_not_before(settings, name, left):
    a_traveller()
    setattr(settings, name, 30)

    with on(30):
        early = retention.run()
    with on(31):
        told = {due.label: due.count for due in retention.look() if due.count}
        looked = counts()
        done = retention.run()
        again = retention.run()

    assert (early, looked, done, again) == (({}, False), ALL, (told, False), ({}, False))
    assert counts() == {name: count for name, count in left.items() if count}
    assert [(row.kind, row.by, row.counts) for row in Erasure.objects.all()] == [("retention", None, told)]


def test_nothing_of_what_went_is_left_anywhere(settings):
    settings.RETENTION_HEALTH_DAYS = settings.RETENTION_SCAN_DAYS = 30
    one = a_traveller()
    with recorded(kind=BatchKind.CHANGE, title="Diets", by=None) as batch:
        batch.change(one.health, diet="peanutbane, really")
        batch.change(one.passport, number="ZQ7770123")

    with on(31):
        retention.run()

    assert holders("peanutbane", "ZQ7770123") == []
    assert json.loads(TravellerForm.objects.get().answers) == {"details": {}}
    assert HealthRecord.history.count() == Passport.history.count() == 0


@pytest.mark.parametrize(
    ("later", "kept"),
    [
        ({"trip__end_date": dt.date(2028, 1, 1)}, True),
        ({"trip__start_date": None, "trip__end_date": None}, True),
        ({"trip__end_date": dt.date(2028, 1, 1), "attendance": Attendance.CANCELLED}, False),
        ({"trip__end_date": dt.date(2028, 1, 1), "legal_first_name": "Somebody"}, False),
        ({"trip": None}, False),
    ],
)
def test_who_travels_again_keeps_theirs_until_that_is_over(settings, later, kept):
    settings.RETENTION_HEALTH_DAYS = 30
    one = a_traveller()
    factories.PassengerFactory(contact=one.contact, **later)

    with on(31):
        retention.run()

    assert HealthRecord.objects.exists() is kept


@pytest.mark.parametrize("licence", [LICENCE, "None", ""])
def test_papers_of_a_trip_under_a_licence_stay_for_ten_years(settings, licence):
    settings.RETENTION_PAPER_DAYS = 0
    a_traveller(licence=licence)

    found = []
    for day in (dt.date(2027, 3, 9), dt.date(2037, 3, 8), dt.date(2037, 3, 9)):
        with time_machine.travel(dt.datetime.combine(day, dt.time(12), dt.UTC), tick=False):
            retention.run()
        found.append(Document.objects.filter(kind=DocumentKind.MOU).count())

    assert found == ([1, 1, 0] if licence == LICENCE else [0, 0, 0])


def test_form_that_is_open_or_waits_for_review_is_not_taken_away(settings):
    settings.RETENTION_FORM_DAYS = 0
    a_traveller()
    TravellerForm.objects.update(state="sent_in")
    with on(5):
        assert (retention.run(), TravellerForm.objects.count()) == (({}, False), 1)


def test_lists_as_sent_and_the_read_log_go_by_their_own_days(settings, admin_user, rf):
    trip = factories.TripFactory()
    request = rf.get("/")
    request.user = admin_user
    with time_machine.travel(dt.datetime(2027, 2, 1, 12, tzinfo=dt.UTC), tick=False):
        for about in (trip, None):
            SentReport.objects.create(
                report="manifest", preset="airline", title="Manifest", trip=about, of_trip=about is not None,
                format="csv", sha256="0" * 64, row_count=0, rows="{}",
            )  # fmt: skip
        reading.note(request, "search", people=[1, 2], what="Ada")
    settings.RETENTION_LIST_DAYS = settings.RETENTION_READ_LOG_DAYS = 10
    with on(0):
        retention.run()
        first = counts()
    with on(11):
        retention.run()

    assert (first, counts()) == ({"sentreport": 1}, {})


def test_run_stops_when_its_time_is_over_and_goes_on_later(settings):
    settings.RETENTION_HEALTH_DAYS = 30
    trip = factories.TripFactory()
    for _one in range(3):
        factories.HealthRecordFactory(passenger__trip=trip)
    with on(31):
        assert retention.run(seconds=0) == ({}, True)
        assert retention.run(seconds=60) == ({"health records": 3}, False)


def test_queries_of_a_look_do_not_grow_with_the_rows(settings, django_assert_num_queries):
    for name in retention.SETTINGS:
        setattr(settings, name, 30)
    a_traveller()
    with on(31):
        with django_assert_num_queries(13):
            retention.look()
        for _one in range(2):
            a_traveller()
        with django_assert_num_queries(13):
            retention.look()


def test_command_says_what_is_due_and_takes_it_away(settings):
    settings.RETENTION_HEALTH_DAYS = 30
    a_traveller()
    dry, wet = io.StringIO(), io.StringIO()
    with on(31):
        call_command("retention", "--dry-run", stdout=dry)
        before = counts()
        call_command("retention", stdout=wet)

    assert dry.getvalue().splitlines()[:3] == [
        "health records: 1 due after 30 days (RETENTION_HEALTH_DAYS)",
        "answers on health in travellers’ forms: 1 due after 30 days (RETENTION_HEALTH_DAYS)",
        "passports: kept (RETENTION_SCAN_DAYS)",
    ]
    assert (dry.getvalue().splitlines()[-1], before) == ("Nothing was changed.", ALL)
    assert wet.getvalue().splitlines() == [
        "health records: 1 taken away",
        "answers on health in travellers’ forms: 1 taken away",
        "2 in all.",
    ]


def test_schedule_is_installed_once_and_stays_switched_off():
    install_schedules()
    rows = Schedule.objects.filter(func="trips.services.retention.nightly")
    rows.update(repeats=0)
    install_schedules()

    assert [(row.schedule_type, row.repeats) for row in rows.all()] == [("D", 0)]
