"""The sync desk: its numbers and their lists, runs, charts, differences, and the repairs of records."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from django_q.models import OrmQ

from ghl_sync import desk_facts, tasks
from ghl_sync.admin import bulk, desk
from ghl_sync.admin.account import Account
from ghl_sync.admin.records import repair_of
from ghl_sync.desk_facts import Progress
from ghl_sync.engine import due
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import (
    Alarm,
    Approval,
    Change,
    Conflict,
    Drift,
    Issue,
    Link,
    Location,
    Run,
    SeenPage,
    WebhookEvent,
    Write,
)
from ghl_sync.sandbox.server import Sandbox
from tests import factories
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.admin import charts
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db(transaction=True)
SYNC = ("trips.change_trip", "trips.change_passenger", "trips.change_contact")
DESK, STATE, CHARTS = (f"admin:ghl_sync_{name}" for name in ("desk", "desk_state", "desk_charts"))
NOW = dt.timedelta(0)


@pytest.fixture
def account(settings: Any) -> Location:
    """An account that is set up; nothing in these tests calls it."""
    settings.GHL_API_TOKEN = "token-of-tests"
    settings.GHL_LOCATION_ID = "loc1"
    return Location.objects.create(location_id="loc1", name="Demo Travel")


def a_link(obj: Any, **values: Any) -> Link:
    """The object's link, at rest apart from these columns; a timedelta is a time from now."""
    Change.objects.all().delete()
    now = timezone.now()
    told = {name: now + value if isinstance(value, dt.timedelta) else value for name, value in values.items()}
    Link.objects.filter(pk=link_of(obj).pk).update(**told)
    return link_of(obj)


def numbers(page: Any) -> dict[str, int]:
    return {one.label: one.count for _title, rows in page.context["groups"] for one in rows}


def rows_of(page: Any) -> int:
    """How many rows a list of the desk shows, over all its pages."""
    context = page.context
    if "questions" in context:
        return len(context["questions"])
    count: int = context["cl"].result_count if "cl" in context else context["page"].paginator.count
    return count


def said(page: Any) -> list[str]:
    return [str(message) for message in page.context["messages"]]


def asked() -> list[tuple[str, tuple[Any, ...]]]:
    """Tasks that buttons have put into the queue."""
    found = [row.task for row in OrmQ.objects.order_by("pk")]
    return [(task["func"], task["args"]) for task in found if task["func"] != "ghl_sync.tasks.reconcile"]


def staff(client: Any, *permissions: str) -> Any:
    user = factories.StaffFactory(permissions=list(permissions))
    client.force_login(user)
    return user


# Numbers


def test_each_number_is_what_its_list_shows(admin_client: Any, account: Location) -> None:
    trips = factories.TripFactory.create_batch(9)
    a_link(trips[0], parked_at=NOW, last_error="Refused.")
    a_link(trips[1], gone_at=NOW)
    a_link(trips[2], ignored_at=NOW)
    a_link(trips[3], leased_until=dt.timedelta(hours=1), remote_dirty_at=NOW)
    a_link(trips[4], remote_dirty_at=NOW)
    a_link(trips[5], remote_dirty_at=NOW)
    a_link(trips[6], remote_dirty_at=NOW, failures=2, next_attempt_at=dt.timedelta(minutes=3))
    Conflict.objects.create(link=a_link(trips[7]), field="capacity", policy="ask")
    Issue.objects.create(link=link_of(trips[8]), code="twin", message="Twice", remote_id="a")
    Issue.objects.create(link=link_of(trips[8]), code="likeness", message="Alike", remote_id="b")
    Issue.objects.create(link=link_of(trips[8]), code="unreadable", field="capacity", message="Odd")
    factories.PassengerFactory(trip=None)
    Change.objects.all().delete()
    run = Run.objects.create(mode="audit", finished_at=timezone.now(), ok=True)
    Drift.objects.create(run=run, kind="trip", what="no_link")
    Approval.objects.create(effect="blank_here", kind="trip", field="capacity", count=30, of=100)

    page = admin_client.get(reverse(DESK))

    assert numbers(page) == {
        "Waiting": 2,
        "Working": 1,
        "Retrying": 1,
        "Deletes not sent yet": 0,
        "Needs you": 1,
        "Conflicts": 1,
        "Yes or no": 1,
        "Gone in GoHighLevel": 1,
        "Differences": 1,
        "Not linked to a trip": 1,
        "Doubles": 2,
        "Value cannot be read": 1,
        "Synced": Link.objects.count() - 8,
        "Not mirrored": 1,
    }
    listed = {one.label: rows_of(admin_client.get(one.url)) for _title, rows in page.context["groups"] for one in rows}
    assert listed == numbers(page)


def test_a_record_with_a_field_that_is_not_sent_any_more_needs_a_person(admin_client: Any, account: Location) -> None:
    link = a_link(factories.TripFactory(), parked_fields=["capacity"])
    Issue.objects.create(link=link, code="oscillates", field="capacity", message="It keeps changing back.")
    Change.objects.all().delete()
    page = admin_client.get(reverse(DESK))
    (needing,) = [one for _title, rows in page.context["groups"] for one in rows if one.label == "Needs you"]
    assert (needing.count, rows_of(admin_client.get(needing.url))) == (1, 1)


def test_held_deletes_are_counted(admin_client: Any, account: Location) -> None:
    trip = factories.TripFactory()
    a_link(trip, remote_id="op1", location_id="loc1")
    trip.delete()
    page = admin_client.get(reverse(DESK))
    assert numbers(page)["Deletes not sent yet"] == 1
    assert admin_client.get(reverse("admin:ghl_sync_deleted")).context["page"].paginator.count == 1


def test_who_may_not_open_a_list_does_not_see_its_number(client: Any, account: Location) -> None:
    staff(client, "ghl_sync.view_link")
    assert set(numbers(client.get(reverse(DESK)))) == {
        "Waiting", "Working", "Retrying", "Needs you", "Gone in GoHighLevel", "Synced", "Not mirrored",
    }  # fmt: skip


def test_a_number_counts_only_the_kinds_that_its_list_shows(client: Any, account: Location) -> None:
    trip, passenger = factories.TripFactory(), factories.PassengerFactory()
    for obj in (trip, passenger):
        link = a_link(obj, remote_id=f"op{obj._meta.model_name}", location_id="loc1")
        Issue.objects.create(link=link, code="twin", message="Twice", remote_id="a")
    for obj in (factories.TripFactory(), factories.PassengerFactory()):
        a_link(obj, remote_id=f"op{obj._meta.model_name}2", location_id="loc1")
        obj.delete()
    counted = []
    for permissions in (["trips.view_trip"], ["trips.view_trip", "trips.change_passenger"]):
        staff(client, "ghl_sync.view_link", *permissions)
        found = {
            one.label: (one.count, rows_of(client.get(one.url)))
            for _title, rows in client.get(reverse(DESK)).context["groups"]
            for one in rows
            if one.label in {"Doubles", "Deletes not sent yet", "Yes or no"}
        }
        counted.append(found)
    assert counted == [
        {"Deletes not sent yet": (1, 1), "Yes or no": (0, 0), "Doubles": (1, 1)},
        {"Deletes not sent yet": (2, 2), "Yes or no": (0, 0), "Doubles": (2, 2)},
    ]


@pytest.mark.parametrize("name", [DESK, STATE, CHARTS])
def test_the_desk_needs_a_permission(client: Any, name: str) -> None:
    staff(client, "trips.view_trip")
    assert client.get(reverse(name)).status_code == 403


def test_an_empty_desk_says_what_to_do(admin_client: Any, account: Location) -> None:
    text = admin_client.get(reverse(DESK)).content.decode()
    assert "No records yet" in text
    assert "No calls in the last 24 hours." in text
    assert "Nothing is being fetched or compared at this moment." in text


def test_queries_of_the_desk_do_not_grow(admin_client: Any, account: Location) -> None:
    def add(count: int) -> None:
        for trip in factories.TripFactory.create_batch(count, passengers=1):
            link = link_of(trip)
            Conflict.objects.create(link=link, field="capacity", policy="ask")
            Issue.objects.create(link=link, code="kept", message="Kept")
            Write.objects.create(link=link, action="update", outcome="done")
            run = Run.objects.create(mode="audit", finished_at=timezone.now(), ok=True, report={"calls": 3})
            Drift.objects.create(run=run, link=link, kind="trip", what="differs", field="capacity")
            Alarm.objects.create(code="overdue", detail=str(trip.pk), message="Late")

    counted = []
    for count in (1, 2):
        add(count)
        admin_client.get(reverse(DESK))
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(reverse(DESK))
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_the_script_gets_the_parts_that_change(admin_client: Any, account: Location) -> None:
    trip = factories.TripFactory()
    answer = admin_client.get(reverse(STATE)).json()
    assert (answer["resting"], sorted(answer["parts"])) == (False, ["account", "machinery", "numbers", "runs"])
    a_link(trip)
    Change.objects.all().delete()
    assert admin_client.get(reverse(STATE)).json()["resting"] is True
    assert list(admin_client.get(reverse(CHARTS)).json()["parts"]) == ["charts"]


@pytest.mark.parametrize(
    ("code", "told", "name"),
    [
        ("twin", "Compare and decide", "admin:ghl_sync_double"),
        ("likeness", "Compare and decide", "admin:ghl_sync_double"),
        ("came_back", "Compare and decide", "admin:ghl_sync_double"),
        ("changed", "Decide", "admin:ghl_sync_deleted"),
        ("no_option", "See drop-downs", "admin:ghl_sync_remotefield_changelist"),
        ("kept", "Open the record", "admin:trips_trip_change"),
    ],
)
def test_each_issue_leads_to_its_repair(admin_client: Any, account: Location, code: str, told: str, name: str) -> None:
    trip = factories.TripFactory()
    issue = Issue.objects.create(link=link_of(trip), code=code, field="capacity", message="Odd", remote_id="a")
    args = {"admin:ghl_sync_double": [issue.pk], "admin:trips_trip_change": [trip.pk]}.get(name, [])
    button = f'href="{reverse(name, args=args)}">{told}</a>'
    urls = [reverse("admin:ghl_sync_issue_changelist"), reverse("admin:ghl_sync_issue_change", args=[issue.pk])]
    assert [button in admin_client.get(url).content.decode() for url in urls] == [True, True]
    Issue.objects.update(closed_at=timezone.now())
    urls[0] += "?open=settled"
    assert [button in admin_client.get(url).content.decode() for url in urls] == [False, False]


def test_an_issue_offers_no_page_that_its_reader_may_not_open(client: Any, account: Location) -> None:
    staff(client, "ghl_sync.view_issue")
    for code in ("twin", "changed", "no_option", "kept"):
        Issue.objects.create(link=link_of(factories.TripFactory()), code=code, message="Odd", remote_id="a")
    Issue.objects.create(code="option_gone", message="Gone")
    rows = client.get(reverse("admin:ghl_sync_issue_changelist"))
    assert [str(repair_of(issue, rows.wsgi_request.user)) for issue in Issue.objects.all()] == [""] * 5


# The account and what moves things


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, ("good", "Running", "Both sides of Demo Travel follow each other.")),
        ({"paused_at": timezone.now(), "paused_reason": "Bad token."}, ("bad", "Stopped", "Bad token.")),
    ],
)
def test_how_the_account_stands(account: Location, values: dict[str, Any], wanted: tuple[str, str, str]) -> None:
    for name, value in values.items():
        setattr(account, name, value)
    assert desk.standing(Account(True, values.get("paused_reason", ""), account)) == wanted


def test_how_a_paused_an_asleep_and_an_unset_account_stand(account: Location) -> None:
    assert desk.standing(Account(False, "", None))[:2] == ("bad", "Not connected")
    assert desk.standing(Account(True, "", None))[:2] == ("doubt", "Not read yet")
    account.sending_paused_at, account.sending_paused_by = timezone.now(), factories.StaffFactory(username="ana")
    assert desk.standing(Account(True, "", account))[:2] == ("doubt", "Paused")
    assert "by ana" in desk.standing(Account(True, "", account))[2]
    account.sending_paused_at = None
    account.pull_first_since = timezone.now()
    assert desk.standing(Account(True, "", account))[:2] == ("doubt", "Catching up")


def test_what_keeps_it_going_is_told_and_what_stands_still_is_marked(admin_client: Any, account: Location) -> None:
    now = timezone.now()
    ana = factories.StaffFactory(username="ana")
    Location.objects.update(
        swept_at=now, queue_ran_at=now - dt.timedelta(minutes=9), daily_limit=1000, daily_remaining=50,
        calls_today=7, calls_day=now.date(),
    )  # fmt: skip
    Run.objects.create(mode="full", finished_at=now, ok=True, started_by=ana)
    Run.objects.create(mode="incremental", finished_at=now, ok=False)
    WebhookEvent.objects.create(delivery_id="d", kind="OpportunityUpdate")
    Alarm.objects.create(code="queue", message="The queue stands still.")
    Alarm.objects.create(code="overdue", message="Long over.", closed_at=now)

    page = admin_client.get(reverse(DESK))

    assert [(fact.label, fact.text, fact.bad) for fact in page.context["facts"]] == [
        ("Calls left today", "50 of 1,000 (5 %); 7 calls made today", True),
        ("Changes last fetched", "0 s ago, not complete", True),
        ("Everything last fetched", "0 s ago by ana", False),
        ("Everything last compared", "never", False),
        ("Last webhook", "0 s ago, 1 waiting", False),
        ("Everything due was last looked for", "0 s ago", False),
        ("The queue last ran a task", "9 min ago", True),
        ("The watchdog was last seen", "never", False),
    ]
    assert [alarm.message for alarm in page.context["alarms"]] == ["The queue stands still."]


def test_a_gone_field_s_trouble_does_not_send_one_to_the_page_it_stands_on(
    admin_client: Any, session: Session, connected: Sandbox
) -> None:
    trip = a_trip(capacity=12)
    due.run_due(session)
    pull(Session(), full=True)
    connected.store.remove_field("max_passengers")
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Sea"})
    pull(Session())
    text = admin_client.get(reverse("admin:ghl_sync_remotefield_changelist")).content.decode()

    assert "Have it made again on this page (or by `manage.py ghl_setup" in text
    assert "on the page “Fields and drop-downs”" not in text


@pytest.mark.parametrize(
    ("since", "fact"), [(1, ("not yet", False)), (4, ("never", True))], ids=["first minutes", "later"]
)
def test_what_never_ran_is_marked_once_it_had_its_chance(
    admin_client: Any, account: Location, since: int, fact: tuple[str, bool]
) -> None:
    Location.objects.update(
        bound_at=timezone.now() - dt.timedelta(minutes=since), swept_at=None, queue_ran_at=None, watchdog_at=None
    )
    facts = {one.label: (one.text, one.bad) for one in admin_client.get(reverse(DESK)).context["facts"]}

    assert [facts["Everything due was last looked for"], facts["The queue last ran a task"]] == [fact, fact]
    assert facts["The watchdog was last seen"] == ("never", False)


def test_what_waits_for_a_person_is_not_late(admin_client: Any, account: Location) -> None:
    now = timezone.now()
    trips = factories.TripFactory.create_batch(5)
    a_link(trips[0], parked_at=NOW, last_error="Refused.")
    Conflict.objects.create(link=a_link(trips[1]), field="capacity", policy="ask")
    a_link(trips[2], gone_at=NOW)
    a_link(trips[3], deleted_at=NOW, held_until=dt.timedelta(hours=1), remote_id="op1", location_id="loc1")
    for trip in trips:
        Change.objects.create(kind="trip", object_id=trip.pk)
    Change.objects.exclude(object_id=trips[4].pk).update(at=now - dt.timedelta(hours=1))
    Change.objects.filter(object_id=trips[4].pk).update(at=now - dt.timedelta(minutes=16))
    late = {fact.label: (fact.text, fact.bad) for fact in admin_client.get(reverse(DESK)).context["facts"]}
    assert late["The oldest change that waits"] == ("16 min ago", True)

    Change.objects.filter(object_id=trips[4].pk).delete()
    labels = [fact.label for fact in admin_client.get(reverse(DESK)).context["facts"]]
    assert "The oldest change that waits" not in labels


# Charts


def test_hours_count_writes_fetches_and_waits(account: Location) -> None:
    now = timezone.now().replace(minute=30, second=0, microsecond=0)
    link = a_link(factories.TripFactory())
    for waited in (2, 4):
        saved = now - dt.timedelta(seconds=waited)
        Write.objects.create(link=link, action="update", outcome="done", sent_at=now, saved_at=saved)
    Write.objects.create(link=link, action="update", outcome="done", sent_at=now - dt.timedelta(hours=3))
    Write.objects.create(link=link, action="update", outcome="done", sent_at=now - dt.timedelta(hours=30))
    Run.objects.create(mode="full", started_at=now, report={"calls": 29})
    Run.objects.create(mode="incremental", started_at=now, report={})

    hours = desk_facts.last_day()

    assert len(hours) == 24
    told = [(hour.writes, hour.fetches, hour.average_wait, hour.longest_wait) for hour in hours]
    assert told[-1] == (2, 29, 3.0, 4.0)
    assert told[-4] == (1, 0, None, None)
    assert sum(hour.writes for hour in hours) == 3


def test_a_save_that_is_sent_knows_how_long_it_waited(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    trip.capacity = 7
    trip.save()
    saved = Change.objects.get().at
    due.run_due(session)
    assert Write.objects.order_by("pk").last().saved_at == saved


def test_a_chart_has_a_scale_bars_and_the_same_as_a_table() -> None:
    drawn = charts.chart(
        "calls",
        "Calls",
        ["09:00", "10:00", "11:00"],
        [charts.Series("writes", [3, None, 0], "a"), charts.Series("reads", [0, 0, 70], "b")],
        unit="",
        column="Hour",
        empty="Nothing.",
    )
    assert [line.text for line in drawn.lines] == ["0", "50", "100"]
    assert [bar.title for bar in drawn.bars] == ["09:00: 3 writes", "11:00: 70 reads"]
    assert drawn.rows == [("09:00", ["3", "0"]), ("11:00", ["0", "70"])]
    assert all(bar.height >= 1 and bar.y + bar.height <= drawn.height for bar in drawn.bars)


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(0, "0 s"), (0.42, "0.4 s"), (12.4, "12 s"), (150, "2 min"), (7300, "2 h")]
)
def test_spans_are_short(seconds: float, wanted: str) -> None:
    assert charts.span(seconds) == wanted


# Runs


def test_progress_counts_what_is_known_of_each_kind(account: Location) -> None:
    records = {"contact": 100, "trip": 10, "passenger": 50}
    full = Run.objects.create(
        mode="full",
        cursor={"done": ["contact"], "kind": "trip"},
        report={"contacts": {"seen": 120}, "trips": {"seen": 5}, "passengers": {"seen": 0}},
    )
    SeenPage.objects.create(run=full, kind="trip", number=0, ids=[], total=20)
    some = Run.objects.create(mode="incremental", report={"trips": {"seen": 3}})
    assert desk_facts.progress_of([full, some], records) == {
        full.pk: Progress(125, 190),
        some.pk: Progress(3, None),
    }
    assert (Progress(125, 190).percent, Progress(3, None).percent, Progress(0, 0).percent) == (66, None, None)


def test_a_run_under_way_is_shown_with_who_started_it_and_a_cancel(admin_client: Any, account: Location) -> None:
    ana = factories.StaffFactory(username="ana")
    run = Run.objects.create(mode="audit", started_by=ana, report={"calls": 3, "trips": {"seen": 5, "total": 10}})
    page = admin_client.get(reverse("admin:ghl_sync_run_changelist"))
    (line,) = page.context["lines"]
    assert (line.title, line.percent, line.told) == (
        "Audit, started 0 s ago by ana", 50, "5 of about 10 records read, 3 calls",
    )  # fmt: skip
    answer = admin_client.get(reverse("admin:ghl_sync_run_state")).json()
    assert (answer["resting"], line.cancel_url in answer["parts"]["runs"]) == (False, True)

    page = admin_client.post(line.cancel_url, follow=True)

    assert said(page) == [f"Audit {run.pk} ends after the page at hand. What came in by then stays."]
    run.refresh_from_db()
    assert (run.cancel_asked_at is not None, run.cancel_asked_by.username) == (True, "admin")
    (line,) = page.context["lines"]
    assert (line.cancel_url, line.cancelled) == ("", "Cancelled by admin; it ends after the page at hand.")
    assert said(admin_client.post(reverse("admin:ghl_sync_run_cancel", args=[run.pk]), follow=True)) == [
        f"Audit {run.pk} has ended already, or was cancelled before."
    ]


@pytest.mark.parametrize(
    ("task", "func"),
    [(name, f"ghl_sync.tasks.{name}") for name in ("pull_changes", "pull_everything", "compare_everything")],
)
def test_a_button_asks_the_queue(admin_client: Any, admin_user: Any, account: Location, task: str, func: str) -> None:
    page = admin_client.post(reverse("admin:ghl_sync_run_start"), {"task": task}, follow=True)
    assert said(page)[0].startswith("Asked for: ")
    assert asked() == [(func, (admin_user.pk,))]


def test_a_page_looks_often_for_the_run_that_was_asked_for(admin_client: Any, account: Location) -> None:
    urls = [reverse(STATE), reverse("admin:ghl_sync_run_state")]
    before = [admin_client.get(url).json()["resting"] for url in urls]
    admin_client.post(reverse("admin:ghl_sync_run_start"), {"task": "pull_everything"})
    soon = [admin_client.get(url).json()["resting"] for url in urls]
    session = admin_client.session
    session["ghl_run_asked_at"] -= 61
    session.save()
    later = [admin_client.get(url).json()["resting"] for url in urls]
    assert (before, soon, later) == ([True, True], [False, False], [True, True])


def test_a_button_says_why_nothing_was_started(
    admin_client: Any, account: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = reverse("admin:ghl_sync_run_start")

    def down(*words: Any) -> None:
        raise OSError("refused")

    monkeypatch.setattr(tasks, "async_task", down)
    body = {"task": "pull_everything"}
    assert said(admin_client.post(start, body, follow=True))[0].startswith("The queue does not answer")
    Run.objects.create(mode="full")
    assert said(admin_client.post(start, body, follow=True)) == [
        "That is under way already; its progress is shown here."
    ]
    Location.objects.update(fetching_paused_at=timezone.now())
    assert said(admin_client.post(start, body, follow=True))[0].startswith("Nothing was started. Fetching was paused")
    assert admin_client.post(start, {"task": "sweep"}).status_code == 400
    assert admin_client.get(start).status_code == 302


def test_starting_and_cancelling_need_a_permission(client: Any, account: Location) -> None:
    staff(client, "ghl_sync.view_link", "ghl_sync.view_run")
    run = Run.objects.create(mode="full")
    assert client.post(reverse("admin:ghl_sync_run_start"), {"task": "pull_everything"}).status_code == 403
    assert client.post(reverse("admin:ghl_sync_run_cancel", args=[run.pk])).status_code == 403
    page = client.get(reverse("admin:ghl_sync_run_changelist"))
    assert (page.context["starts"], [line.cancel_url for line in page.context["lines"]]) == ((), [""])


def test_the_history_tells_who_how_and_what_was_found(admin_client: Any, account: Location) -> None:
    now = timezone.now()
    ana = factories.StaffFactory(username="ana")
    found = {"not_sent": 2, "differs": 1}
    kinds = {"trips": {"seen": 7}, "passengers": {"seen": 9}, "contacts": {"seen": 8}}
    Run.objects.create(mode="audit", finished_at=now, ok=True, started_by=ana, report={"found": found, **kinds})
    Run.objects.create(mode="full", finished_at=now, ok=False, cancel_asked_at=now, cancel_asked_by=ana)
    page = admin_client.get(reverse("admin:ghl_sync_run_changelist"))
    text = page.content.decode()
    assert "7 trips; 9 passengers; 8 contacts: 3 differences" in text
    assert "Cancelled by ana" in text
    assert "nothing new" in text
    run = Run.objects.get(mode="audit")
    page = admin_client.get(reverse("admin:ghl_sync_run_change", args=[run.pk]))
    assert "Changed here, not sent" in page.content.decode()


# Differences


def a_drift(link: Link | None = None, **values: Any) -> Drift:
    run = Run.objects.filter(mode="audit").first() or Run.objects.create(mode="audit", finished_at=timezone.now())
    facts = {"kind": "trip", "what": "not_sent", "link": link, **values}
    return Drift.objects.create(run=run, **facts)


def test_differences_show_both_values_and_the_repair(admin_client: Any, account: Location) -> None:
    link = a_link(factories.TripFactory(name="Fjords"))
    a_drift(link, label="Fjords", field="capacity", our_value="12", their_value="14")
    a_drift(link, label="Fjords", field="name", repaired_at=timezone.now())
    page = admin_client.get(reverse("admin:ghl_sync_drift_changelist"))
    assert [drift.field for drift in page.context["cl"].result_list] == ["capacity"]
    text = page.content.decode()
    assert [word for word in ("Trip Fjords", "12", "14", "It is sent.") if word not in text] == []
    both = admin_client.get(reverse("admin:ghl_sync_drift_changelist"), {"standing": "all"})
    assert both.context["cl"].result_count == 2


def test_values_of_a_difference_need_the_permission_of_their_model(client: Any, account: Location) -> None:
    staff(client, "ghl_sync.view_drift")
    a_drift(a_link(factories.TripFactory()), field="description", our_value="Secret plan", their_value="Other plan")
    text = client.get(reverse("admin:ghl_sync_drift_changelist")).content.decode()
    assert "not shown" in text
    assert "Secret plan" not in text


def test_queries_of_the_differences_do_not_grow(admin_client: Any, account: Location) -> None:
    counted = []
    for count in (1, 2):
        for trip in factories.TripFactory.create_batch(count):
            a_drift(a_link(trip), field="capacity", our_value="1", their_value="2")
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(reverse("admin:ghl_sync_drift_changelist"))
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_repairs_are_asked_for_one_some_or_all(admin_client: Any, account: Location) -> None:
    one, two = (a_drift(a_link(trip), field="capacity") for trip in factories.TripFactory.create_batch(2))
    run = one.run_id
    changelist = reverse("admin:ghl_sync_drift_changelist")
    chosen = {"action": "repair_selected", "_selected_action": [one.pk]}
    page = admin_client.post(changelist, chosen, follow=True)
    assert said(page) == ["1 difference is handed to the sync. Nothing is deleted; what both sides changed is asked."]
    admin_client.post(reverse("admin:ghl_sync_repair_one", args=[two.pk]))
    admin_client.post(reverse("admin:ghl_sync_repair_all", args=[run]))
    assert asked() == [
        ("ghl_sync.tasks.repair", (run, [one.pk])),
        ("ghl_sync.tasks.repair", (run, [two.pk])),
        ("ghl_sync.tasks.repair", (run,)),
    ]
    Drift.objects.update(repaired_at=timezone.now())
    page = admin_client.post(reverse("admin:ghl_sync_repair_all", args=[run]), follow=True)
    assert said(page)[-1] == "There is nothing left to repair."


def test_repairing_needs_a_permission(client: Any, account: Location) -> None:
    staff(client, "ghl_sync.view_drift", "ghl_sync.view_link")
    drift = a_drift()
    assert client.post(reverse("admin:ghl_sync_repair_all", args=[drift.run_id])).status_code == 403
    assert client.post(reverse("admin:ghl_sync_repair_one", args=[drift.pk])).status_code == 403


def test_a_repair_from_the_desk_mends_the_record(admin_client: Any, session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)
    Link.objects.update(remote_seen_at=timezone.now() - dt.timedelta(hours=1))
    Trip.objects.filter(pk=trip.pk).update(description="Past the signals")
    tasks.compare_everything()
    page = admin_client.get(reverse(DESK))
    assert numbers(page)["Differences"] == 1
    tasks.repair(page.context["audit"].pk)
    assert numbers(admin_client.get(reverse(DESK)))["Differences"] == 0
    card = connected.opportunities("TripBooking")[0]
    assert connected.store.custom_by_key(card)["trip_description"] == "Past the signals"


# Repairs of records


def chosen(client: Any, action: str, links: list[Link], *, follow: bool = True) -> Any:
    body = {"action": action, "_selected_action": [link.pk for link in links]}
    return client.post(reverse("admin:ghl_sync_link_changelist"), body, follow=follow)


def confirm(client: Any, page: Any) -> Any:
    """Press the button of a confirmation."""
    body = {"verb": page.context["verb"].name, "ids": page.context["ids"]}
    return client.post(reverse("admin:ghl_sync_link_repair"), body, follow=True)


def test_a_few_are_retried_at_once_and_many_are_asked_about_first(admin_client: Any, account: Location) -> None:
    links = [a_link(trip, parked_at=NOW) for trip in factories.TripFactory.create_batch(2)]
    page = chosen(admin_client, "sync_selected", links)
    assert said(page) == ["2 records are compared in a moment."]
    assert Change.objects.filter(cause="asked", lane="staff").count() == 2

    Change.objects.all().delete()
    many = [a_link(trip, remote_id=f"op{trip.pk}") for trip in factories.TripFactory.create_batch(bulk.MANY + 1)]
    page = chosen(admin_client, "sync_selected", many)
    assert page.context["records"] == "21 records"
    assert page.context["costs"][0].startswith("Takes some 21 calls, about a minute.")
    assert not Change.objects.exists()
    confirm(admin_client, page)
    assert Change.objects.filter(cause="asked", lane="bulk").count() == 21


def test_a_confirmation_tells_of_stages_and_the_share_of_the_day(admin_client: Any, account: Location) -> None:
    Location.objects.update(
        daily_limit=1000, daily_remaining=900, daily_reset_at=timezone.now() + dt.timedelta(hours=3)
    )
    links = [a_link(trip, remote_id=f"op{trip.pk}", gone_at=NOW) for trip in factories.TripFactory.create_batch(30)]
    page = chosen(admin_client, "create_again_selected", links)
    assert page.context["costs"] == [
        "Takes some 60 calls, 6 % of GoHighLevel's limit for a day, about a minute.",
        "30 cards come or move to another stage, for which GoHighLevel's workflows may write to travellers.",
    ]


@pytest.mark.parametrize(
    ("action", "before", "after", "told"),
    [
        ("ignore_selected", {"remote_id": "op1"}, {"ignored": True, "remote": "op1"}, "left alone from now on."),
        ("unignore_selected", {"ignored_at": NOW}, {"ignored": False, "remote": ""}, "mirrored again from now on."),
        ("detach_selected", {"remote_id": "op1"}, {"ignored": False, "remote": ""}, "created anew in a moment."),
        ("detach_ignore_selected", {"remote_id": "op1"}, {"ignored": True, "remote": ""}, "detached and left alone."),
        (
            "create_again_selected",
            {"remote_id": "op1", "gone_at": NOW},
            {"ignored": False, "remote": ""},
            "created again in a moment.",
        ),
    ],
)
def test_repairs_say_what_they_do_and_do_it(
    admin_client: Any, account: Location, action: str, before: dict[str, Any], after: dict[str, Any], told: str
) -> None:
    link = a_link(factories.TripFactory(), location_id="loc1", **before)
    page = chosen(admin_client, action, [link])
    assert page.context["verb"].does in page.content.decode()
    page = confirm(admin_client, page)
    assert said(page)[0].endswith(told)
    link.refresh_from_db()
    assert {"ignored": link.ignored_at is not None, "remote": link.remote_id} == after


def test_putting_away_archives_the_trip(admin_client: Any, account: Location) -> None:
    trip = factories.TripFactory()
    link = a_link(trip, remote_id="op1", gone_at=NOW)
    confirm(admin_client, chosen(admin_client, "put_away_selected", [link]))
    trip.refresh_from_db()
    assert trip.archived_at is not None


def test_a_record_that_a_worker_has_is_left_out_and_said(admin_client: Any, account: Location) -> None:
    links = [a_link(trip, remote_id=f"op{trip.pk}") for trip in factories.TripFactory.create_batch(2)]
    page = chosen(admin_client, "ignore_selected", links)
    Link.objects.filter(pk=links[0].pk).update(leased_until=timezone.now() + dt.timedelta(minutes=1))
    page = confirm(admin_client, page)
    assert [text.partition(":")[0] for text in said(page)] == ["1 record is left alone from now on.", "Left out"]


def test_what_does_not_fit_is_said(admin_client: Any, account: Location) -> None:
    link = a_link(factories.TripFactory())
    assert said(chosen(admin_client, "create_again_selected", [link])) == [
        "“Create again in GoHighLevel” fits none of these records."
    ]
    assert admin_client.get(reverse("admin:ghl_sync_link_repair"), {"verb": "burn"}).status_code == 404


def test_repairs_need_the_permission_to_change_records(client: Any, account: Location) -> None:
    staff(client, "ghl_sync.view_link", "trips.change_trip")
    link = a_link(factories.TripFactory())
    assert client.get(bulk.confirm_url("ignore", [link.pk])).status_code == 403
    assert client.get(reverse("admin:ghl_sync_link_adopt", args=[link.pk])).status_code == 403
    staff(client, "ghl_sync.view_link", *SYNC)
    assert client.get(bulk.confirm_url("ignore", [link.pk])).status_code == 200


def test_a_records_page_offers_what_fits(admin_client: Any, account: Location) -> None:
    link = a_link(factories.TripFactory(), remote_id="op1", gone_at=NOW)
    text = admin_client.get(reverse("admin:ghl_sync_link_change", args=[link.pk])).content.decode()
    offered = [verb.label for verb in bulk.VERBS if f"{verb.label}…" in text]
    assert offered == ["Sync now", "Create again in GoHighLevel", "Accept that it is gone", "Stop mirroring"]
    assert reverse("admin:ghl_sync_link_adopt", args=[link.pk]) in text


# "This opportunity is that trip"


@pytest.fixture
def card(session: Session, connected: Sandbox) -> Any:
    """A card that a person made in GoHighLevel for a trip that is here already, under the same organiser."""
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    organiser = factories.ContactFactory(email="ines@example.com", first_name="Ines", last_name="")
    Link.objects.filter(pk=link_of(organiser).pk).update(
        remote_id=contact.id, location_id=connected.store.location_id, base={}
    )
    made = connected.store.add_opportunity(
        pipeline="TripBooking",
        name="Fjords",
        contact_id=contact.id,
        fields={"trip_description": "Theirs", "max_passengers": 14, "lodging_notes": "Cabins"},
    )
    trip = factories.TripFactory(name="Fjords", organiser=organiser, description="Ours", capacity=14, destination="")
    Change.objects.all().delete()
    return trip, made


def adopt(client: Any, trip: Trip, where: str, step: str) -> Any:
    url = reverse("admin:ghl_sync_link_adopt", args=[link_of(trip).pk])
    return client.post(url, {"where": where, "step": step}, follow=True)


def test_adopting_shows_what_would_happen_and_then_does_it(admin_client: Any, card: Any, session: Session) -> None:
    trip, made = card
    address = f"https://app.gohighlevel.com/v2/location/abc/opportunities/list?opportunityId={made.id}"
    page = adopt(admin_client, trip, address, "look")
    told = {row["label"]: (row["ours"], row["theirs"], row["outcome"]) for row in page.context["preview"]}
    assert told["Description"] == ("Ours", "Theirs", "they differ: you decide, as a conflict")
    assert told["Capacity"] == ("14", "14", "the same on both sides")
    assert told["Lodging notes"] == ("nothing", "Cabins", "GoHighLevel’s value comes here")
    assert told["Price per person"][2] == "TripBuilder’s value goes there"
    assert link_of(trip).remote_id == ""

    OrmQ.objects.all().delete()
    page = adopt(admin_client, trip, address, "adopt")

    assert said(page)[0].startswith("Trip Fjords is linked.")
    assert [row.task["args"] for row in OrmQ.objects.all()] == [([link_of(trip).pk],)]
    assert link_of(trip).remote_id == made.id
    due.run_due(session)
    trip.refresh_from_db()
    assert (trip.description, trip.lodging_notes) == ("Ours", "Cabins")
    assert [conflict.field for conflict in Conflict.objects.all()] == ["description"]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("", "This field is required."),
        ("https://example.com/what?", "This is no ID, and no address"),
        ("nowhere123", "GoHighLevel has no opportunity with the ID nowhere123."),
    ],
)
def test_adopting_what_is_not_there_is_a_sentence(admin_client: Any, card: Any, where: str, told: str) -> None:
    trip, _made = card
    page = adopt(admin_client, trip, where, "look")
    assert page.context["form"].errors["where"][0].startswith(told)


def test_a_card_that_was_taken_in_already_leads_to_both_ways_out(
    admin_client: Any, card: Any, session: Session, connected: Sandbox
) -> None:
    trip, made = card
    pull(session, full=True)
    copy = Trip.objects.exclude(pk=trip.pk).get()
    page = adopt(admin_client, trip, made.id, "look")
    taken, text = page.context["taken"], page.content.decode()

    assert page.context["form"].errors["where"] == [
        "That opportunity belongs to Trip Fjords already. Detach it there first."
    ]
    assert (taken.name, taken.url, taken.is_deleted) == (
        "Trip Fjords", reverse("admin:trips_trip_change", args=[copy.pk]), False
    )  # fmt: skip
    assert (f'href="{taken.url}"' in text, escape(taken.detach_url) in text) == (True, True)
    assert (taken.put_away_url, "delete this one here" in text) == ("", True)

    Link.objects.filter(pk=link_of(trip).pk).update(gone_at=timezone.now())
    page = adopt(admin_client, trip, made.id, "look")
    put_away = page.context["taken"].put_away_url
    assert put_away == bulk.confirm_url("put-away", [link_of(trip).pk])
    assert f'{escape(put_away)}">accept that this one is gone</a>' in page.content.decode()
    Link.objects.filter(pk=link_of(trip).pk).update(gone_at=None)

    # The second way, by its own words: the card is there all the while and belongs to the older trip in the end.
    form = admin_client.get(taken.detach_url)
    admin_client.post(taken.detach_url, {"verb": "detach-ignore", "ids": str(link_of(copy).pk)})
    admin_client.post(reverse("admin:trips_trip_delete", args=[copy.pk]), {"post": "yes", "typed": "Fjords"})
    due.run_due(session)
    page = adopt(admin_client, trip, made.id, "adopt")
    due.run_due(session)

    assert form.status_code == 200
    assert said(page)[-1].startswith("Trip Fjords is linked.")
    assert (Trip.objects.get(), link_of(trip).remote_id) == (trip, made.id)
    assert connected.store.get(made.id) is not None


def test_a_card_whose_record_is_deleted_here_leads_to_its_undo(
    admin_client: Any, card: Any, session: Session, settings: Any
) -> None:
    settings.GHL_DELETE_HOLD_SECONDS = 600
    trip, made = card
    pull(session, full=True)
    Trip.objects.exclude(pk=trip.pk).get().delete()
    page = adopt(admin_client, trip, made.id, "look")

    taken = page.context["taken"]
    assert (taken.url, taken.is_deleted, taken.detach_url) == (reverse("admin:ghl_sync_deleted"), True, "")
    assert "Undo that, or let it go" in page.content.decode()


def test_adopting_while_stopped_is_a_sentence(admin_client: Any, card: Any) -> None:
    trip, made = card
    Location.objects.update(paused_at=timezone.now(), paused_reason="Bad token.", probe_at=timezone.now())
    page = adopt(admin_client, trip, made.id, "look")
    assert page.context["form"].errors["where"] == ["GoHighLevel is stopped: Bad token."]


def test_the_panel_of_a_record_without_its_half_leads_there(admin_client: Any, account: Location) -> None:
    trip = factories.TripFactory()
    url = reverse("admin:ghl_sync_link_adopt", args=[link_of(trip).pk])
    change = reverse("admin:trips_trip_change", args=[trip.pk])
    assert url in admin_client.get(change).content.decode()
    a_link(trip, remote_id="op1")
    assert url not in admin_client.get(change).content.decode()
    assert admin_client.get(url).status_code == 200


def test_only_one_record_is_linked_at_a_time(admin_client: Any, account: Location) -> None:
    links = [a_link(trip) for trip in factories.TripFactory.create_batch(2)]
    assert said(chosen(admin_client, "adopt_selected", links)) == [
        "Choose one record: each is linked to one opportunity."
    ]
    page = chosen(admin_client, "adopt_selected", links[:1], follow=False)
    assert page["Location"] == reverse("admin:ghl_sync_link_adopt", args=[links[0].pk])
    assert Passenger.objects.count() == 0


def test_a_records_page_tells_only_what_there_is_to_tell(admin_client: Any, account: Location) -> None:
    def told(**values: Any) -> list[str]:
        link = a_link(factories.TripFactory(), remote_id="op1", **values)
        page = admin_client.get(reverse("admin:ghl_sync_link_change", args=[link.pk]))
        names = list(page.context["adminform"].fieldsets[0][1]["fields"])
        Link.objects.update(remote_id="")
        return [name for name in names if name not in at_rest]

    at_rest: list[str] = []
    at_rest = told()
    assert at_rest == [
        "record", "state_shown", "repairs", "key_shown", "remote", "opened_remotely", "synced_at", "events",
    ]  # fmt: skip
    assert told(gone_at=NOW, gone_reason="Not found.") == ["gone_at", "gone_reason"]
    assert told(parked_at=NOW, last_error="Refused.", parked_fields=["capacity"]) == ["last_error", "refused_fields"]
