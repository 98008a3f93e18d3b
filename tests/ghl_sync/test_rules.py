"""The page of field rules: what it shows of each field, who may change it, and what saving sets in motion."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ghl_sync import tasks
from ghl_sync.engine import due, rules
from ghl_sync.engine.pull import pull
from ghl_sync.engine.rules import Wish
from ghl_sync.engine.session import Session
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import FieldRule, Link, Run
from ghl_sync.sandbox.server import Sandbox
from tests import factories
from tests.ghl_sync.engine.mirror import a_trip, custom, link_of

URL = "/ghl_sync/fieldrule/"


def rows(page: Any) -> dict[tuple[str, str], Any]:
    return {
        (table.kind, row.name): row for table in page.context["tables"] for group in table.groups for row in group.rows
    }


def form(page: Any, **changes: str) -> dict[str, str]:
    """What the page sends; `changes` as `direction__trip__description="off"`."""
    data = {f"was-{kind}-{name}": row.was for (kind, name), row in rows(page).items()}
    for (kind, name), row in rows(page).items():
        for what, choices in (("policy", row.policies), ("direction", row.directions)):
            data |= {f"{what}-{kind}-{name}": value for value, _label, selected in choices if selected}
    return data | {name.replace("__", "-"): value for name, value in changes.items()}


def said(page: Any) -> list[str]:
    return [str(message) for message in page.context["messages"]]


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[tuple[Any, ...]]:
    """What was put into the queue."""
    found: list[tuple[Any, ...]] = []
    settings.GHL_API_TOKEN, settings.GHL_LOCATION_ID = "token-of-tests", "loc1"
    monkeypatch.setattr(tasks, "async_task", lambda *call: found.append(call))
    return found


@pytest.mark.django_db
def test_every_field_is_on_the_page_with_what_may_be_chosen(admin_client: Any) -> None:
    page = admin_client.get(URL)

    found = rows(page)
    assert set(found) == {(kind, row.name) for kind, table in MAPS.items() for row in table.fields}
    name, count = found["trip", "name"], found["trip", "enrolled_count"]
    assert [value for value, _label, _selected in name.directions] == ["both", "pull", "push"]
    assert name.why == "GoHighLevel needs it, so it cannot be switched off."
    assert (count.directions, count.policies, count.fixed, count.why) == (
        [], [], "Only to GoHighLevel", "TripBuilder works it out and only writes it.",
    )  # fmt: skip
    assert [group.title for table in page.context["tables"] for group in table.groups] == [
        "Trips", "Documents", "Passengers", "Passport", "Health record", "Emergency contact", "Documents", "Contacts",
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_fields_show_what_a_real_record_holds_on_both_sides(
    admin_client: Any, client: Any, session: Session, connected: Sandbox
) -> None:
    passport = factories.PassportFactory(passenger=factories.PassengerFactory(trip=a_trip()), number="X5559999")
    passport.passenger.trip.capacity = 31
    passport.passenger.trip.save()
    for _turn in range(2):
        due.run_due(Session())
    passport.passenger.trip.capacity = 32
    passport.passenger.trip.save()

    page = admin_client.get(URL)
    found = rows(page)
    client.force_login(factories.StaffFactory(permissions=["ghl_sync.view_fieldrule", "trips.view_passport"]))
    others = rows(client.get(URL))

    capacity, number, stage = found["trip", "capacity"], found["passenger", "passport.number"], found["trip", "stage"]
    assert (capacity.here, capacity.there, stage.there) == ("32", "31", "FormSubmit")
    assert (number.here, number.there) == ("••••", "••••")
    assert "X5559999" not in page.content.decode()
    assert others["trip", "capacity"].here == "not shown"


@pytest.mark.django_db(transaction=True)
def test_what_was_changed_is_stored_and_set_in_motion(admin_client: Any, admin_user: Any, queued: list[Any]) -> None:
    FieldRule.objects.create(kind="trip", field="description", direction="off")
    link = link_of(factories.TripFactory())
    Link.objects.filter(pk=link.pk).update(remote_id="op1", remote_digest="d")
    queued.clear()
    page = admin_client.get(URL)

    answer = admin_client.post(
        URL, form(page, direction__trip__description="both", policy__trip__capacity="ours"), follow=True
    )

    assert list(FieldRule.objects.values_list("field", "policy", "direction", "changed_by")) == [
        ("capacity", "ours", "", admin_user.pk)
    ]
    assert Link.objects.get(pk=link.pk).remote_digest == ""
    assert queued == [("ghl_sync.tasks.sweep",), ("ghl_sync.tasks.compare_kinds", ["trip"])]
    assert said(answer) == [
        "2 rules are in force for all that is sent or fetched from now on. All trips are compared with GoHighLevel "
        "once more, in the background."
    ]
    assert [line.split(": ", 1)[1] for line in answer.context["history"]] == [
        "Trip, capacity: “Both ways”, and who wins: “TripBuilder” by admin.",
        "Trip, description: back to how it comes by admin.",
        "Trip, description: “Not at all”, and who wins: “The newer edit”.",
    ]


@pytest.mark.django_db
def test_saving_nothing_changes_nothing(admin_client: Any) -> None:
    answer = admin_client.post(URL, form(admin_client.get(URL)), follow=True)

    assert said(answer) == ["Nothing was changed."]
    assert not FieldRule.objects.exists()


@pytest.mark.django_db
def test_two_administrators_do_not_undo_each_other(admin_client: Any) -> None:
    page = admin_client.get(URL)
    colleague = factories.StaffFactory(username="ines")
    rules.change(
        [Wish("trip", "description", "ours", "both"), Wish("trip", "lodging", "ask", "both")], colleague, "both"
    )

    answer = admin_client.post(
        URL, form(page, policy__trip__description="theirs", policy__trip__capacity="ask"), follow=True
    )

    assert sorted(FieldRule.objects.values_list("field", "policy")) == [
        ("capacity", "ask"), ("description", "ours"), ("lodging", "ask"),
    ]  # fmt: skip
    assert said(answer)[1] == (
        "Changed meanwhile, so left as it is now: description by ines. Look at it and choose again."
    )


@pytest.mark.django_db
def test_what_a_field_cannot_do_is_refused(admin_client: Any) -> None:
    page = admin_client.get(URL)
    answers = [
        admin_client.post(URL, form(page, **change), follow=True)
        for change in (
            {"direction__trip__name": "off"},
            {"policy__trip__name": "best"},
            {"direction__trip__key": "both"},
        )
    ]
    assert [said(answer)[0][:19] for answer in answers] == ["Nothing was saved: "] * 3
    assert not FieldRule.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("permission", "seen", "saved"),
    [("trips.change_trip", 403, 403), ("ghl_sync.view_fieldrule", 200, 403), ("ghl_sync.change_fieldrule", 200, 302)],
)
def test_only_whoever_may_change_rules_changes_them(client: Any, permission: str, seen: int, saved: int) -> None:
    client.force_login(factories.StaffFactory(permissions=[permission]))

    assert (client.get(URL).status_code, client.post(URL, {}).status_code) == (seen, saved)
    page = client.get(URL).content.decode()
    assert ("<select" in page) == (saved == 302)


@pytest.mark.django_db
def test_search_finds_a_field_by_either_name(admin_client: Any) -> None:
    found = [set(rows(admin_client.get(URL, {"q": wanted}))) for wanted in ("Trip_Standard", "capac", "no such")]
    assert found == [{("trip", "price_per_person")}, {("trip", "capacity")}, set()]
    assert "No field is named like" in admin_client.get(URL, {"q": "no such"}).content.decode()


@pytest.mark.django_db
def test_the_switch_on_sensitive_data_is_told_beside_what_it_narrows(admin_client: Any, settings: Any) -> None:
    settings.GHL_MIRROR_SENSITIVE = "pull"

    row = rows(admin_client.get(URL))["passenger", "passport.number"]

    assert row.why == "Now only from GoHighLevel: the switch on passports and health records allows no more."


@pytest.mark.django_db
def test_the_page_costs_the_same_however_many_records_and_rules(admin_client: Any) -> None:
    def add(number: int) -> None:
        link = link_of(factories.TripFactory())
        base = {"v": {"capacity": 5, "description": "x", "name": "A"}}
        Link.objects.filter(pk=link.pk).update(remote_id=f"op{number}", base=base, synced_at="2027-01-01T00:00Z")
        rules.change([Wish("trip", ("capacity", "lodging", "description")[number], "ours", "both")], None, "both")

    add(0)
    admin_client.get(URL)
    with CaptureQueriesContext(connection) as one:
        admin_client.get(URL)
    add(1)
    add(2)
    with CaptureQueriesContext(connection) as three:
        admin_client.get(URL)

    assert len(three) == len(one)


# The pull behind it


@pytest.mark.django_db(transaction=True)
def test_a_pull_of_one_kind_brings_in_what_a_rule_has_opened(session: Session, connected: Sandbox) -> None:
    trip = a_trip(description="Old")
    due.run_due(session)
    rules.change([Wish("trip", "description", "newest", "push")], None, "both")
    connected.edit(link_of(trip).remote_id, fields={"trip_description": "Theirs"})
    pull(Session(), full=True)

    rules.change([Wish("trip", "description", "newest", "both")], None, "both")
    tasks.compare_kinds(["trip"])

    trip.refresh_from_db()
    assert (trip.description, custom(connected, trip)["trip_description"]) == ("Theirs", "Theirs")


@pytest.mark.django_db(transaction=True)
def test_a_pull_of_one_kind_lets_another_full_pull_go_first(
    session: Session, connected: Sandbox, queued: list[Any]
) -> None:
    Run.objects.create(mode="full", only=[])

    tasks.compare_kinds(["trip"])
    tasks.compare_kinds(["trip"], tasks.COMPARE_TRIES)

    assert queued == [("ghl_sync.tasks.compare_kinds", ["trip"], 1)]
    assert [run.finished_at for run in Run.objects.all()] == [None]


@pytest.mark.django_db
def test_a_rule_has_no_page_of_its_own(admin_client: Any) -> None:
    rule = FieldRule.objects.create(kind="trip", field="capacity", policy="ours")

    page = admin_client.get(reverse("admin:ghl_sync_fieldrule_change", args=[rule.pk]))

    assert (page.status_code, page.url) == (302, URL)
