"""A record's timeline and where each of its values is from, as staff see them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ghl_sync.admin.timeline import Step, Timeline
from ghl_sync.engine import due, inbox, state
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import Session
from ghl_sync.models import Arrival, Conflict, Drift, Issue, Link, Run, WebhookEvent, Write
from ghl_sync.sandbox.server import Sandbox
from tests import factories
from tests.ghl_sync.engine.mirror import a_trip, link_of
from trips.models import HealthRecord, Passport, Trip

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 11, 24, 10, 12, tzinfo=dt.UTC)


def url(link: Link) -> str:
    return reverse("admin:ghl_sync_link_timeline", args=[link.pk])


def told(page: Any) -> list[tuple[str, str, list[Step], str]]:
    return [(entry.what, entry.who, entry.steps, entry.note) for entry in page.context["page"].object_list]


def sources(page: Any) -> dict[str, tuple[str, str]]:
    return {source.label: (source.value, source.origin) for source in page.context["sources"]}


@pytest.fixture
def ana(client: Any) -> Any:
    user = factories.StaffFactory(username="ana", first_name="Ana", last_name="Ferro", is_superuser=True)
    client.force_login(user)
    return user


def a_quiet_link(obj: Any, **values: Any) -> Link:
    """The object's link; history of how the test made the object is away."""
    obj.history.all().delete()
    Link.objects.filter(pk=link_of(obj).pk).update(**values)
    return link_of(obj)


def test_what_a_pull_changed_is_kept_with_its_values(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old", capacity=10)
    due.run_due(session)
    link = link_of(trip)
    connected.store.edit(link.remote_id, fields={"trip_description": "Theirs", "max_passengers": 12})
    pull(session, full=True)
    arrival = Arrival.objects.get()
    assert (arrival.link, arrival.via, arrival.values) == (link, "pull", {"capacity": 12, "description": "Theirs"})


def test_what_a_look_before_sending_found_is_kept(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)
    connected.store.edit(link_of(trip).remote_id, fields={"max_passengers": 12})
    state.mark_dirty([link_of(trip).pk])
    due.run_due(session)
    assert [(one.via, one.values) for one in Arrival.objects.all()] == [("look", {"capacity": 12})]


def test_a_look_that_a_webhook_asked_for_counts_as_one(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)
    link = link_of(trip)
    connected.store.edit(link.remote_id, fields={"max_passengers": 12})
    WebhookEvent.objects.create(
        delivery_id="d1", kind="OpportunityUpdate", record_kind="opportunity", record_id=link.remote_id
    )
    inbox.handle(session, seconds=2)
    due.run_due(session)
    assert [(one.via, one.values) for one in Arrival.objects.all()] == [("webhook", {"capacity": 12})]


def test_sensitive_values_that_came_are_kept_as_hashes_only(session: Session, connected: Sandbox) -> None:
    passport = factories.PassportFactory(number="X5559876", passenger__trip=a_trip())
    due.run_due(session)
    link = link_of(passport.passenger)
    connected.store.edit(link.remote_id, fields={"passport_number": "Y1112223"})
    pull(session, full=True)
    assert Passport.objects.get().number == "Y1112223"
    values = Arrival.objects.get().values
    assert list(values) == ["passport.number"]
    assert "Y1112223" not in str(values)


def test_a_first_fetch_leaves_no_arrivals(session: Session, connected: Sandbox) -> None:
    contact = connected.store.add_contact(first_name="Ines", email="ines@example.com")
    connected.store.add_opportunity(pipeline="TripBooking", name="Fjords", contact_id=contact.id)
    pull(session, full=True)
    assert (Trip.objects.count(), Arrival.objects.count()) == (1, 0)


def test_a_passenger_that_moved_over_there_tells_of_its_trip(session: Session, connected: Sandbox) -> None:
    first, second = a_trip(name="Alps"), a_trip(name="Fjords")
    passenger = factories.PassengerFactory(trip=first)
    due.run_due(session)
    connected.store.edit(link_of(passenger).remote_id, fields={"trip_name": "Fjords"})
    pull(session, full=True)
    passenger.refresh_from_db()
    assert passenger.trip == second
    assert Arrival.objects.get(link=link_of(passenger)).values == {"trip_name": "Fjords"}


def test_timeline_tells_everything_newest_first(client: Any, ana: Any) -> None:
    trip = factories.TripFactory(capacity=10)
    link = a_quiet_link(trip, remote_id="op77", location_id="loc1")
    at = {n: NOW + dt.timedelta(minutes=n) for n in range(9)}
    Write.objects.create(link=link, action="create", values={"capacity": 10}, outcome="done", sent_at=at[0])
    Arrival.objects.create(link=link, via="pull", values={"capacity": 12}, at=at[1])
    Write.objects.create(
        link=link, action="update", values={"capacity": 14}, outcome="refused", message="too many", sent_at=at[2]
    )
    Conflict.objects.create(
        link=link, field="capacity", policy="ask", our_value="14", their_value="15", outcome="ours", opened_at=at[3],
        resolved_at=at[4], resolved_by=ana,
    )  # fmt: skip
    Issue.objects.create(
        link=link, field="name", code="kept", message="GoHighLevel kept Old.", opened_at=at[5], closed_at=at[6]
    )
    Link.objects.filter(pk=link.pk).update(gone_at=at[7], gone_reason="Not found.")
    assert told(client.get(url(link))) == [
        ("Missing in GoHighLevel", "", [], "Not found."),
        ("Settled: GoHighLevel kept another value", "", [], ""),
        ("GoHighLevel kept another value", "", [], "GoHighLevel kept Old."),
        ("TripBuilder's value kept: capacity", "Ana Ferro", [], ""),
        ("Both sides changed capacity", "", [], "Here: 14. In GoHighLevel: 15."),
        ("Update in GoHighLevel", "", [Step("capacity", "14", "12")], "Refused. too many"),
        ("Came from GoHighLevel", "pull", [Step("capacity", "12", "10")], ""),
        ("Created in GoHighLevel", "", [Step("capacity", "10", None)], ""),
    ]


def test_timeline_tells_who_typed_what(client: Any, ana: Any) -> None:
    trip = factories.TripFactory(name="Alps", vendor=None)
    link = a_quiet_link(trip)
    trip.save()  # what history begins with
    trip.capacity, trip.vendor = 12, factories.VendorFactory(name="Polar Boats")
    trip._history_user = ana
    trip.save()
    assert told(client.get(url(link))) == [
        (
            "Changed here",
            "Ana Ferro",
            [Step("capacity", "12", "20"), Step("vendor", "Polar Boats", "nothing")],
            "",
        )
    ]


def test_what_a_pull_wrote_is_told_once(client: Any, ana: Any, session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)
    trip.history.all().delete()
    trip.save()
    Link.objects.update(remote_dirty_at=None)
    due.run_due(session)
    connected.store.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    pull(session, full=True)
    newest = told(client.get(url(link_of(trip))))[0]
    assert newest[:2] == ("Came from GoHighLevel", "pull")
    assert [entry[0] for entry in told(client.get(url(link_of(trip))))].count("Changed here") == 0


def test_provenance_of_each_field(client: Any, ana: Any) -> None:
    trip = factories.TripFactory(name="Alps", capacity=10, price_per_person=Decimal("1250.00"), description="")
    link = a_quiet_link(trip, remote_id="op77", location_id="loc1")
    trip.created_at = NOW
    Arrival.objects.create(link=link, via="pull", values={"price_per_person": "1250.00"}, at=NOW)
    Write.objects.create(link=link, action="update", values={"capacity": 10}, outcome="done", sent_at=NOW)
    trip.save()
    trip.capacity = 12
    trip._history_user = ana
    trip.save()
    typed = trip.history.first().history_date
    found = sources(client.get(url(link)))
    clock = timezone.localtime(typed).strftime("%H:%M")
    assert found["Price per person"] == ("1250.00", "from GoHighLevel, pull, 24 Nov 2026, 10:12")
    assert found["Capacity"][0] == "12"
    assert found["Capacity"][1].startswith("typed here by Ana Ferro, ")
    assert found["Capacity"][1].endswith(clock)
    assert found["Name"] == ("Alps", "from GoHighLevel, when the record was first fetched, 24 Nov 2026, 10:12")
    assert found["Description"] == ("nothing", "never filled in")
    sent = {source.label: source.sent for source in client.get(url(link)).context["sources"]}
    assert (sent["Capacity"], sent["Name"]) == ("24 Nov 2026, 10:12", "")


def test_sensitive_values_are_nowhere_on_it(client: Any, ana: Any) -> None:
    passport = factories.PassportFactory(number="X5559876")
    health = factories.HealthRecordFactory(passenger=passport.passenger, medications="Insulin")
    passport._history_user = health._history_user = ana
    passport.save()
    health.save()
    passenger = passport.passenger
    link = link_of(passenger)
    Arrival.objects.create(link=link, via="pull", values={"passport.number": "k1:abcdef"})
    Write.objects.create(
        link=link, action="update", values={"health.medications": "k1:fedcba"}, outcome="refused", message="bad Insulin"
    )
    page = client.get(url(link))
    text = page.content.decode()
    assert [word for word in ("X5559876", "Insulin", "k1:abcdef", "k1:fedcba") if word in text] == []
    found = sources(page)
    assert found["Passport: number"] == ("not shown", found["Passport: number"][1])
    assert found["Health record: medications"][0] == "not shown"
    assert found["Health record: medications"][1].startswith("health record last saved here by Ana Ferro, ")
    assert HealthRecord.objects.count() == 1


def test_values_need_the_permission_of_their_model(client: Any) -> None:
    client.force_login(factories.StaffFactory(permissions=["ghl_sync.view_link"]))
    trip = factories.TripFactory(capacity=10)
    link = a_quiet_link(trip)
    Arrival.objects.create(link=link, via="pull", values={"capacity": 12})
    page = client.get(url(link))
    assert told(page) == [("Came from GoHighLevel", "pull", [Step("capacity", "not shown", None)], "")]
    assert page.context["record_url"] == ""
    assert {value for value, _origin in sources(page).values()} <= {"not shown", "nothing"}


def test_who_may_see_neither_is_refused(client: Any) -> None:
    client.force_login(factories.StaffFactory(permissions=["trips.view_contact"]))
    assert client.get(url(link_of(factories.TripFactory()))).status_code == 403
    assert client.get(reverse("admin:ghl_sync_link_timeline", args=[999])).status_code == 404


def test_an_empty_timeline_says_what_will_be_there(client: Any, ana: Any) -> None:
    link = a_quiet_link(factories.TripFactory())
    assert "Nothing has happened yet" in client.get(url(link)).content.decode()


def test_timeline_is_paged(client: Any, ana: Any) -> None:
    link = a_quiet_link(factories.TripFactory())
    for n in range(45):
        Arrival.objects.create(link=link, values={"capacity": n}, at=NOW + dt.timedelta(minutes=n))
    page = client.get(url(link), {"p": 3})
    assert [entry.steps[0].after for entry in page.context["page"].object_list] == ["4", "3", "2", "1", "0"]


def test_queries_do_not_grow_with_what_happened(client: Any, ana: Any) -> None:
    trip = factories.TripFactory()
    link = a_quiet_link(trip)
    counted = []
    for _ in range(2):
        for n in range(1, 4):
            Arrival.objects.create(link=link, values={"capacity": n})
            Write.objects.create(link=link, action="update", values={"capacity": n}, outcome="done")
            trip.capacity = n
            trip._history_user = get_user_model().objects.get(pk=ana.pk)
            trip.save()
        client.get(url(link))
        with CaptureQueriesContext(connection) as queries:
            client.get(url(link))
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_the_panel_tells_what_was_sent_and_fetched_last(client: Any, ana: Any) -> None:
    trip = factories.TripFactory()
    link = a_quiet_link(trip)
    Arrival.objects.create(link=link, via="webhook", values={"capacity": 12})
    page = client.get(reverse("admin:trips_trip_change", args=[trip.pk]))
    assert [(event.what, event.who, event.fields) for event in page.context["panel"].events] == [
        ("Came from GoHighLevel", "webhook", "capacity")
    ]
    assert url(link) in page.content.decode()
    assert Timeline(link, ana).traffic()[0].trouble is False


def test_what_was_gone_and_is_back_tells_of_it(client: Any, ana: Any) -> None:
    link = a_quiet_link(factories.TripFactory(), remote_id="op77", location_id="loc1")
    at = {n: NOW + dt.timedelta(minutes=n) for n in range(5)}
    for n, kind, outcome, record in (
        (0, "OpportunityUpdate", "compared", "op77"),
        (1, "OpportunityDelete", "compared", "op77"),
        (2, "OpportunityUpdate", "not_found", "op77"),
        (2, "OpportunityDelete", "compared", "another"),
    ):
        WebhookEvent.objects.create(
            delivery_id=f"{n}{kind}", kind=kind, outcome=outcome, record_id=record, received_at=at[n]
        )
    run = Run.objects.create(mode="audit", finished_at=at[3], ok=True)
    Drift.objects.create(run=run, link=link, kind="trip", what="not_there", found_at=at[3])
    Drift.objects.create(run=run, link=link, kind="trip", what="differs", found_at=at[3])
    gone = [
        ("Gone in GoHighLevel", "audit", [], "A comparison did not find it there."),
        ("Gone in GoHighLevel", "webhook", [], "GoHighLevel did not find it when it was to be read."),
        ("Gone in GoHighLevel", "webhook", [], "GoHighLevel said that it was deleted there."),
    ]
    before = told(client.get(url(link)))
    Link.objects.filter(pk=link.pk).update(remote_seen_at=at[4])

    assert before == gone
    assert told(client.get(url(link))) == [
        ("Is in GoHighLevel again", "", [], "This is when it was last read there."),
        *gone,
    ]
    Link.objects.filter(pk=link.pk).update(gone_at=at[4], gone_reason="Not found.")
    assert told(client.get(url(link))) == [("Missing in GoHighLevel", "", [], "Not found."), *gone]


def test_a_record_that_was_only_fetched_says_when_it_was_last_read(client: Any, ana: Any) -> None:
    link = a_quiet_link(factories.TripFactory(), remote_id="op77", location_id="loc1", remote_seen_at=NOW)
    text = client.get(url(link)).content.decode()
    assert "Nothing has changed since it was fetched" in text
    assert "It was last read in GoHighLevel on 24 Nov 2026, 10:12." in text


def test_a_record_with_an_open_issue_tells_of_it(client: Any, ana: Any) -> None:
    link = a_quiet_link(factories.TripFactory())
    Issue.objects.create(link=link, code="moved", message="It stands in Sales.", opened_at=NOW)
    assert told(client.get(url(link))) == [("Moved to another pipeline", "", [], "It stands in Sales.")]


def test_what_is_gone_is_not_opened_in_gohighlevel(client: Any, ana: Any) -> None:
    trip = factories.TripFactory()
    link = a_quiet_link(trip, remote_id="op77", location_id="loc1", gone_at=NOW)
    addresses = [
        url(link),
        reverse("admin:trips_trip_change", args=[trip.pk]),
        reverse("admin:ghl_sync_link_changelist"),
        reverse("admin:ghl_sync_link_change", args=[link.pk]),
        reverse("admin:ghl_sync_conflict_record", args=[link.pk]),
    ]

    def offering() -> list[str]:
        return [address for address in addresses if "Open in GoHighLevel" in client.get(address).content.decode()]

    gone = offering()
    Link.objects.filter(pk=link.pk).update(gone_at=None)
    assert (gone, offering()) == ([], addresses)


def test_a_record_s_own_timeline_has_the_sync_in_its_stream(
    session: Session, connected: Sandbox, client: Any, ana: Any
) -> None:
    trip = a_trip(description="Old", capacity=10)
    due.run_due(session)
    connected.store.edit(link_of(trip).remote_id, fields={"max_passengers": 12})
    pull(session, full=True)
    page = client.get(reverse("admin:trips_trip_timeline", args=[trip.pk]))
    stream = [(event.what, event.who, event.way) for event in page.context["page"].object_list]
    # What the pull wrote is told once, by the arrival, and not by history as well.
    assert stream == [
        ("Came from GoHighLevel", "", "GoHighLevel, pull"),
        ("Sent to GoHighLevel", "", "GoHighLevel"),
        ("Created in GoHighLevel", "", "GoHighLevel"),
        ("Trip added", "", ""),
    ]
    came = page.context["page"].object_list[0].steps
    assert [(step.label, step.before, step.after) for step in came] == [("capacity", "10", "12")]
