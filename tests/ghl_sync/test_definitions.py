"""Stages, fields and options renamed, deleted, made anew or added in GoHighLevel, and a mapping that changes."""

from __future__ import annotations

import datetime as dt
import html
import re
from typing import Any

import pytest
from django.db import transaction

from ghl_sync import tasks
from ghl_sync.admin.choices import live_options
from ghl_sync.client.errors import TryLater
from ghl_sync.engine import definitions, due
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.mapping import table
from ghl_sync.models import Change, Conflict, Issue, Link, Location, Pipeline, RemoteField, Run, Stage, WantedOption
from ghl_sync.sandbox.server import Sandbox
from tests.factories import EmergencyContactFactory, PassengerFactory, PassportFactory, StaffFactory, VendorFactory
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of
from trips.models import Passenger, Trip

pytestmark = pytest.mark.django_db(transaction=True)


def told() -> list[tuple[str, str, str]]:
    """Open issues about the definitions."""
    rows = Issue.objects.filter(closed_at=None, link=None).order_by("field", "pk")
    return list(rows.values_list("code", "field", "message"))


def seen_anew(**options: Any) -> None:
    """The hourly look, then a full pull and whatever it makes due."""
    Session().refresh_definitions()
    pull(Session(), full=True)
    due.run_due(Session())
    Change.objects.update(due_at=database_now())
    due.run_due(Session())


def stage_there(connected: Sandbox, obj: Any, pipeline: str) -> str:
    record = connected.store.opportunity(link_of(obj).remote_id)
    assert record is not None
    return connected.store.stage(pipeline, record.stage_id).name


# Stages


def test_a_renamed_stage_keeps_its_trips(session: Session, connected: Sandbox) -> None:
    trip = a_trip(stage="trip_scheduled")
    due.run_due(session)
    connected.store.rename_stage("TripBooking", "TripScheduled", "On the calendar")

    seen_anew()

    trip.refresh_from_db()
    assert (trip.stage, told(), Conflict.objects.count()) == ("trip_scheduled", [], 0)
    trip.stage = "trip_complete"
    trip.save()
    due.run_due(Session())
    assert stage_there(connected, trip, "TripBooking") == "TripComplete"
    trip.stage = "trip_scheduled"
    trip.save()
    due.run_due(Session())
    assert stage_there(connected, trip, "TripBooking") == "On the calendar"
    assert "trip_scheduled" in live_options("trip.stage")


def test_a_stage_that_takes_the_old_name_takes_its_trips_to_come(session: Session, connected: Sandbox) -> None:
    connected.store.rename_stage("TripBooking", "TripScheduled", "Old")
    connected.store.add_stage("TripBooking", "TripScheduled")

    Session().refresh_definitions()

    rows = Stage.objects.filter(pipeline__name="TripBooking").order_by("position").values_list("name", "code")
    assert ("TripScheduled", "trip_scheduled") in rows
    assert ("Old", "") in rows


def test_a_stage_of_their_own_that_is_renamed_is_followed(session: Session, connected: Sandbox) -> None:
    connected.store.add_stage("TripBooking", "Parked")
    session.refresh_definitions()
    trip = a_trip(stage="Parked")
    due.run_due(session)
    connected.store.rename_stage("TripBooking", "Parked", "On hold")

    seen_anew()

    trip.refresh_from_db()
    assert (trip.stage, Conflict.objects.count()) == ("On hold", 0)


def test_a_deleted_stage_blanks_nothing_and_says_what_to_do(session: Session, connected: Sandbox) -> None:
    trip, other = a_trip(stage="trip_scheduled"), a_trip()
    due.run_due(session)
    connected.store.remove_stage("TripBooking", "TripScheduled")
    connected.edit(link_of(trip).remote_id, name="Renamed there")

    seen_anew()

    trip.refresh_from_db()
    assert (trip.stage, trip.name) == ("trip_scheduled", "Renamed there")
    assert told() == [
        (
            "option_gone",
            "trip.stage",
            "The stage TripScheduled is gone from GoHighLevel's pipeline TripBooking; 1 trip here stands in it and "
            "keeps it. Make it again there under this name (Opportunities → Pipelines), or choose another stage for it "
            "here.",
        )
    ]
    other.stage = "trip_scheduled"
    other.save()
    due.run_due(Session())
    issue = Issue.objects.get(link=link_of(other), closed_at=None)
    assert (issue.code, issue.message) == (
        "no_option",
        "GoHighLevel's pipeline has no stage 'TripScheduled'. Make it there, or choose another stage here.",
    )


def test_another_stage_chosen_here_ends_the_trouble(session: Session, connected: Sandbox) -> None:
    trip = a_trip(stage="trip_scheduled")
    due.run_due(session)
    connected.store.remove_stage("TripBooking", "TripScheduled")
    seen_anew()
    trip.stage = "trip_complete"
    trip.save()

    seen_anew()

    assert stage_there(connected, trip, "TripBooking") == "TripComplete"
    assert told() == []


def test_a_stage_made_again_takes_its_trips_back(session: Session, connected: Sandbox) -> None:
    trip = a_trip(stage="trip_scheduled")
    due.run_due(session)
    connected.store.remove_stage("TripBooking", "TripScheduled")
    seen_anew()
    connected.store.add_stage("TripBooking", "TripScheduled")
    seen_anew()

    assert told() == []
    trip.refresh_from_db()
    assert trip.stage == "trip_scheduled"


def test_a_new_stage_is_offered_within_the_hour(connected: Sandbox, session: Session) -> None:
    connected.store.add_stage("Passenger", "Waiting list")
    connected.store.add_options("lodging", ["Ship"])
    connected.store.add_field("shirt_size", "Shirt size", "TEXT")

    tasks.refresh_definitions()

    assert "Waiting list" in live_options("passenger.stage")
    assert live_options("trip.lodging") == ["Hotel", "Private house", "Ship"]
    assert RemoteField.objects.filter(key="opportunity.shirt_size", gone_at=None).exists()


def test_a_stage_nobody_has_met_is_looked_up_at_once(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    pull(Session(), full=True)
    connected.store.add_stage("TripBooking", "Brand new")
    connected.edit(link_of(trip).remote_id, stage="Brand new")
    connected.requests.clear()

    pull(Session())
    trip.refresh_from_db()
    again = Session()
    pull(again)

    assert trip.stage == "Brand new"
    looks = [one for one in connected.requests if one.path.endswith("/pipelines")]
    assert len(looks) == 1
    assert not Issue.objects.filter(closed_at=None).exists()


def test_a_stage_nobody_can_explain_is_looked_up_once_and_told(session: Session, connected: Sandbox) -> None:
    trip = a_trip(stage="trip_complete")
    due.run_due(session)
    pull(Session(), full=True)
    connected.store.overlay(link_of(trip).remote_id, {"pipelineStageId": "nowhere"})
    connected.edit(link_of(trip).remote_id, name="Edited")
    connected.requests.clear()

    pull(Session())

    assert len([one for one in connected.requests if one.path.endswith("/pipelines")]) == 1
    trip.refresh_from_db()
    assert (trip.stage, trip.name) == ("trip_complete", "Edited")
    issue = Issue.objects.get(closed_at=None)
    assert (issue.code, issue.field) == ("unreadable", "stage")


# Custom fields


def test_a_deleted_field_blanks_nothing_here(session: Session, connected: Sandbox) -> None:
    trip = a_trip(capacity=12, description="Sea and sun")
    due.run_due(session)
    pull(Session(), full=True)
    connected.store.remove_field("max_passengers")
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Sea, sun and sand"})

    pull(Session())  # before the hourly look

    trip.refresh_from_db()
    assert (trip.capacity, trip.description) == (12, "Sea, sun and sand")
    assert told() == [
        (
            "no_field",
            "opportunity.max_passengers",
            "The field “Places” (opportunity.max_passengers) is gone from GoHighLevel. TripBuilder keeps its values "
            "and blanks nothing. Have it made again on the page “Fields and drop-downs” (or by `manage.py ghl_setup "
            "--apply`) with the type NUMERICAL; the values then follow by themselves.",
        )
    ]


def test_a_field_deleted_before_a_sync_now_blanks_nothing(session: Session, connected: Sandbox) -> None:
    from ghl_sync.engine import resolve

    trip = a_trip(capacity=12)
    due.run_due(session)
    connected.store.remove_field("max_passengers")

    resolve.ask_for(link_of(trip))
    due.run_due(Session())

    trip.refresh_from_db()
    assert trip.capacity == 12


def test_a_field_made_again_is_filled_again(session: Session, connected: Sandbox) -> None:
    trips = [a_trip(capacity=12), a_trip(capacity=20), a_trip(capacity=None)]
    due.run_due(session)
    connected.store.remove_field("max_passengers")
    seen_anew()
    connected.store.add_field("max_passengers", "Places", "NUMERICAL")

    seen_anew()

    for trip in trips:
        trip.refresh_from_db()
    assert [trip.capacity for trip in trips] == [12, 20, None]
    assert [custom(connected, trip).get("max_passengers") for trip in trips] == [12, 20, None]
    assert (told(), Conflict.objects.count()) == ([], 0)
    connected.requests.clear()
    seen_anew()
    assert connected.writes() == []


def test_a_list_without_a_field_and_with_it_again_changes_nothing(session: Session, connected: Sandbox) -> None:
    trip = a_trip(capacity=12)
    due.run_due(session)
    field = connected.store.field("max_passengers")
    del connected.store.fields[field.id]
    Session().refresh_definitions()
    connected.store.fields[field.id] = field
    connected.edit(link_of(trip).remote_id, fields={"max_passengers": None})

    seen_anew()

    trip.refresh_from_db()
    assert trip.capacity is None  # truly cleared over there, of the very field


def test_an_answer_without_any_field_is_not_believed(
    session: Session, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = RemoteField.objects.filter(gone_at=None).count()
    mine = Session()
    monkeypatch.setattr(connected.store, "fields", {})

    with pytest.raises(TryLater):
        mine.refresh_definitions()

    assert RemoteField.objects.filter(gone_at=None).count() == before


def test_a_truly_cleared_value_is_cleared_here_for_one_call(session: Session, connected: Sandbox) -> None:
    trips = [a_trip(capacity=12), a_trip(capacity=13)]
    due.run_due(session)
    pull(Session(), full=True)
    for trip in trips:
        connected.edit(link_of(trip).remote_id, fields={"max_passengers": None})
    connected.requests.clear()

    pull(Session())

    assert set(Trip.objects.values_list("capacity", flat=True)) == {None}
    assert len([one for one in connected.requests if one.path.endswith("/customFields")]) == 1


# Options


def test_a_deleted_option_is_told_with_how_many_hold_it(session: Session, connected: Sandbox) -> None:
    trips = [a_trip(travel_business="Own desk") for _trip in range(2)]
    PassengerFactory(occupancy="single", trip=trips[0])
    due.run_due(session)
    field = connected.store.field("travel_business_used")
    connected.store.change_field(field.id, options=("Partner desk",))
    field = connected.store.field("room_occupancy")
    connected.store.change_field(field.id, options=("Single room", "Double Occupancy"))

    seen_anew()

    assert [(code, name) for code, name, _message in told()] == [
        ("option_gone", "passenger.occupancy"),
        ("option_gone", "trip.travel_business"),
    ]
    assert told()[1][2] == (
        "“Own desk” is no option of GoHighLevel's drop-down Sold through any more; 2 trips here have it and keep it. "
        "Have it added again on the page “Fields and drop-downs”, or choose another one here."
    )
    assert set(Trip.objects.values_list("travel_business", flat=True)) == {"Own desk"}
    assert set(Passenger.objects.values_list("occupancy", flat=True)) == {"single"}


def test_an_option_that_is_back_or_held_by_nobody_ends_its_trouble(session: Session, connected: Sandbox) -> None:
    first, second = a_trip(travel_business="Own desk"), a_trip(travel_business="Partner desk")
    due.run_due(session)
    connected.store.change_field(connected.store.field("travel_business_used").id, options=("New desk",))
    seen_anew()
    assert len(told()) == 2
    first.travel_business = "New desk"
    first.save()
    connected.store.add_options("travel_business_used", ["Partner desk"])

    seen_anew()

    assert (told(), second.travel_business) == ([], "Partner desk")


def test_a_trip_s_name_that_vanished_from_the_list_is_added_again(session: Session, connected: Sandbox) -> None:
    a_trip(name="Here", vendor=VendorFactory(name="Harbour Tours"))
    due.run_due(session)
    connected.store.add_options("trip_name", ["Theirs"])
    session.refresh_definitions()
    connected.store.change_field(connected.store.field("trip_name").id, options=())
    connected.store.change_field(connected.store.field("trip_vendor").id, options=())

    Session().refresh_definitions()
    due.run_due(Session())

    assert connected.store.field("trip_name").options == ("Here",)  # theirs was taken away by a person, for all we know
    assert connected.store.field("trip_vendor").options == ("Harbour Tours",)
    assert (told(), WantedOption.objects.count()) == ([], 0)


def test_options_that_look_alike_are_a_question_when_we_must_choose(session: Session, connected: Sandbox) -> None:
    trip = a_trip(name="Lisbon — Spring")
    PassengerFactory(trip=trip)
    connected.store.add_options("trip_name", ["Lisbon - Spring", "Lisbon – Spring"])
    connected.store.add_options("lodging", ["hotel"])  # alike, but ours is spelt exactly
    a_trip(name="Other", lodging="Hotel")

    seen_anew()

    assert told() == [
        (
            "lookalike",
            "trip.trip_name",
            "GoHighLevel's drop-down Name of the trip has “Lisbon - Spring” and “Lisbon – Spring”, which look alike, "
            "and none is exactly “Lisbon — Spring”. TripBuilder reads them as the same and writes the first. Keep one "
            "of them there: give the records of the others the one to keep, then remove the others (Settings → Custom "
            "Fields).",
        )
    ]
    assert custom(connected, trip)["trip_name"] == "Lisbon - Spring"
    connected.requests.clear()
    seen_anew()
    assert connected.writes() == []


@pytest.mark.parametrize("theirs", ["Lisbon – Spring", "LISBON -  SPRING"])
def test_a_look_alike_chosen_there_is_left_alone(session: Session, connected: Sandbox, theirs: str) -> None:
    trip = a_trip(name="Lisbon - Spring")
    passenger = PassengerFactory(trip=trip)
    due.run_due(session)
    connected.store.add_options("trip_name", [theirs])
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": theirs})
    seen_anew()
    connected.requests.clear()

    seen_anew()

    passenger.refresh_from_db()
    assert (passenger.trip, custom(connected, passenger)["trip_name"], connected.writes()) == (trip, theirs, [])


def test_an_emergency_contact_s_state_counts_as_held(session: Session, connected: Sandbox) -> None:
    passenger = PassengerFactory(trip=a_trip())
    EmergencyContactFactory(passenger=passenger, state="Ohio")
    due.run_due(session)
    states = tuple(state for state in connected.store.field("contact1_ustate").options if state != "Ohio")
    connected.store.change_field(connected.store.field("contact1_ustate").id, options=states)

    seen_anew()

    assert [(code, name) for code, name, _message in told()] == [("option_gone", "passenger.emergency.state")]


# A mapping that changes


def an_older_mapping(kind: str, name: str) -> None:
    """As if the code before had read this field in another way."""
    mapping = {k: dict(prints) for k, prints in table.FINGERPRINTS.items()}
    mapping[kind][name] = "another"
    Location.objects.update(mapping=mapping, mapping_since=table.LOADED_AT - dt.timedelta(days=1))


def test_a_field_that_is_mapped_anew_blanks_nothing(session: Session, connected: Sandbox) -> None:
    """Agreed on with another field over there: what this one holds, or does not, is no edit."""
    filled, asked, alike = a_trip(capacity=12), a_trip(capacity=13), a_trip(capacity=14)
    due.run_due(session)
    for trip, value in ((filled, None), (asked, 40), (alike, 14)):
        connected.edit(link_of(trip).remote_id, fields={"max_passengers": value})
    an_older_mapping("trip", "capacity")

    seen_anew()

    assert [Trip.objects.get(pk=trip.pk).capacity for trip in (filled, asked, alike)] == [12, 13, 14]
    assert [custom(connected, trip)["max_passengers"] for trip in (filled, asked, alike)] == [12, 40, 14]
    conflicts = Conflict.objects.filter(resolved_at=None)
    assert list(conflicts.values_list("link", "field", "outcome")) == [(link_of(asked).pk, "capacity", "asked")]


def test_a_pull_broken_off_under_another_mapping_starts_again(session: Session, connected: Sandbox) -> None:
    a_trip()
    due.run_due(session)
    row = Run.objects.create(mode="full", cursor={"mapping": "another", "done": ["contact", "trip"]})
    Run.objects.update(touched_at=database_now() - dt.timedelta(hours=1))

    report = pull(Session(), full=True)

    row.refresh_from_db()
    assert (row.ok, row.error) == (False, "Broken off; TripBuilder was updated meanwhile.")
    assert (report.ok, report.trips.seen) == (True, 1)


def test_an_older_process_stops_when_newer_code_has_taken_over(session: Session, connected: Sandbox) -> None:
    trip = a_trip()
    due.run_due(session)
    old = Session()
    assert old.definitions
    connected.edit(link_of(trip).remote_id, name="Edited")
    Location.objects.update(mapping={"trip": {}}, mapping_since=database_now() + dt.timedelta(hours=1))

    with pytest.raises(CannotRun, match="newer version"):
        pull(old, full=True)
    with pytest.raises(CannotRun, match="newer version"):
        assert Session().definitions

    assert Trip.objects.get(pk=trip.pk).name == trip.name


def test_a_worker_with_an_old_agreement_loses_its_turn(session: Session, connected: Sandbox) -> None:
    trip = a_trip(capacity=12)
    due.run_due(session)
    before = link_of(trip)
    an_older_mapping("trip", "capacity")

    assert Session().definitions

    after = Link.objects.get(pk=before.pk)
    assert (after.fence, "capacity" in after.base["v"]) == (before.fence + 1, False)


def test_fingerprints_are_the_same_in_every_process() -> None:
    import subprocess
    import sys

    code = "from ghl_sync.mapping.table import FINGERPRINT; print(FINGERPRINT)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    assert found == table.FINGERPRINT
    assert table.TRIP.by_name["capacity"].fingerprint != table.TRIP.by_name["start_date"].fingerprint


# Rehearsing


def test_a_dry_run_keeps_nothing_of_what_it_sees(session: Session, connected: Sandbox) -> None:
    before = (list(RemoteField.objects.order_by("pk").values()), list(Stage.objects.order_by("pk").values()))
    connected.store.add_stage("TripBooking", "Brand new")
    connected.store.remove_field("max_passengers")

    pull(Session(read_only=True), full=True, dry_run=True)

    after = (list(RemoteField.objects.order_by("pk").values()), list(Stage.objects.order_by("pk").values()))
    assert (after, told()) == (before, [])


def test_two_looks_at_once_keep_each_definition_once(session: Session, connected: Sandbox) -> None:
    connected.store.add_stage("TripBooking", "Brand new")
    with transaction.atomic():
        seen = definitions.fetch(session.client)
    definitions.store(session.location, session.config, seen)
    definitions.store(session.location, session.config, seen)

    assert Stage.objects.filter(name="Brand new").count() == 1
    assert Pipeline.objects.filter(name="TripBooking").count() == 1


# The page

PAGE = "/ghl_sync/remotefield/"
QUERIES = 12


def staff(client: Any, *permissions: str) -> None:
    client.force_login(StaffFactory(permissions=list(permissions)))


def read_page(client: Any, path: str = PAGE) -> str:
    page = client.get(path)
    assert page.status_code == 200
    return str(page.content.decode())


def test_the_page_names_each_trouble_and_mends_what_it_can(
    session: Session, connected: Sandbox, admin_client: Any
) -> None:
    trip = a_trip(capacity=12, travel_business="Own desk", stage="trip_scheduled")
    due.run_due(session)
    connected.store.remove_field("max_passengers")
    connected.store.change_field(connected.store.field("travel_business_used").id, options=("Partner desk",))
    connected.store.remove_stage("TripBooking", "TripScheduled")
    seen_anew()

    page = read_page(admin_client)

    rows = Issue.objects.filter(closed_at=None, link=None).order_by("field")
    assert [row.code for row in rows] == ["no_field", "option_gone", "option_gone"]
    words = [row.message.replace("on the page “Fields and drop-downs”", "on this page") for row in rows]
    assert all(message in html.unescape(page) for message in words)
    assert (page.count(">Make it again<"), page.count(">Add it again<")) == (1, 1)  # a stage has no API
    for row in rows:
        answer = admin_client.post(f"{PAGE}mend/{row.pk}/")
        assert answer.status_code == 302
        tasks.mend_definition(row.pk)
    seen_anew()
    assert connected.store.field("travel_business_used").options == ("Partner desk", "Own desk")
    assert custom(connected, trip)["max_passengers"] == 12
    assert [code for code, _field, _message in told()] == ["option_gone"]  # the stage


def test_who_may_only_look_mends_nothing(session: Session, connected: Sandbox, client: Any) -> None:
    a_trip(travel_business="Own desk")
    due.run_due(session)
    connected.store.change_field(connected.store.field("travel_business_used").id, options=())
    seen_anew()
    issue = Issue.objects.get(closed_at=None, link=None)
    staff(client, "ghl_sync.view_remotefield")

    assert "Add it again" not in read_page(client)
    assert client.post(f"{PAGE}mend/{issue.pk}/").status_code == 403
    assert client.get(f"{PAGE}look/").status_code == 302  # after a login in between
    assert re.search(r"Read \d+ (s|min) ago; every hour by itself", read_page(client))
    assert client.post(f"{PAGE}look/").status_code == 302
    staff(client, "ghl_sync.view_link")
    assert client.get(PAGE).status_code == 403


def test_a_drop_down_shows_how_many_records_bear_each_option(
    session: Session, connected: Sandbox, admin_client: Any
) -> None:
    first, second = a_trip(name="Porto - Spring"), a_trip(name="Oslo")
    for trip in (first, first, second):
        PassengerFactory(trip=trip)
    due.run_due(session)
    due.run_due(session)
    connected.store.add_options("trip_name", ["Porto – Spring", "Nobody's"])
    passenger = Passenger.objects.filter(trip=first).first()
    connected.edit(link_of(passenger).remote_id, fields={"trip_name": "Porto – Spring"})
    seen_anew()
    field = RemoteField.objects.get(key="opportunity.trip_name")

    page = html.unescape(read_page(admin_client, f"{PAGE}{field.pk}/change/"))

    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", page)
    assert rows == [("Porto - Spring", "2"), ("Oslo", "2"), ("Porto – Spring", "1"), ("Nobody's", "–")]
    (group,) = re.findall(r"<li>(“Porto.*?)</li>", page)
    assert re.sub(r"<.*?>", "", group) == (
        f"“Porto - Spring”: {first}, {link_of(Passenger.objects.filter(trip=first).last()).label}; "
        f"“Porto – Spring”: {link_of(passenger).label}"
    )


def test_of_passports_no_use_is_shown(session: Session, connected: Sandbox, admin_client: Any) -> None:
    passenger = PassengerFactory(trip=a_trip())
    PassportFactory(passenger=passenger, country="Peru")
    due.run_due(session)
    field = RemoteField.objects.get(key="opportunity.passport_country")

    page = read_page(admin_client, f"{PAGE}{field.pk}/change/")

    assert set(re.findall(r"<tr><td>.*?</td><td>(.*?)</td></tr>", page)) == {"–"}


@pytest.mark.parametrize("fields", [1, 3])
def test_the_list_costs_the_same_for_any_number_of_fields(
    session: Session, connected: Sandbox, admin_client: Any, django_assert_num_queries: Any, fields: int
) -> None:
    keep = RemoteField.objects.filter(
        key__in=["opportunity.lodging", "opportunity.trip_name", "opportunity.trip_vendor"]
    )
    RemoteField.objects.exclude(pk__in=list(keep.values_list("pk", flat=True)[:fields])).delete()
    read_page(admin_client)

    with django_assert_num_queries(QUERIES):
        page = admin_client.get(PAGE)

    assert page.context["cl"].result_count == fields
