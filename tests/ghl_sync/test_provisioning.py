"""The doctor against the sandbox: each thing that can be wrong is named with its remedy."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ghl_sync.engine.session import Session
from ghl_sync.models import Change, Link, Location, Pipeline, RemoteField
from ghl_sync.sandbox.routes import SCOPES
from ghl_sync.sandbox.server import Sandbox
from tests.factories import TripFactory, VendorFactory

pytestmark = pytest.mark.django_db(transaction=True)


def doctor(*words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON report and what people read."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command("ghl_setup", "--json", *words, stdout=out, stderr=err)
    except CommandError as error:
        code = error.returncode
        err.write(str(error))
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, json.loads(out.getvalue()), err.getvalue()


def lines(report: dict[str, Any], level: str) -> list[tuple[str, str]]:
    return [(one["about"], one["text"]) for one in report["findings"] if one["level"] == level]


def fixes(report: dict[str, Any]) -> list[str]:
    return [one["fix"] for one in report["findings"] if one["level"] == "problem"]


def use_harbour_tours() -> None:
    VendorFactory(name="Harbour Tours")  # the drop-down's one option; without it the doctor notes that none uses it


def test_a_good_account_is_all_well(connected: Sandbox) -> None:
    use_harbour_tours()

    code, report, _words = doctor()

    assert (code, report["ok"], report["problems"]) == (0, True, 0)
    assert lines(report, "ok") == [
        ("token", "GoHighLevel accepts the token for the location sandbox-location."),
        ("scope", "7 of 7 scopes are there."),
        ("location", "Sandbox Travel, time zone America/New_York."),
        ("duplicate opportunities", "Allowed, as they must be."),
        ("duplicate contacts", "Not allowed; GoHighLevel itself knows people again by email and phone."),
        ("trip pipeline", "TripBooking, with all 5 stages."),
        ("passenger pipeline", "Passenger, with all 6 stages."),
        ("field", "56 of 56 mapped custom fields are there with a fitting type."),
        ("limit", "100,000 calls in 10 s and 200,000 a day, " + lines(report, "ok")[8][1].partition("a day, ")[2]),
    ]
    assert lines(report, "note") == [
        (
            "sensitive data",
            "Passports and health records go both ways: whoever sees opportunities in GoHighLevel reads them.",
        )
    ]


def test_looking_changes_nothing_there(connected: Sandbox) -> None:
    TripFactory(name="No option yet")
    before = connected.store.dump()

    doctor()

    assert connected.store.dump() == before


def test_people_read_a_line_each(connected: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    use_harbour_tours()

    call_command("ghl_setup")

    text = capsys.readouterr().out.splitlines()
    assert text[0] == "ok       Token: GoHighLevel accepts the token for the location sandbox-location."
    assert text[-1] == "All well."


def test_without_a_token_it_could_not_run(db: None) -> None:
    code, report, words = doctor()

    assert code == 2
    assert report["error"] == words
    assert "set GHL_API_TOKEN and GHL_LOCATION_ID" in words


def test_a_wrong_token_could_not_run_and_is_never_shown(connected: Sandbox, settings: Any) -> None:
    settings.GHL_API_TOKEN = "pit-very-secret"

    code, report, words = doctor()

    assert code == 2
    assert words == ("GoHighLevel refuses the token or the location: Invalid token: access token is invalid")
    assert "pit-very-secret" not in json.dumps(report) + words


def test_a_wrong_location_could_not_run(connected: Sandbox, settings: Any) -> None:
    settings.GHL_LOCATION_ID = "elsewhere"

    code, _report, words = doctor()

    assert code == 2
    assert "does not have access to this location" in words


def test_an_unreachable_account_could_not_run(connected: Sandbox, settings: Any) -> None:
    settings.GHL_API_BASE_URL = "http://127.0.0.1:9"

    code, _report, words = doctor()

    assert (code, words) == (2, "GoHighLevel could not be reached.")


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_a_missing_scope_is_named(connected: Sandbox, scope: str) -> None:
    use_harbour_tours()
    connected.scopes.discard(scope)

    code, report, _words = doctor()

    assert code == 1
    assert lines(report, "problem") == [("scope", f"The token lacks the scope {scope}.")]
    assert f"tick {scope}" in fixes(report)[0]


def test_apply_without_the_scope_creates_nothing_and_says_so(connected: Sandbox) -> None:
    connected.scopes.discard("locations/customFields.write")
    connected.store.remove_field("tripbuilder_key")

    code, report, words = doctor("--apply")

    assert (code, report["applied"]) == (1, [])
    assert "Nothing was created: the token lacks a scope for it, see below." in words


def test_duplicate_opportunities_off_is_a_hand_step(connected: Sandbox) -> None:
    connected.store.settings.allow_duplicate_opportunity = False

    code, report, words = doctor("--apply")

    assert code == 1
    assert [about for about, _text in lines(report, "problem")] == ["duplicate opportunities"]
    assert "What is left can only be done by hand:\n  1. In GoHighLevel's settings switch on" in words


def test_duplicate_contacts_allowed_is_worth_knowing(connected: Sandbox) -> None:
    use_harbour_tours()
    connected.store.settings.allow_duplicate_contact = True

    code, report, _words = doctor()

    assert code == 0
    assert lines(report, "note")[0][0] == "duplicate contacts"


def test_a_missing_pipeline_is_named_with_those_there(connected: Sandbox, settings: Any) -> None:
    settings.GHL_TRIP_PIPELINE = "Journeys"

    code, report, _words = doctor()

    assert code == 1
    assert lines(report, "problem") == [("trip pipeline", "There is no pipeline named Journeys.")]
    assert fixes(report)[0].endswith("GHL_TRIP_PIPELINE to one that is there: TripBooking; Passenger; Newsletter.")


def test_two_pipelines_of_one_name_are_a_problem(connected: Sandbox) -> None:
    connected.store.add_pipeline("Passenger", ["AddedToTrip"])

    _code, report, _words = doctor()

    assert lines(report, "problem") == [("passenger pipeline", "2 pipelines are named Passenger.")]


def test_missing_stages_are_named_and_look_alikes_recognised(connected: Sandbox) -> None:
    connected.store.rename_stage("TripBooking", "TripComplete", "tripcomplete")
    connected.store.rename_stage("Passenger", "TripReady", "Ready")

    _code, report, _words = doctor()

    assert lines(report, "problem") == [("passenger pipeline", "Passenger has no stage named TripReady.")]
    assert "add a stage named exactly TripReady." in fixes(report)[0]


def test_a_stage_that_was_known_may_have_another_name(session: Session, connected: Sandbox) -> None:
    connected.store.rename_stage("Passenger", "TripReady", "Ready")

    code, report, _words = doctor()

    assert code == 0
    text = "Passenger's stage TripReady is called Ready there; TripBuilder knows it by its id."
    assert ("passenger pipeline", text) in lines(report, "note")


def test_apply_makes_a_field_again_that_was_there(session: Session, connected: Sandbox) -> None:
    lodging = connected.store.field("lodging")
    connected.store.remove_field("lodging")
    connected.store.remove_field("max_passengers")

    _code, report, _words = doctor("--apply")

    assert report["applied"] == [
        "Created the custom field opportunity.max_passengers (Places).",
        "Created the custom field opportunity.lodging (Lodging kind).",
    ]
    assert (report["problems"], connected.store.field("lodging").options) == (0, lodging.options)
    assert connected.store.field("max_passengers").data_type == "NUMERICAL"


def test_a_missing_field_of_theirs_says_which_type_to_make(connected: Sandbox) -> None:
    connected.store.remove_field("passport_expire")

    _code, report, _words = doctor("--apply")

    assert lines(report, "problem") == [("field", "There is no custom field opportunity.passport_expire.")]
    assert "for the object opportunity, of the type DATE, and set its key to passport_expire." in fixes(report)[0]


def test_a_field_of_the_wrong_type_is_named(connected: Sandbox) -> None:
    connected.store.remove_field("max_passengers")
    connected.store.add_field("max_passengers", "Places", "TEXT")

    _code, report, _words = doctor()

    assert lines(report, "problem") == [
        ("field", "opportunity.max_passengers is of the type TEXT, NUMERICAL is needed.")
    ]


def test_apply_creates_our_fields_once(connected: Sandbox) -> None:
    for key in ("tripbuilder_key", "tripbuilder_trip", "contact.tripbuilder_key"):
        connected.store.remove_field(key)

    code, report, _words = doctor()
    assert (code, report["problems"]) == (1, 3)
    assert set(fixes(report)) == {"Run `manage.py ghl_setup --apply`."}

    code, report, _words = doctor("--apply")
    assert code == 0
    assert report["applied"] == [
        "Created the custom field opportunity.tripbuilder_key (TripBuilder key).",
        "Created the custom field opportunity.tripbuilder_trip (TripBuilder trip).",
        "Created the custom field contact.tripbuilder_key (TripBuilder key).",
    ]
    assert connected.store.field("contact.tripbuilder_key").data_type == "TEXT"
    assert RemoteField.objects.filter(key="opportunity.tripbuilder_key").exists()

    assert doctor("--apply")[1]["applied"] == []


def test_a_namesake_with_another_key_is_not_doubled(connected: Sandbox) -> None:
    connected.store.remove_field("tripbuilder_trip")
    connected.store.add_field("tripbuilder_trip_2", "TripBuilder trip", "TEXT")

    code, report, _words = doctor("--apply")

    assert (code, report["applied"]) == (1, [])
    assert "Delete the field 'TripBuilder trip' with the key opportunity.tripbuilder_trip_2" in fixes(report)[0]


def test_apply_adds_names_in_one_write_per_drop_down(connected: Sandbox) -> None:
    for name in ("Fjords", "Lisbon – Spring", "Andes"):
        TripFactory(name=name)
    VendorFactory(name="North Star")
    Change.objects.all().delete()  # nothing of them is on its way
    connected.store.add_options("trip_name", ["Lisbon - Spring"])

    code, report, _words = doctor()
    assert code == 1
    assert lines(report, "problem") == [
        ("option", "Name of the trip lacks 2 of the trips' names: Andes; Fjords."),
        ("option", "Vendor lacks 1 of the vendors' names: North Star."),
    ]

    connected.requests.clear()
    code, report, _words = doctor("--apply")
    assert code == 0
    assert report["applied"] == ["Added to Name of the trip: Fjords; Andes.", "Added to Vendor: North Star."]
    assert connected.store.field("trip_name").options == ("Lisbon - Spring", "Fjords", "Andes")
    assert connected.store.field("trip_vendor").options == ("Harbour Tours", "North Star")
    puts = [one for one in connected.writes() if one.method == "PUT" and "customFields" in one.path]
    assert [one.status for one in puts if "Probe" not in one.path] == [200, 200]


def test_names_that_are_on_their_way_are_no_problem(connected: Sandbox) -> None:
    TripFactory(name="Fjords")
    Change.objects.all().delete()
    TripFactory(name="Andes")
    VendorFactory(name="North Star")

    _code, report, _words = doctor()

    assert lines(report, "problem") == [("option", "Name of the trip lacks 1 of the trips' names: Fjords.")]
    assert [line for line in lines(report, "note") if "gets" in line[1]] == [
        ("option", "Name of the trip gets 1 of the trips' names as soon as they are sent: Andes."),
        ("option", "Vendor gets 1 of the vendors' names as soon as they are sent: North Star."),
    ]


def test_unused_options_and_look_alikes_are_notes(connected: Sandbox) -> None:
    use_harbour_tours()
    TripFactory(name="Fjords")
    connected.store.add_options("trip_name", ["Fjords", "Andes", "andes", "Rail–trip", "Rail-trip"])

    code, report, _words = doctor()

    assert code == 0
    assert lines(report, "note")[:2] == [
        (
            "option",
            "No record here uses these options of Name of the trip: Andes; andes; Rail–trip; Rail-trip.",
        ),
        (
            "option",
            "Options of Name of the trip that look alike: “Andes” and “andes”; “Rail–trip” and “Rail-trip”.",
        ),
    ]


def test_a_missing_option_that_a_code_stands_for_is_a_problem(connected: Sandbox) -> None:
    field = connected.store.field("room_occupancy")
    connected.store.change_field(field.id, options=("Single Occupancy",))

    _code, report, _words = doctor()

    assert lines(report, "problem") == [("option", "Occupancy has no option 'Double Occupancy'.")]


def test_looking_refreshes_the_cache_and_frees_what_was_parked(session: Session, connected: Sandbox) -> None:
    trip = TripFactory()
    Link.objects.filter(kind="trip", object_id=trip.pk).update(parked_at="2027-01-01T00:00:00Z")
    connected.store.add_pipeline("Another", ["One"])

    doctor()

    assert Pipeline.objects.filter(name="Another").exists()
    assert not Link.objects.filter(parked_at__isnull=False).exists()


def test_stopped_traffic_goes_on_once_the_token_works(session: Session, connected: Sandbox) -> None:
    location = session.location
    type(location).objects.filter(pk=location.pk).update(paused_at="2027-01-01T00:00:00Z", paused_reason="wrong token")

    doctor()

    location.refresh_from_db()
    assert location.paused_at is None


def test_a_scope_that_cannot_be_tried_is_a_note(connected: Sandbox) -> None:
    use_harbour_tours()
    connected.faults.add("html", method="PUT", path="/contacts/.*", status=502)

    code, report, _words = doctor()

    assert code == 0
    assert lines(report, "note")[0][1].startswith("Whether the token has the scope contacts.write could not be tried:")


def test_the_probe_never_meets_a_record(connected: Sandbox) -> None:
    doctor()

    probes = [one for one in connected.requests if "TripBuilderProbe0000" in one.path]
    assert {one.status for one in probes} <= {400, 404, 422}
    assert len(probes) == 3


def test_a_type_that_nothing_empties_is_a_note(session: Session) -> None:
    Location.objects.update(clearing={"DATE": "never", "TEXT": None})

    _code, report, _words = doctor()

    assert ("clearing", "GoHighLevel does not empty fields of the type DATE from outside.") in lines(report, "note")
