"""The conflict desk: what it shows to whom, what a choice does to both sides, and how what lost comes back."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ghl_sync.admin.conflict_desk import marked
from ghl_sync.engine import due, resolve
from ghl_sync.engine.session import Session
from ghl_sync.models import Cause, Change, Conflict, Link
from ghl_sync.sandbox.server import Sandbox
from tests import factories
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from tests.pages import read_log

SECRET = "X5559876"
TRIP = ("trips.view_trip", "trips.change_trip", "ghl_sync.view_conflict")


def record_url(link: Link) -> str:
    return reverse("admin:ghl_sync_conflict_record", args=[link.pk])


def list_url() -> str:
    return reverse("admin:ghl_sync_conflict_changelist")


def staff(client: Any, *permissions: str) -> Any:
    user = factories.StaffFactory(permissions=list(permissions))
    client.force_login(user)
    return user


def said(page: Any) -> list[str]:
    return [str(message) for message in page.context["messages"]]


def picked(page: Any, **sides: str) -> dict[str, str]:
    """What the record's page sends when these fields (by label) are picked."""
    desk = page.context["desk"]
    data = {f"shown-{row.pk}": row.shown for row in desk.open}
    labels = {row.label: row.pk for row in desk.open}
    return data | {f"pick-{labels[label.replace('_', ' ')]}": side for label, side in sides.items()}


def a_conflict(link: Link | None = None, **values: Any) -> Conflict:
    """One that nothing but a row stands for."""
    link = link or link_of(factories.TripFactory())
    fields = {"field": "description", "policy": "ask", "our_value": "Ours", "their_value": "Theirs", **values}
    return Conflict.objects.create(link=link, **fields)


def disputed(session: Session, sandbox: Sandbox, obj: Any, ours: dict[str, Any], theirs: dict[str, Any]) -> Link:
    """A synced record whose fields were then changed on both sides, too long ago for "newest" to decide."""
    due.run_due(session)
    due.run_due(Session())
    for name, value in ours.items():
        setattr(obj, name, value)
    obj.save()
    Change.objects.update(at=timezone.now() - dt.timedelta(hours=1))
    sandbox.edit(link_of(obj).remote_id, fields=theirs)
    due.run_due(Session())
    return link_of(obj)


def texts(obj: Any, sandbox: Sandbox) -> tuple[str, Any]:
    obj.refresh_from_db()
    return obj.description, custom(sandbox, obj).get("trip_description")


def open_conflicts() -> list[str]:
    return sorted(Conflict.objects.filter(resolved_at=None).values_list("field", flat=True))


# Deciding, with both sides real


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("side", "value"), [("ours", "Ours"), ("theirs", "Theirs")])
def test_what_is_picked_holds_on_both_sides(
    admin_client: Any, admin_user: Any, session: Session, connected: Sandbox, side: str, value: str
) -> None:
    trip = a_trip(description="Old")
    link = disputed(session, connected, trip, {"description": "Ours"}, {"trip_description": "Theirs"})
    page = admin_client.get(record_url(link))

    answer = admin_client.post(record_url(link), picked(page, Description=side), follow=True)
    waiting = answer.context["desk"].open[0].pending
    due.run_due(Session())
    connected.requests.clear()
    due.run_due(Session())

    assert texts(trip, connected) == (value, value)
    assert list(connected.requests) == []
    conflict = Conflict.objects.get()
    assert (conflict.outcome, conflict.resolved_by, conflict.choice) == (side, admin_user, "")
    assert said(answer) == ["1 conflict is decided; both sides follow in a moment."]
    assert waiting == f"admin chose {'TripBuilder' if side == 'ours' else 'GoHighLevel'}’s value."


@pytest.mark.django_db(transaction=True)
def test_each_field_is_picked_by_itself_and_all_at_once(
    admin_client: Any, session: Session, connected: Sandbox
) -> None:
    trip = a_trip(description="Old", lodging_notes="Old", internal_notes="Old")
    both = {"trip_description": "Theirs", "lodging_notes": "Theirs", "internal_trip_details": "Theirs"}
    ours = {"description": "Ours", "lodging_notes": "Ours", "internal_notes": "Ours"}
    link = disputed(session, connected, trip, ours, both)

    page = admin_client.get(record_url(link))
    admin_client.post(record_url(link), picked(page, Description="ours", Lodging_notes="theirs"))
    due.run_due(Session())
    assert open_conflicts() == ["internal_notes"]
    page = admin_client.get(record_url(link))
    admin_client.post(record_url(link), picked(page) | {"all": "theirs"})
    due.run_due(Session())

    trip.refresh_from_db()
    assert (trip.description, trip.lodging_notes, trip.internal_notes) == ("Ours", "Theirs", "Theirs")
    there = custom(connected, trip)
    assert [there[name] for name in both] == ["Ours", "Theirs", "Theirs"]
    assert open_conflicts() == []


@pytest.mark.django_db(transaction=True)
def test_a_push_that_fails_after_a_choice_asks_nobody_again(
    admin_client: Any, session: Session, connected: Sandbox
) -> None:
    trip = a_trip(description="Old")
    link = disputed(session, connected, trip, {"description": "Ours"}, {"trip_description": "Theirs"})
    connected.faults.add("status", method="PUT", path="/opportunities/.*", status=503, times=1)

    admin_client.post(record_url(link), picked(admin_client.get(record_url(link)), Description="ours"))
    due.run_due(Session())
    Link.objects.update(next_attempt_at=None)
    due.run_due(Session())

    assert texts(trip, connected) == ("Ours", "Ours")
    assert Conflict.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_what_gohighlevel_changed_after_the_page_was_shown_is_not_overwritten(
    admin_client: Any, session: Session, connected: Sandbox, side: str
) -> None:
    trip = a_trip(description="Old")
    link = disputed(session, connected, trip, {"description": "Ours"}, {"trip_description": "Theirs"})
    page = admin_client.get(record_url(link))
    connected.edit(link.remote_id, fields={"trip_description": "Theirs, again"})

    admin_client.post(record_url(link), picked(page, Description=side))
    due.run_due(Session())

    assert texts(trip, connected) == ("Ours", "Theirs, again")
    row = admin_client.get(record_url(link)).context["desk"].open[0]
    assert (row.pending, re.sub("<.*?>", "", row.theirs.value), row.note) == (
        "",
        "Theirs, again",
        "Something else was typed after a choice was made. Nothing was overwritten; these are the values now.",
    )


@pytest.mark.django_db(transaction=True)
def test_what_was_typed_here_after_the_page_was_shown_is_said_at_once(
    admin_client: Any, session: Session, connected: Sandbox
) -> None:
    trip = a_trip(description="Old")
    link = disputed(session, connected, trip, {"description": "Ours"}, {"trip_description": "Theirs"})
    page = admin_client.get(record_url(link))
    trip.description = "Ours, again"
    trip.save()

    answer = admin_client.post(record_url(link), picked(page, Description="theirs"), follow=True)
    due.run_due(Session())

    assert texts(trip, connected) == ("Ours, again", "Theirs")
    assert said(answer) == [
        f"Changed again since the page was shown, so nothing was overwritten: description of “{link.label}”. Look at "
        "the new values and decide again."
    ]
    assert Conflict.objects.get().our_value == "Ours, again"


@pytest.mark.django_db(transaction=True)
def test_the_conflict_tells_who_saved_ours_and_when(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    trip._history_user = factories.StaffFactory(username="ines")
    link = disputed(session, connected, trip, {"description": "Ours"}, {"trip_description": "Theirs"})
    trip._history_user, trip.capacity = factories.StaffFactory(username="bruno"), 7
    trip.save()
    saved = trip.history.filter(description="Ours").order_by("history_id").first()
    connected.edit(link.remote_id, fields={"trip_description": "Theirs, again"})
    due.run_due(Session())

    conflict = Conflict.objects.get()
    assert (conflict.ours_by, conflict.ours_at) == ("ines", saved.history_date)
    assert conflict.theirs_at is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("side", "ends"), [("ours", "Oslo"), ("theirs", "Rome")])
def test_a_passenger_moved_on_both_sides_goes_where_it_is_decided_and_back(
    admin_client: Any, session: Session, connected: Sandbox, side: str, ends: str
) -> None:
    lisbon, oslo, _rome = (a_trip(name=name) for name in ("Lisbon", "Oslo", "Rome"))
    passenger = factories.PassengerFactory(trip=lisbon)
    link = disputed(session, connected, passenger, {"trip": oslo}, {"trip_name": "Rome"})
    page = admin_client.get(record_url(link))

    admin_client.post(record_url(link), picked(page, Trip=side))
    due.run_due(Session())
    due.run_due(Session())
    passenger.refresh_from_db()
    assert (passenger.trip.name, custom(connected, passenger)["trip_name"]) == (ends, ends)

    back = admin_client.get(record_url(link)).context["desk"].past[0]
    admin_client.post(f"{record_url(link)}put-back/", {"back": back.back})
    due.run_due(Session())
    due.run_due(Session())

    other = "Rome" if ends == "Oslo" else "Oslo"
    passenger.refresh_from_db()
    assert (back.lost, passenger.trip.name, custom(connected, passenger)["trip_name"]) == (other, other, other)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("side", "ends"), [("ours", "Casa Azul"), ("theirs", "Casa Verde")])
def test_a_vendor_changed_on_both_sides_is_decided(
    admin_client: Any, session: Session, connected: Sandbox, side: str, ends: str
) -> None:
    connected.store.add_options("trip_vendor", ["Casa Azul", "Casa Verde"])
    trip = a_trip(vendor=factories.VendorFactory(name="Harbour"))
    azul = factories.VendorFactory(name="Casa Azul")
    link = disputed(session, connected, trip, {"vendor": azul}, {"trip_vendor": "Casa Verde"})

    admin_client.post(record_url(link), picked(admin_client.get(record_url(link)), Vendor=side))
    due.run_due(Session())
    due.run_due(Session())

    trip.refresh_from_db()
    assert (trip.vendor.name, custom(connected, trip)["trip_vendor"]) == (ends, ends)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("where", ["here", "there"])
def test_a_true_return_to_an_earlier_value_counts_as_an_edit(session: Session, connected: Sandbox, where: str) -> None:
    trip = a_trip(description="First")
    due.run_due(session)
    trip.description = "Second"
    trip.save()
    due.run_due(Session())

    if where == "here":
        trip.description = "First"
        trip.save()
    else:
        connected.edit(link_of(trip).remote_id, fields={"trip_description": "First"})
        resolve.ask_for(link_of(trip))
    due.run_due(Session())

    assert texts(trip, connected) == ("First", "First")
    assert not Conflict.objects.exists()


# Put back


@pytest.mark.django_db(transaction=True)
def test_what_lost_is_put_back_as_often_as_it_is_wanted(
    admin_client: Any, admin_user: Any, session: Session, connected: Sandbox
) -> None:
    trip = a_trip(description="Old")
    link = disputed(session, connected, trip, {"description": "Ours"}, {"trip_description": "Theirs"})
    admin_client.post(record_url(link), picked(admin_client.get(record_url(link)), Description="theirs"))
    due.run_due(Session())

    row = admin_client.get(record_url(link)).context["desk"].past[0]
    answer = admin_client.post(f"{record_url(link)}put-back/", {"back": row.back}, follow=True)
    due.run_due(Session())

    assert (row.lost, row.now) == ("Ours", "Theirs")
    assert texts(trip, connected) == ("Ours", "Ours")
    assert said(answer) == [f"Put back: description of “{link.label}”. GoHighLevel follows in a moment."]
    last = trip.history.first()
    assert (last.history_user, last.description) == (admin_user, "Ours")
    after = admin_client.get(record_url(link)).context["desk"].past[0]
    assert (after.back, bool(after.put_back)) == ("", True)  # it stands there already

    trip.description = "Something new"
    trip.save()
    row = admin_client.get(record_url(link)).context["desk"].past[0]
    assert row.now == "Something new"
    admin_client.post(f"{record_url(link)}put-back/", {"back": row.back})
    due.run_due(Session())
    assert texts(trip, connected) == ("Ours", "Ours")
    assert not Conflict.objects.filter(resolved_at=None).exists()


@pytest.mark.django_db
def test_put_back_replaces_only_what_the_page_showed(admin_client: Any) -> None:
    trip = factories.TripFactory(description="Theirs")
    link = link_of(trip)
    a_conflict(link, outcome="theirs", resolved_at=timezone.now())
    row = admin_client.get(record_url(link)).context["desk"].past[0]
    trip.description = "Typed meanwhile"
    trip.save()

    answer = admin_client.post(f"{record_url(link)}put-back/", {"back": row.back}, follow=True)

    trip.refresh_from_db()
    assert trip.description == "Typed meanwhile"
    assert said(answer) == ["The field holds another value by now than this page showed; look at it and decide again."]


@pytest.mark.django_db
def test_nothing_is_put_back_into_what_was_deleted_or_where_nobody_lost(admin_client: Any) -> None:
    trip = factories.TripFactory(description="Theirs")
    link = link_of(trip)
    a_conflict(link, outcome="theirs", resolved_at=timezone.now())
    a_conflict(link, outcome="asked", resolved_at=timezone.now())
    trip.delete()

    assert [row.back for row in admin_client.get(record_url(link)).context["desk"].past] == ["", ""]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("capacity", "12", 12),
        ("start_date", "2027-05-04", dt.date(2027, 5, 4)),
        ("travel_category", "other", "other"),
        ("description", "", ""),
        ("description", "12", "12"),
    ],
)
def test_every_kind_of_value_comes_back_as_it_was(admin_client: Any, field: str, text: str, value: Any) -> None:
    trip = factories.TripFactory(description="Now", travel_category="Family")
    link = link_of(trip)
    conflict = a_conflict(link, field=field, our_value=text, outcome="theirs", resolved_at=timezone.now())

    row = admin_client.get(record_url(link)).context["desk"].past[0]
    admin_client.post(f"{record_url(link)}put-back/", {"back": row.back})

    trip.refresh_from_db()
    conflict.refresh_from_db()
    assert (getattr(trip, field), conflict.put_back_at is not None) == (value, True)


# Who sees and does what


@pytest.mark.django_db
def test_a_page_shows_both_sides_with_what_differs_marked(client: Any) -> None:
    staff(client, *TRIP)
    link = link_of(factories.TripFactory())
    a_conflict(link, base_value="Two nights", our_value="Three nights here", their_value="Three nights there",
               ours_by="ines", ours_at=dt.datetime(2027, 3, 1, 12, 0, tzinfo=dt.UTC))  # fmt: skip

    row = client.get(record_url(link)).context["desk"].open[0]

    assert (row.label, row.before.value, row.ours.value, row.theirs.value) == (
        "Description",
        "Two nights",
        "Three nights <mark>here</mark>",
        "Three nights <mark>there</mark>",
    )
    assert re.fullmatch(r"Saved by ines on 1 Mar 2027, \d\d:\d\d", row.ours.about)


@pytest.mark.django_db
def test_values_that_look_like_markup_are_shown_as_text() -> None:
    assert marked("<b>x</b> same", "<i>y</i> same") == (
        "<mark>&lt;b&gt;x&lt;/b&gt;</mark> same",
        "<mark>&lt;i&gt;y&lt;/i&gt;</mark> same",
    )


@pytest.mark.django_db
def test_whoever_may_not_change_the_field_looks_but_does_not_decide(client: Any) -> None:
    link = link_of(factories.TripFactory(description="Ours"))
    open_one = a_conflict(link)
    over = a_conflict(link, field="lodging_notes", outcome="theirs", resolved_at=timezone.now())
    staff(client, "trips.view_trip", "ghl_sync.view_conflict")

    page = client.get(record_url(link))
    decided = client.post(record_url(link), picked(page, Description="theirs"))
    settled = client.post(
        reverse("admin:ghl_sync_conflict_settle"),
        {"side": "theirs", "picks": f"{open_one.pk}:{resolve.shown_of(open_one)}"},
    )
    back = client.post(f"{record_url(link)}put-back/", {"back": f"{over.pk}:x"})

    open_one.refresh_from_db()
    assert (page.context["desk"].decides, decided.status_code, settled.status_code, back.status_code) == (
        False, 302, 302, 403,
    )  # fmt: skip
    assert open_one.choice == ""
    assert not Change.objects.filter(cause=Cause.ASKED).exists()


@pytest.mark.django_db
def test_strangers_see_no_conflicts(client: Any) -> None:
    conflict = a_conflict()
    staff(client, "trips.change_trip")
    pages = [
        client.get(record_url(conflict.link)),
        client.get(f"{record_url(conflict.link)}state/"),
        client.post(record_url(conflict.link), {}),
        client.post(f"{record_url(conflict.link)}put-back/", {"back": f"{conflict.pk}:"}),
    ]
    assert [page.status_code for page in pages] == [403] * 4


@pytest.mark.django_db
def test_passport_numbers_are_shown_to_whoever_may_read_them_and_to_nobody_else(client: Any, caplog: Any) -> None:
    passport = factories.PassportFactory(number=SECRET)
    link = link_of(passport.passenger)
    a_conflict(link, field="passport.number", our_value=SECRET, their_value="X5550000")
    a_conflict(link, field="passport.number", our_value=SECRET, outcome="theirs", resolved_at=timezone.now())
    people = ("trips.change_passenger", "ghl_sync.view_conflict")

    def seen(*permissions: str) -> tuple[bool, bool, bool, list[bool]]:
        staff(client, *people, *permissions)
        page = client.get(record_url(link))
        listed = client.get(list_url()).content.decode() + client.get(f"{list_url()}?open=all").content.decode()
        state = client.get(f"{record_url(link)}state/").content.decode()
        return (
            SECRET in page.content.decode(),
            SECRET in state,
            SECRET in listed,
            [row.decides for row in page.context["desk"].open],
        )

    assert seen() == (False, False, False, [False])
    assert seen("trips.view_passport") == (True, True, False, [False])
    assert seen("trips.change_passport") == (True, True, False, [True])
    assert SECRET not in caplog.text
    people = [passport.passenger_id]
    looks = [(read.kind, read.what, read.shows, read.people) for read in read_log()]
    assert looks == [("review", "Conflicts", "trips.passport", people)] * 2
    with connection.cursor() as cursor:
        cursor.execute("select our_value from ghl_sync_conflict")
        assert [SECRET in row[0] for row in cursor.fetchall()] == [False, False]


@pytest.mark.django_db
def test_a_page_without_open_conflicts_says_so_and_an_unknown_record_is_not_found(admin_client: Any) -> None:
    link = link_of(factories.TripFactory())

    assert "No open conflict" in admin_client.get(record_url(link)).content.decode()
    assert admin_client.get(reverse("admin:ghl_sync_conflict_record", args=[99_999])).status_code == 404
    answer = admin_client.post(record_url(link), {"shown-x": "y", "pick-1": "ours"}, follow=True)
    assert said(answer) == ["Nothing was chosen. Pick a value first."]


@pytest.mark.django_db
def test_a_conflict_leads_to_its_record_and_on_to_the_next(admin_client: Any) -> None:
    first, second = a_conflict(), a_conflict()

    page = admin_client.get(reverse("admin:ghl_sync_conflict_change", args=[first.pk]))

    assert (page.context["desk"].focus, page.context["next"]) == (first.pk, second.link)
    assert [row.pk for row in page.context["desk"].open] == [first.pk]


@pytest.mark.django_db
def test_outcomes_are_told_in_a_sentence(admin_client: Any, admin_user: Any) -> None:
    link, now = link_of(factories.TripFactory()), timezone.now()
    for field, values in {
        "description": {"outcome": "ours", "policy": "newest"},
        "capacity": {"outcome": "theirs", "policy": "ask", "resolved_by": admin_user},
        "lodging": {"outcome": "asked"},
        "vendor_terms": {"outcome": "asked", "policy": "off"},
    }.items():
        a_conflict(link, field=field, our_value="5", their_value="6", resolved_at=now, **values)

    told = {row.label: row.outcome for row in admin_client.get(record_url(link)).context["desk"].past}

    when = timezone.localtime(now).strftime("%-d %b %Y, %H:%M")
    assert told == {
        "Description": f"TripBuilder’s value was kept on {when}: the newer edit won.",
        "Capacity": f"GoHighLevel’s value was kept on {when}: admin chose it.",
        "Lodging": f"Ended without a choice on {when}: both sides came to agree.",
        "Vendor terms": f"Ended without a choice on {when}: the field is not synced any more.",
    }


# Many at once


def confirm(client: Any, action: str, rows: Any, **data: Any) -> Any:
    return client.post(list_url(), {"action": action, "_selected_action": [row.pk for row in rows], **data})


@pytest.mark.django_db
def test_a_choice_for_many_says_what_it_does_before_it_does_it(client: Any, django_user_model: Any) -> None:
    staff(client, *TRIP)
    trips = [link_of(trip) for trip in factories.TripFactory.create_batch(2)]
    rows = [
        a_conflict(trips[0], field="stage", our_value="trip_scheduled", their_value="trip_complete"),
        a_conflict(trips[0]),
        a_conflict(trips[1], field="status", our_value="won", their_value="lost"),
        a_conflict(link_of(factories.PassengerFactory()), field="roommate_request"),  # not this user's to decide
    ]

    page = confirm(client, "keep_ours", rows)
    context = {name: page.context[name] for name in ("conflicts", "records", "stages", "left_out")}
    assert context == {"conflicts": "3 conflicts", "records": "2 records", "stages": 2, "left_out": 1}
    assert [(row["field"], row["kept"]) for row in page.context["named"]] == [
        ("Description", "Ours"), ("Stage", "TripScheduled"), ("Status", "won"),
    ]  # fmt: skip
    assert not Conflict.objects.exclude(choice="").exists()
    assert confirm(client, "keep_theirs", rows).context["stages"] == 0

    answer = client.post(
        reverse("admin:ghl_sync_conflict_settle"), {"side": "ours", "picks": page.context["picks"]}, follow=True
    )

    assert said(answer)[0].startswith("3 conflicts are decided")
    assert [row.choice for row in Conflict.objects.order_by("pk")] == ["ours", "ours", "ours", ""]
    asked = Change.objects.filter(cause=Cause.ASKED).values_list("kind", "object_id")
    assert sorted(asked) == sorted(("trip", link.object_id) for link in trips)


@pytest.mark.django_db
def test_a_choice_for_many_leaves_what_changed_since(admin_client: Any) -> None:
    first, second = a_conflict(), a_conflict()
    page = confirm(admin_client, "keep_theirs", [first, second])
    second.their_value = "Theirs, again"
    second.save()

    answer = admin_client.post(
        reverse("admin:ghl_sync_conflict_settle"), {"side": "theirs", "picks": page.context["picks"]}, follow=True
    )

    assert [row.choice for row in Conflict.objects.order_by("pk")] == ["theirs", ""]
    assert len(said(answer)) == 2
    assert said(answer)[1].startswith("Changed again since the page was shown")


@pytest.mark.django_db
@pytest.mark.parametrize("data", [{}, {"side": "mine", "picks": "1:x"}, {"side": "ours", "picks": "x 1 :: 9:y"}])
def test_nonsense_decides_nothing(admin_client: Any, data: dict[str, str]) -> None:
    a_conflict()

    answer = admin_client.post(reverse("admin:ghl_sync_conflict_settle"), data, follow=True)

    assert answer.status_code == 200
    assert not Conflict.objects.exclude(choice="").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("where", ["record", "state", "confirm"])
def test_pages_cost_the_same_for_one_conflict_and_three(admin_client: Any, where: str) -> None:
    link = link_of(factories.TripFactory())
    fields = ("description", "lodging_notes", "internal_notes")

    def look() -> Any:
        if where == "confirm":
            return confirm(admin_client, "keep_ours", Conflict.objects.filter(resolved_at=None))
        return admin_client.get(record_url(link) if where == "record" else f"{record_url(link)}state/")

    def add(field: str) -> None:
        a_conflict(link, field=field)
        a_conflict(link, field=field, outcome="ours", resolved_at=timezone.now(), resolved_by=factories.StaffFactory())

    add(fields[0])
    look()
    with CaptureQueriesContext(connection) as one:
        look()
    for field in fields[1:]:
        add(field)
    with CaptureQueriesContext(connection) as three:
        look()

    assert len(three) == len(one)


@pytest.mark.django_db
def test_five_hundred_conflicts_are_decided_with_a_handful_of_queries(admin_client: Any) -> None:
    links = [link_of(trip) for trip in factories.TripFactory.create_batch(25)]
    fields = [f"field{number}" for number in range(19)]
    Conflict.objects.bulk_create(
        Conflict(link=link, field=field, policy="ask", our_value="Ours", their_value="Theirs")
        for link in links
        for field in ("description", *fields)
    )
    rows = Conflict.objects.filter(field="description")
    with CaptureQueriesContext(connection) as queries:
        page = confirm(admin_client, "keep_ours", rows[:1], select_across=1)
        admin_client.post(reverse("admin:ghl_sync_conflict_settle"), {"side": "ours", "picks": page.context["picks"]})

    assert page.context["left_out"] == 475  # fields that the mapping does not know are nobody's to decide
    assert Conflict.objects.filter(choice="ours").count() == 25
    assert len(queries) < 30


def test_the_list_leads_to_the_decision_in_so_many_words(admin_client: Any, client: Any) -> None:
    open_one = a_conflict()
    for field, values in (
        ("capacity", {"choice": "ours"}),
        ("name", {"outcome": "ours", "resolved_at": timezone.now()}),
    ):
        a_conflict(open_one.link, field=field, **values)
    address = f"{list_url()}?open=all"

    def led(user: Any) -> dict[str, str]:
        found = r'<a class="conflict-decide text-link" href="[^"]*/(\d+)/change/">(Decide|Look at both)</a>'
        told = {int(pk): words for pk, words in re.findall(found, user.get(address).content.decode())}
        return {row.field: told[row.pk] for row in Conflict.objects.all()}

    assert led(admin_client) == {"description": "Decide", "capacity": "Look at both", "name": "Look at both"}
    client.force_login(factories.StaffFactory(permissions=["ghl_sync.view_conflict", "trips.view_trip"]))
    assert set(led(client).values()) == {"Look at both"}
