"""The sync's face: badges, panels, the work list, and pages that only show."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ghl_sync.admin import filters
from ghl_sync.admin.account import Account
from ghl_sync.admin.badges import Badge, badge_of, links_of
from ghl_sync.admin.choices import live_options
from ghl_sync.admin.unlinked_groups import unlinked_groups
from ghl_sync.models import (
    Change,
    Conflict,
    Issue,
    Link,
    Location,
    Pipeline,
    RemoteField,
    Run,
    Stage,
    Write,
)
from tests import factories
from tests.pages import posted
from trips.choices import live_values
from trips.models import Batch, Passenger, Trip

pytestmark = pytest.mark.django_db

RUNNING = Account(configured=True, paused="", location=None)
SECRET = "X5559876"
MAKE = {
    "trip": factories.TripFactory,
    "passenger": factories.PassengerFactory,
    "contact": factories.ContactFactory,
}


@pytest.fixture
def account(settings: Any) -> Location:
    """An account that is set up; nothing in these tests calls it."""
    settings.GHL_API_TOKEN = "token-of-tests"
    settings.GHL_LOCATION_ID = "loc1"
    return Location.objects.create(location_id="loc1", name="Demo Travel")


def url(model: str, page: str, *args: Any) -> str:
    app = "trips" if model in MAKE else "ghl_sync"
    return reverse(f"admin:{app}_{model}_{page}", args=args)


def link_of(obj: Any, **values: Any) -> Link:
    """The object's link with these columns, at rest apart from them."""
    Change.objects.all().delete()
    link = Link.objects.for_object(obj)
    assert link is not None
    Link.objects.filter(pk=link.pk).update(**values)
    return Link.objects.get(pk=link.pk)


def staff(client: Any, *permissions: str) -> Any:
    user = factories.StaffFactory(permissions=list(permissions))
    client.force_login(user)
    return user


def said(page: Any) -> list[str]:
    return [str(message) for message in page.context["messages"]]


def badge_for(obj: Any, account: Account = RUNNING) -> Badge:
    return badge_of(links_of(obj._meta.model_name, [obj.pk]).get(obj.pk), account)


# Badges


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"synced_at": dt.timedelta(seconds=-2)}, Badge("synced", "Synced", "2 s ago", "good", True)),
        (
            {"remote_dirty_at": dt.timedelta(0), "waits_for": "The organiser goes first."},
            Badge("waiting", "Waiting: The organiser goes first.", "", "plain", False),
        ),
        ({"leased_until": dt.timedelta(hours=1)}, Badge("working", "Being sent now", "", "plain", False)),
        (
            {
                "remote_dirty_at": dt.timedelta(0),
                "failures": 1,
                "last_error": "GoHighLevel answered 502.",
                "next_attempt_at": dt.timedelta(seconds=150),
            },
            Badge("retrying", "Trying again in 2 min: GoHighLevel answered 502.", "", "doubt", False),
        ),
        (
            {"parked_at": dt.timedelta(0), "last_error": "contactId should not be empty"},
            Badge("needs_person", "Needs you: contactId should not be empty", "", "bad", True),
        ),
        (
            {"gone_at": dt.timedelta(0), "gone_reason": "The opportunity was not found."},
            Badge("gone", "Gone in GoHighLevel: The opportunity was not found.", "", "bad", True),
        ),
        ({"ignored_at": dt.timedelta(0)}, Badge("ignored", "Not mirrored", "", "plain", True)),
    ],
)
def test_badge_of_each_state(values, wanted):
    trip = factories.TripFactory()
    now = timezone.now()
    link_of(trip, **{k: now + v if isinstance(v, dt.timedelta) else v for k, v in values.items()})

    assert badge_for(trip) == wanted


def test_badge_of_a_field_that_is_not_sent_any_more_names_it():
    trip = factories.TripFactory()
    link = link_of(trip, parked_fields=["capacity"], synced_at=timezone.now())
    Issue.objects.create(link=link, code="oscillates", field="capacity", message="It keeps changing back.")

    assert badge_for(trip) == Badge("needs_person", "Needs you: not sent any more: capacity", "", "bad", True)
    assert list(filters._needing("trip")) == [link]


def test_badge_of_a_conflict_and_of_an_object_without_a_link():
    trip, other = factories.TripFactory(), factories.TripFactory()
    Conflict.objects.create(link=link_of(trip), field="capacity", policy="ask")
    Link.objects.filter(object_id=other.pk, kind="trip").delete()

    assert badge_for(trip) == Badge("conflict", "Conflict: both sides changed the same field", "", "bad", True)
    assert badge_for(other) == Badge("none", "Not sent yet")


def test_waiting_says_why_nothing_moves_and_is_not_asked_after_every_two_seconds():
    trip = factories.TripFactory()
    unset = Account(configured=False, paused="", location=None)
    stopped = Account(configured=True, paused="The token is not valid.", location=None)

    assert badge_for(trip, unset) == Badge("waiting", "Waiting: GoHighLevel is not connected")
    assert badge_for(trip, stopped) == Badge("waiting", "Waiting: GoHighLevel is stopped")


# The business's lists and pages


@pytest.mark.parametrize("model", MAKE)
def test_lists_show_badges_with_a_constant_number_of_queries(admin_client, account, model):
    MAKE[model]()
    admin_client.get(url(model, "changelist"))
    with CaptureQueriesContext(connection) as one:
        admin_client.get(url(model, "changelist"))
    for _ in range(2):
        MAKE[model]()
    with CaptureQueriesContext(connection) as three:
        page = admin_client.get(url(model, "changelist"))

    assert len(three) == len(one)
    assert [row.sync_badge.state for row in page.context["cl"].result_list] == ["waiting"] * 3
    assert page.content.decode().count("data-sync-part=") == 3


@pytest.mark.parametrize("model", MAKE)
def test_lists_keep_to_four_filters(admin_client, model):
    MAKE[model]()

    page = admin_client.get(url(model, "changelist"))

    # The one of money counts nothing, and is there for whoever may view payments.
    assert len([spec for spec in page.context["cl"].filter_specs if spec.title != "money"]) <= 4


def test_look_filter_narrows_to_each_sync_state(admin_client):
    trips = dict(
        zip(("needs", "moving", "gone", "conflict", "rest"), factories.TripFactory.create_batch(5), strict=True)
    )
    now = timezone.now()
    link_of(trips["needs"], parked_at=now)
    link_of(trips["moving"], remote_dirty_at=now)
    link_of(trips["gone"], gone_at=now)
    Conflict.objects.create(link=link_of(trips["conflict"]), field="capacity", policy="ask")

    found = {
        look: [
            trip.pk for trip in admin_client.get(url("trip", "changelist"), {"look": look}).context["cl"].result_list
        ]
        for look in ("sync_needs_you", "sync_moving", "sync_gone", "sync_conflict")
    }

    assert found == {
        "sync_needs_you": [trips["needs"].pk],
        "sync_moving": [trips["moving"].pk],
        "sync_gone": [trips["gone"].pk],
        "sync_conflict": [trips["conflict"].pk],
    }


def test_page_shows_badge_links_and_what_happened(admin_client, account):
    trip = factories.TripFactory()
    link = link_of(trip, remote_id="op77", location_id="loc1", synced_at=timezone.now() - dt.timedelta(seconds=2))
    Write.objects.create(link=link, action="update", values={"name": "x", "capacity": 5}, outcome="done")
    refused = Write.objects.create(
        link=link, action="create", values={"name": "x"}, outcome="refused", message="contactId should not be empty"
    )
    Write.objects.filter(pk=refused.pk).update(sent_at=timezone.now() - dt.timedelta(minutes=3))
    issue = Issue.objects.create(link=link, field="capacity", code="kept", message="GoHighLevel kept another value.")
    Issue.objects.create(link=link, field="name", code="kept", message="long settled", closed_at=timezone.now())
    conflict = Conflict.objects.create(link=link, field="price_per_person", policy="ask")

    panel = admin_client.get(url("trip", "change", trip.pk)).context["panel"]

    assert panel.badge.state == "conflict"
    assert panel.remote_url == link.remote_url
    assert [(e.what, e.fields, e.note) for e in panel.events] == [
        ("Sent to GoHighLevel", "name, capacity", ""),
        ("Create in GoHighLevel", "name", "Refused. contactId should not be empty"),
    ]
    assert [(q.text, q.url) for q in panel.questions] == [
        ("Both sides changed price per person.", url("conflict", "change", conflict.pk)),
        ("GoHighLevel kept another value.", url("issue", "change", issue.pk)),
    ]


def test_page_tells_for_a_day_who_won_a_conflict(admin_client, account):
    trip = factories.TripFactory()
    link = link_of(trip, remote_id="op77", location_id="loc1")
    hours = {"description": 1, "name": 30}
    for field, ago in hours.items():
        Conflict.objects.create(
            link=link,
            field=field,
            policy="newest",
            outcome="theirs",
            our_value="Mine",
            resolved_at=timezone.now() - dt.timedelta(hours=ago),
        )

    panel = admin_client.get(url("trip", "change", trip.pk)).context["panel"]

    assert [question.text for question in panel.questions] == [
        "Both sides changed description: GoHighLevel's value was kept; the one typed here is on record: “Mine”."
    ]


@pytest.mark.parametrize(
    ("kind", "field", "shown"),
    [("trip", "description", ": “" + "x" * 79 + "…”."), ("passenger", "passport.number", ".")],
)
def test_page_shows_the_value_that_lost_unless_it_is_sensitive(admin_client, account, kind, field, shown):
    row = MAKE[kind]()
    link = link_of(row, remote_id="op77", location_id="loc1")
    Conflict.objects.create(
        link=link, field=field, policy="newest", outcome="theirs", our_value="x" * 200, resolved_at=timezone.now()
    )

    (question,) = admin_client.get(url(kind, "change", row.pk)).context["panel"].questions

    assert question.text.endswith(f"the one typed here is on record{shown}")


def test_page_works_as_plain_text(admin_client, account):
    trip = factories.TripFactory()
    link_of(trip, remote_id="op77", location_id="loc1", synced_at=timezone.now())

    html = admin_client.get(url("trip", "change", trip.pk)).content.decode()

    assert "Synced 0 s ago" in html or "Synced 1 s ago" in html
    assert f'action="{url("trip", "sync_now", trip.pk)}"' in html
    assert 'aria-live="polite"' in html
    assert 'target="_blank" rel="noopener"' in html


@pytest.mark.parametrize("model", MAKE)
def test_fragment_gives_the_parts_that_change(admin_client, account, model):
    obj = MAKE[model]()

    answer = admin_client.get(url(model, "sync", obj.pk)).json()
    link_of(obj, synced_at=timezone.now(), remote_id="r1", location_id="loc1")
    later = admin_client.get(url(model, "sync", obj.pk)).json()

    assert (answer["resting"], sorted(answer["parts"])) == (False, ["badge", "events", "open", "questions", "said"])
    assert (answer["parts"]["said"], answer["parts"]["open"].strip()) == ("Waiting", "")
    assert (later["resting"], later["parts"]["said"]) == (True, "Synced")
    assert "Open in GoHighLevel" in later["parts"]["open"]


def test_list_states_are_those_of_rows_the_user_may_see(admin_client, client, account):
    trips = factories.TripFactory.create_batch(2)
    where = url("trip", "sync_list")

    answer = admin_client.get(where, {"ids": f"{trips[0].pk},{trips[1].pk},999999,x,"}).json()
    staff(client, "trips.view_contact")

    assert (answer["resting"], set(answer["parts"])) == (False, {str(trip.pk) for trip in trips})
    assert client.get(where, {"ids": str(trips[0].pk)}).status_code == 403


def test_list_states_cost_the_same_for_one_row_and_three(admin_client, account):
    trips = factories.TripFactory.create_batch(3)
    where = url("trip", "sync_list")
    admin_client.get(where)
    with CaptureQueriesContext(connection) as one:
        admin_client.get(where, {"ids": str(trips[0].pk)})
    with CaptureQueriesContext(connection) as three:
        admin_client.get(where, {"ids": ",".join(str(trip.pk) for trip in trips)})

    assert len(three) == len(one)


def test_fragment_needs_the_permission_to_view(client):
    trip = factories.TripFactory()
    anonymous = client.get(url("trip", "sync", trip.pk))
    staff(client, "trips.view_contact")

    assert anonymous.status_code == 302
    assert client.get(url("trip", "sync", trip.pk)).status_code == 403
    staff(client, "trips.view_trip")
    assert client.get(url("trip", "sync", trip.pk)).status_code == 200
    assert client.get(url("trip", "sync", 999999)).status_code == 404


# Sync now


@pytest.mark.parametrize("model", MAKE)
def test_sync_now_asks_for_a_fresh_look(admin_client, account, model):
    obj = MAKE[model]()
    link = link_of(obj, parked_at=timezone.now(), failures=3, next_attempt_at=timezone.now(), parked_fields=["name"])

    page = admin_client.post(url(model, "sync_now", obj.pk), follow=True)

    link.refresh_from_db()
    assert (link.parked_at, link.failures, link.next_attempt_at, link.parked_fields) == (None, 0, None, [])
    assert link.remote_dirty_at is not None
    assert list(Change.objects.values_list("kind", "object_id", "cause", "lane")) == [(model, obj.pk, "asked", "staff")]
    assert said(page) == ["Both sides are compared in a moment."]
    assert page.redirect_chain == [(url(model, "change", obj.pk), 302)]


@pytest.mark.django_db(transaction=True)
def test_sync_now_wakes_the_queue(admin_client, account, monkeypatch):
    trip = factories.TripFactory()
    link = link_of(trip)
    woken: list[Any] = []
    monkeypatch.setattr("ghl_sync.tasks.async_task", lambda *args: woken.append(args))

    admin_client.post(url("trip", "sync_now", trip.pk))

    assert woken == [("ghl_sync.tasks.reconcile", [link.pk])]


def test_sync_now_makes_the_link_that_no_save_made(admin_client, account):
    trip = factories.TripFactory()
    Link.objects.all().delete()

    admin_client.post(url("trip", "sync_now", trip.pk))

    assert Link.objects.for_object(trip) is not None


def test_viewer_cannot_sync_and_is_not_offered_to(client, account):
    trip = factories.TripFactory()
    link_of(trip)
    staff(client, "trips.view_trip")

    answer = client.post(url("trip", "sync_now", trip.pk))

    assert answer.status_code == 403
    assert not Change.objects.exists()
    assert "Sync now" not in client.get(url("trip", "change", trip.pk)).content.decode()


def test_sync_now_is_a_post_with_a_token(account):
    from django.test import Client

    trip = factories.TripFactory()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(factories.StaffFactory(is_superuser=True))

    assert strict.post(url("trip", "sync_now", trip.pk)).status_code == 403
    assert strict.get(url("trip", "sync_now", trip.pk)).headers["Location"] == reverse("admin:index")
    assert strict.put(url("trip", "sync_now", trip.pk)).status_code == 403


# After a save


def saved(client: Any, trip: Trip, **typed: Any) -> list[str]:
    page = client.get(url("trip", "change", trip.pk))
    return said(client.post(url("trip", "change", trip.pk), posted(page, **typed), follow=True))


def test_save_says_that_gohighlevel_follows(admin_client, account):
    trip = factories.TripFactory(organiser=factories.ContactFactory())

    assert saved(admin_client, trip, capacity="12")[0] == "Saved. GoHighLevel follows in a moment."
    assert "GoHighLevel" not in " ".join(saved(admin_client, trip))


def test_save_in_a_popup_says_nothing_to_the_page_behind_it(admin_client, account):
    page = admin_client.get(url("contact", "add"), {"_popup": "1"})

    admin_client.post(url("contact", "add"), posted(page, last_name="Ortiz", _popup="1"))

    assert said(admin_client.get(url("contact", "changelist"))) == []


def test_save_says_that_a_trip_without_organiser_stays_here_for_now(admin_client, account, settings):
    trip = factories.TripFactory(organiser=None)
    settings.GHL_FALLBACK_CONTACT_EMAIL = ""

    assert saved(admin_client, trip, capacity="12")[0] == "Saved. It goes to GoHighLevel once it has a lead organiser."
    settings.GHL_FALLBACK_CONTACT_EMAIL = "office@example.com"
    assert saved(admin_client, trip, capacity="13")[0] == "Saved. GoHighLevel follows in a moment."


def test_save_says_that_nothing_is_connected(admin_client):
    assert saved(admin_client, factories.TripFactory(), capacity="12")[0] == (
        "Saved here. GoHighLevel is not connected: set GHL_API_TOKEN and GHL_LOCATION_ID in .env, then run "
        "`manage.py ghl_setup`."
    )


def test_save_says_why_it_waits(admin_client, account):
    Location.objects.update(paused_at=timezone.now(), paused_reason="The token is not valid.")

    assert saved(admin_client, factories.TripFactory(), capacity="12")[0] == (
        "Saved here; it follows when traffic runs again. GoHighLevel is stopped: The token is not valid."
    )


def errors_after(client: Any, trip: Trip, change: Any, **typed: Any) -> dict[str, list[str]]:
    page = client.get(url("trip", "change", trip.pk))
    change()
    page = client.post(url("trip", "change", trip.pk), posted(page, **typed))
    return page.context["adminform"].form.errors


def test_edit_meanwhile_names_gohighlevel(admin_client):
    trip = factories.TripFactory(capacity=20)
    change = Trip.objects.filter(pk=trip.pk).update

    assert errors_after(admin_client, trip, lambda: change(capacity=24), capacity="30") == {
        "capacity": ["Changed meanwhile to “24” in GoHighLevel; save again to keep yours."]
    }


def test_edit_meanwhile_of_a_field_that_is_ours_alone_names_nobody(admin_client):
    trip = factories.TripFactory(destination="Havana")
    change = Trip.objects.filter(pk=trip.pk).update

    assert errors_after(admin_client, trip, lambda: change(destination="Trinidad"), destination="Viñales") == {
        "destination": ["Changed meanwhile to “Trinidad”; save again to keep yours."]
    }


def test_edit_meanwhile_names_the_colleague_whom_history_knows(admin_client):
    trip = factories.TripFactory(capacity=20)
    colleague = factories.StaffFactory(username="ines")

    def change() -> None:
        other = Trip.objects.get(pk=trip.pk)
        other.capacity, other._history_user = 24, colleague
        other.save(update_fields=["capacity"])

    assert errors_after(admin_client, trip, change, capacity="30") == {
        "capacity": ["Changed meanwhile to “24” by ines; save again to keep yours."]
    }


def test_delete_pages_count_the_cards_over_there(admin_client):
    trip, contact = factories.TripFactory(), factories.ContactFactory()
    link_of(trip, remote_id="op77")
    link_of(contact, remote_id="c77")
    data = {"action": "delete_selected", "_selected_action": trip.pk}

    pages = [
        admin_client.get(url("trip", "delete", trip.pk)),
        admin_client.post(url("trip", "changelist"), data),
        admin_client.get(url("contact", "delete", contact.pk)),
    ]

    assert ["Cards in GoHighLevel: 1" in page.content.decode() for page in pages] == [True, True, False]


# The sync's own lists


def rows_of(model: str) -> list[Any]:
    trip = factories.TripFactory()
    link = link_of(trip)
    return {
        "link": lambda: [link],
        "issue": lambda: [
            Issue.objects.create(link=link, field="capacity", code="kept", message="kept", remote_id=str(link.pk))
        ],
        "conflict": lambda: [Conflict.objects.create(link=link, field="capacity", policy="ask")],
        "run": lambda: [Run.objects.create(mode="full", finished_at=timezone.now(), ok=True)],
    }[model]()


@pytest.mark.parametrize("model", ["link", "issue", "conflict", "run"])
def test_sync_lists_cost_the_same_for_one_row_and_three(admin_client, model):
    rows_of(model)
    admin_client.get(url(model, "changelist"))
    with CaptureQueriesContext(connection) as one:
        admin_client.get(url(model, "changelist"))
    rows_of(model)
    rows_of(model)
    with CaptureQueriesContext(connection) as three:
        page = admin_client.get(url(model, "changelist"))

    assert (page.context["cl"].result_count, len(three)) == (3, len(one))


@pytest.mark.parametrize("model", ["link", "issue", "conflict", "run"])
def test_sync_pages_only_show(admin_client, model):
    row = rows_of(model)[0]
    before = type(row).objects.values().get(pk=row.pk)

    answers = [
        admin_client.get(url(model, "add")).status_code,
        admin_client.post(url(model, "add"), {}).status_code,
        admin_client.post(url(model, "change", row.pk), {"message": "x", "label": "x"}).status_code,
        admin_client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code,
    ]
    admin_client.post(
        url(model, "changelist"), {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
    )

    assert answers == [403] * 4
    assert type(row).objects.values().get(pk=row.pk) == before
    assert admin_client.get(url(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", ["link", "issue", "conflict", "run"])
def test_sync_pages_need_the_permission_to_view(client, model):
    row = rows_of(model)[0]
    staff(client, "trips.view_trip")
    refused = [client.get(where).status_code for where in (url(model, "changelist"), url(model, "change", row.pk))]
    staff(client, f"ghl_sync.view_{model}")
    allowed = [client.get(where).status_code for where in (url(model, "changelist"), url(model, "change", row.pk))]

    assert (refused, allowed) == ([403, 403], [200, 200])


@pytest.mark.parametrize("model", ["link", "issue", "conflict", "run"])
def test_empty_sync_list_says_what_is_not_there(admin_client, model):
    page = admin_client.get(url(model, "changelist"))

    assert page.context["cl"].model_admin.empty_title in page.content.decode()
    assert page.context["cl"].list_per_page == 25


def test_rows_lead_to_the_record(admin_client):
    trip = factories.TripFactory()
    link = link_of(trip)
    Issue.objects.create(link=link, field="capacity", code="kept", message="kept")
    Conflict.objects.create(link=link, field="capacity", policy="ask")
    target = f'href="{url("trip", "change", trip.pk)}"'

    pages = [admin_client.get(url(model, "changelist")).content.decode() for model in ("link", "issue", "conflict")]

    assert [target in page for page in pages] == [True] * 3


@pytest.mark.parametrize("model", ["link", "issue", "conflict"])
def test_rows_lead_nowhere_for_whoever_may_not_open_the_record(client, model):
    trip = factories.TripFactory(name="Baracoa")
    link = link_of(trip)
    row = {
        "link": lambda: link,
        "issue": lambda: Issue.objects.create(link=link, field="capacity", code="kept", message="kept"),
        "conflict": lambda: Conflict.objects.create(link=link, field="capacity", policy="ask"),
    }[model]()
    staff(client, f"ghl_sync.view_{model}")
    target = f'href="{url("trip", "change", trip.pk)}"'

    pages = [client.get(url(model, "changelist")), client.get(url(model, "change", row.pk))]

    assert [(target in page.content.decode(), "Baracoa" in page.content.decode()) for page in pages] == [
        (False, True)
    ] * 2


@pytest.mark.parametrize("model", ["issue", "conflict"])
def test_list_without_open_questions_leads_to_the_settled_ones(admin_client, model):
    link = link_of(factories.TripFactory(name="Baracoa"))
    if model == "issue":
        Issue.objects.create(link=link, code="kept", message="settled one", closed_at=timezone.now())
        text = "1 problem was settled"
    else:
        Conflict.objects.create(link=link, field="name", policy="ask", resolved_at=timezone.now())
        text = "1 conflict was decided"

    page = admin_client.get(url(model, "changelist"))

    assert text in page.content.decode()
    led = admin_client.get(url(model, "changelist") + page.context["cl"].elsewhere.url)
    assert led.context["cl"].result_count == 1
    assert text not in admin_client.get(url(model, "changelist"), {"q": "zzz"}).content.decode()


def test_settled_questions_are_out_of_the_way(admin_client):
    link = link_of(factories.TripFactory())
    Issue.objects.create(link=link, code="kept", message="open one")
    Issue.objects.create(link=link, code="kept", message="settled one", closed_at=timezone.now())

    def shown(**query: str) -> list[str]:
        page = admin_client.get(url("issue", "changelist"), query)
        return sorted(issue.message for issue in page.context["cl"].result_list)

    assert (shown(), shown(open="settled"), shown(open="all")) == (
        ["open one"], ["settled one"], ["open one", "settled one"],
    )  # fmt: skip


def test_state_filter_and_search_find_a_record(admin_client):
    trips = [factories.TripFactory(name="Baracoa"), factories.TripFactory(name="Lisbon")]
    links = [link_of(trip) for trip in trips]
    Link.objects.filter(pk=links[0].pk).update(parked_at=timezone.now())

    def shown(**query: str) -> list[int]:
        return [link.pk for link in admin_client.get(url("link", "changelist"), query).context["cl"].result_list]

    assert (shown(state="needs_person"), shown(q="Lisb"), shown(kind="contact")) == ([links[0].pk], [links[1].pk], [])


def test_selected_records_are_synced_by_whoever_may_change_them(admin_client, client):
    link = link_of(factories.TripFactory(), parked_at=timezone.now())
    data = {"action": "sync_selected", "_selected_action": link.pk}
    staff(client, "ghl_sync.view_link")
    client.post(url("link", "changelist"), data)
    untouched = Change.objects.count()

    admin_client.post(url("link", "changelist"), data)

    link.refresh_from_db()
    assert (untouched, link.parked_at, Change.objects.count()) == (0, None, 1)


def test_run_says_what_it_found(admin_client):
    counts = {"seen": 12, "created": 3, "updated": 0, "unchanged": 9, "issues": 0, "failed": 1, "gone": 0}
    run = Run.objects.create(mode="full", finished_at=timezone.now(), ok=False, report={"calls": 4, "trips": counts})
    Run.objects.create(mode="incremental", error="GoHighLevel could not be reached.")

    page = admin_client.get(url("run", "changelist")).content.decode()

    assert "12 trips (3 new, 1 failed)" in page
    assert ("Ended with failures" in page, "Broke off, goes on" in page) == (True, True)
    assert "<td>Trips</td><td>12</td><td>3</td>" in admin_client.get(url("run", "change", run.pk)).content.decode()


# Sensitive values


def test_sensitive_values_are_nowhere_to_be_read(admin_client, account):
    passport = factories.PassportFactory(number="unrelated")
    passenger = passport.passenger
    link = link_of(passenger)
    issue = Issue.objects.create(
        link=link, field="passport.number", code="unreadable", message="cannot be read", raw=SECRET
    )
    # Its own page, where one decides between the values, is tested with the conflict desk.
    Conflict.objects.create(
        link=link, field="passport.number", policy="ask", our_value=SECRET, their_value=SECRET, base_value=SECRET
    )
    unknown = Issue.objects.create(link=link, field="of_another_time", code="kept", message="kept", raw=SECRET)
    alone = Issue.objects.create(code="came_back", message="came back", raw=SECRET)
    Write.objects.create(
        link=link, action="update", values={"passport.number": "hash"}, outcome="refused", message=f"{SECRET} is bad"
    )

    pages = [
        url("passenger", "change", passenger.pk),
        url("passenger", "sync", passenger.pk),
        url("link", "changelist"),
        url("link", "change", link.pk),
        url("issue", "changelist"),
        *(url("issue", "change", row.pk) for row in (issue, unknown, alone)),
        url("conflict", "changelist"),
    ]

    answers = [admin_client.get(where) for where in pages]
    assert [answer.status_code for answer in answers] == [200] * len(pages)
    assert [where for where, answer in zip(pages, answers, strict=True) if SECRET in answer.content.decode()] == []


def test_plain_values_are_shown_to_whoever_may_see_the_record(client):
    link = link_of(factories.TripFactory())
    issue = Issue.objects.create(link=link, field="capacity", code="unreadable", message="m", raw="ninety-nine")
    Conflict.objects.create(link=link, field="lodging", policy="ask", our_value="Casa Azul")

    def seen(*permissions: str) -> list[bool]:
        staff(client, "ghl_sync.view_issue", "ghl_sync.view_conflict", *permissions)
        return [
            "ninety-nine" in client.get(url("issue", "change", issue.pk)).content.decode(),
            "Casa Azul" in client.get(url("conflict", "changelist")).content.decode(),
        ]

    assert (seen("trips.view_trip"), seen()) == ([True, True], [False, False])


def test_emergency_contacts_need_their_own_permission(client):
    link = link_of(factories.PassengerFactory())
    conflict = Conflict.objects.create(link=link, field="emergency.first_name", policy="ask", our_value="Perpetua")

    def seen(*permissions: str) -> bool:
        staff(client, "ghl_sync.view_conflict", "trips.view_passenger", *permissions)
        return "Perpetua" in client.get(url("conflict", "change", conflict.pk)).content.decode()

    assert (seen("trips.view_emergencycontact"), seen()) == (True, False)


# The administrator's yes


CONFIRM = "/ghl_sync/link/confirm-sensitive/"


def test_superuser_confirms_that_sensitive_data_is_written(admin_client, admin_user, account):
    health = factories.HealthRecordFactory()
    factories.PassengerFactory()
    Change.objects.all().delete()
    assert "Confirm: write them as well" in admin_client.get(url("issue", "changelist")).content.decode()

    admin_client.post(CONFIRM)

    account.refresh_from_db()
    assert (account.sensitive_confirmed_by, account.sensitive_confirmed_at is not None) == (admin_user, True)
    assert list(Change.objects.values_list("kind", "object_id", "lane")) == [("passenger", health.passenger_id, "bulk")]
    assert "Confirm: write them as well" not in admin_client.get(url("issue", "changelist")).content.decode()


def test_nobody_else_confirms(client, admin_client, account):
    staff(client, "ghl_sync.view_issue", "ghl_sync.view_link", "trips.change_passport")

    assert client.post(CONFIRM).status_code == 403
    assert "Confirm: write them as well" not in client.get(url("issue", "changelist")).content.decode()
    assert admin_client.get(CONFIRM).status_code == 302
    account.refresh_from_db()
    assert account.sensitive_confirmed_at is None


@pytest.mark.parametrize("direction", ["both", "pull", "off"])
def test_nothing_is_asked_where_the_setting_decides(admin_client, account, settings, direction):
    settings.GHL_MIRROR_SENSITIVE = direction

    admin_client.post(CONFIRM)

    account.refresh_from_db()
    assert account.sensitive_confirmed_at is None
    assert "Confirm: write them as well" not in admin_client.get(url("link", "changelist")).content.decode()


# The banner


@pytest.mark.parametrize(
    "name", ["index", "trips_trip_changelist", "trips_trip_add", "auth_user_changelist", "ghl_sync_run_changelist"]
)
def test_every_page_says_that_gohighlevel_is_stopped(admin_client, account, name):
    before = admin_client.get(reverse(f"admin:{name}")).content.decode()
    Location.objects.update(paused_at=timezone.now(), paused_reason="The token is not valid.")

    after = admin_client.get(reverse(f"admin:{name}")).content.decode()

    assert ["GoHighLevel is stopped: The token is not valid." in page for page in (before, after)] == [False, True]


@pytest.mark.parametrize("words", ["Invalid token: nope", "Invalid token: nope."])
def test_the_banner_is_two_sentences_however_gohighlevel_ends_its_own(admin_client, account, words):
    Location.objects.update(paused_at=timezone.now(), paused_reason=words)

    page = admin_client.get(reverse("admin:index")).content.decode()

    assert "GoHighLevel is stopped: Invalid token: nope. Everything is saved here" in page


def test_a_button_pressed_after_the_session_has_ended_leads_to_a_page_that_says_so(client, account):
    user = factories.StaffFactory(is_superuser=True)
    address = reverse("admin:ghl_sync_switch")
    login = client.post(address, {"name": "sending", "verb": "pause"}).headers["Location"]
    client.force_login(user)  # what the login page does before it goes on to `next`

    page = client.get(address, follow=True)

    assert login == f"{reverse('admin:login')}?next={address}"
    assert page.redirect_chain == [(reverse("admin:index"), 302)]
    assert [str(message) for message in page.context["messages"]] == [
        "Nothing was done: that needs its button, and you may have been logged out. Press it again."
    ]
    assert client.put(address).status_code == 405
    assert Location.objects.get().sending_paused_at is None


def test_strangers_are_not_told_that_it_is_stopped(client, account):
    Location.objects.update(paused_at=timezone.now(), paused_reason="The token is not valid.")

    assert "The token is not valid." not in client.get(reverse("admin:login")).content.decode()


def test_banner_costs_one_query(admin_client, account):
    factories.TripFactory()
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(url("trip", "changelist"))

    assert len([query for query in queries if 'FROM "ghl_sync_location"' in query["sql"]]) == 1


# Not linked to a trip


WORK_LIST = "/trips/passenger/unlinked/"


def lost(count: int = 1, **values: Any) -> list[Passenger]:
    return [factories.PassengerFactory(trip=None, **values) for _ in range(count)]


def test_work_list_groups_by_what_gohighlevel_calls_the_trip_and_offers_equal_ones():
    by_name = factories.TripFactory(name="Lisbon – Spring")
    by_number = factories.TripFactory(name="lisbon - spring", legacy_trip_id=77)
    factories.TripFactory(name="Lisbon – Spring 2")
    lost(3, trip_name_raw="LISBON  - Spring", trip_id_raw=77)
    lost(2, trip_id_raw=9912)
    lost(1)

    _page, groups = unlinked_groups(1)

    assert [(g.title, g.number, g.count, len(g.people)) for g in groups] == [
        ("LISBON  - Spring", 77, 3, 3),
        ("Trip ID 9912", 9912, 2, 2),
        ("No trip named", None, 1, 1),
    ]
    assert [[(likely.trip, likely.reason) for likely in g.likely] for g in groups] == [
        [(by_number, "same trip ID and same name"), (by_name, "same name")],
        [],
        [],
    ]


def test_a_name_that_is_alike_is_offered_and_not_ticked():
    autumn = factories.TripFactory(name="Baracoa Autumn 2027")
    factories.TripFactory(name="Trinidad Autumn 2027")
    lost(1, trip_name_raw="Baracoa Autum 2027")

    _page, [group] = unlinked_groups(1)

    assert [(likely.trip, likely.reason, likely.equal) for likely in group.likely] == [
        (autumn, "name 97 % alike", False)
    ]
    assert (group.sure, group.token, group.can_be_made) == (None, "", True)


def test_a_choice_between_two_equal_trips_is_not_ticked():
    for _ in range(2):
        factories.TripFactory(legacy_trip_id=5)
    lost(1, trip_id_raw=5)

    _page, [group] = unlinked_groups(1)

    assert (len(group.likely), group.sure) == (2, None)


def token(name: str, number: int | None, trip: int) -> str:
    return json.dumps([name, number, trip])


def test_ticked_groups_are_linked_at_once_and_taken_back_at_once(admin_client):
    first, second = factories.TripFactory(name="Baracoa"), factories.TripFactory(name="Trinidad", legacy_trip_id=7)
    lost(2, trip_name_raw="BARACOA")
    lost(3, trip_name_raw="Trinidad", trip_id_raw=7)
    lost(1, trip_name_raw="Elsewhere")
    shown = admin_client.get(WORK_LIST)
    ticked = [group.token for group in shown.context["groups"] if group.token]

    page = admin_client.post(WORK_LIST, {"many": "1", "ticked": ticked}, follow=True)

    batch = Batch.objects.get()
    assert said(page) == [
        f'5 passengers linked to their trips. <a class="text-link" href="/trips/batch/{batch.pk}/undo/">Undo</a>'
    ]
    assert (shown.context["sure"], len(ticked)) == (2, 2)
    assert (first.passengers.count(), second.passengers.count()) == (2, 3)
    admin_client.post(f"/trips/batch/{batch.pk}/undo/")
    assert sorted(Passenger.objects.values_list("trip", "trip_name_raw", "trip_id_raw"), key=str) == sorted(
        [*[(None, "BARACOA", None)] * 2, *[(None, "Trinidad", 7)] * 3, (None, "Elsewhere", None)], key=str
    )


def test_a_full_trip_is_told_and_the_other_ticked_groups_are_linked(client):
    full, other = factories.TripFactory(name="Full", capacity=1), factories.TripFactory(name="Other")
    lost(2, trip_name_raw="Full")
    lost(1, trip_name_raw="Other")
    staff(client, "trips.view_passenger", "trips.change_passenger")
    data = {"many": "1", "ticked": [token("Full", None, full.pk), token("Other", None, other.pk)]}

    page = client.post(WORK_LIST, data, follow=True)

    assert said(page)[0].startswith("Full has 1 seats and 0 passengers booked; 2 more are too many.")
    assert said(page)[1].startswith("1 passenger linked to their trips.")
    assert (full.passengers.count(), other.passengers.count()) == (0, 1)


@pytest.mark.parametrize(
    "ticked", ["", "x", "[]", "7", '["A", null]', '["A", "x", 1]', '["A", null, 1e3]', f'["A", null, {2**63}]', "{}"]
)
def test_what_the_page_did_not_send_links_nobody(admin_client, ticked):
    lost(1, trip_name_raw="A")

    page = admin_client.post(WORK_LIST, {"many": "1", "ticked": [ticked]} if ticked else {"many": "1"}, follow=True)

    assert (page.status_code, len(said(page)), Batch.objects.count()) == (200, 1, 0)
    assert Passenger.objects.get().trip is None


def test_a_ticked_trip_that_was_deleted_meanwhile_takes_nobody(admin_client):
    lost(1, trip_name_raw="A")

    page = admin_client.post(WORK_LIST, {"many": "1", "ticked": [token("A", None, 4711)]}, follow=True)

    assert said(page) == ["0 passengers linked to their trips."]


def test_work_list_costs_the_same_for_one_group_and_three(admin_client):
    factories.TripFactory(legacy_trip_id=1)
    lost(1, trip_name_raw="A", trip_id_raw=1)
    admin_client.get(WORK_LIST)
    with CaptureQueriesContext(connection) as one:
        admin_client.get(WORK_LIST)
    lost(2, trip_name_raw="B", trip_id_raw=1)
    lost(2, trip_name_raw="C")
    with CaptureQueriesContext(connection) as three:
        page = admin_client.get(WORK_LIST)

    assert (len(page.context["groups"]), len(three)) == (3, len(one))


def test_all_of_a_group_are_linked_like_any_other_edit(admin_client, admin_user):
    trip = factories.TripFactory()
    people = lost(3, trip_name_raw="Baracoa", trip_id_raw=5)
    other = lost(1, trip_name_raw="Baracoa")[0]
    Change.objects.all().delete()

    page = admin_client.post(WORK_LIST, {"name": "Baracoa", "number": "5", "trip": trip.pk}, follow=True)

    undo_link = f'<a class="text-link" href="/trips/batch/{Batch.objects.get().pk}/undo/">Undo</a>'
    assert said(page) == [f"3 passengers linked to {trip}. {undo_link}"]
    rows = Passenger.objects.order_by("pk").values_list("pk", "trip", "trip_name_raw", "trip_id_raw")
    assert list(rows) == [*((person.pk, trip.pk, "", None) for person in people), (other.pk, None, "Baracoa", None)]
    assert sorted(Change.objects.values_list("kind", "object_id", "cause")) == [
        ("passenger", person.pk, "saved") for person in people
    ]
    assert people[0].history.first().history_user == admin_user


def test_linking_can_be_undone(admin_client):
    lost(3, trip_name_raw="Baracoa", trip_id_raw=5)
    admin_client.post(WORK_LIST, {"name": "Baracoa", "number": "5", "trip": factories.TripFactory().pk})

    admin_client.post(f"/trips/batch/{Batch.objects.get().pk}/undo/")

    assert set(Passenger.objects.values_list("trip", "trip_name_raw", "trip_id_raw")) == {(None, "Baracoa", 5)}


@pytest.mark.parametrize(
    ("name", "number", "called"), [("Baracoa", 5, "Baracoa"), ("Baracoa", None, "Baracoa"), ("", 5, "Trip ID 5")]
)
def test_missing_trip_is_made_with_its_passengers_and_taken_back(admin_client, name, number, called):
    lost(3, trip_name_raw=name, trip_id_raw=number)

    shown = admin_client.get(WORK_LIST).content.decode()
    data = {"name": name, "number": "" if number is None else number, "make": "1"}
    page = admin_client.post(WORK_LIST, data, follow=True)

    trip = Trip.objects.get()
    assert f"Make the trip “{called}” and link all 3 to it" in shown
    assert (trip.name, trip.legacy_trip_id, trip.passengers.count()) == (called, number, 3)
    told = f"{called} was made, without dates and lead organiser, and 3 passengers linked."
    assert said(page)[0].startswith(told)
    admin_client.post(f"/trips/batch/{Batch.objects.get().pk}/undo/")
    assert not Trip.objects.exists()
    assert set(Passenger.objects.values_list("trip", "trip_name_raw", "trip_id_raw")) == {(None, name, number)}


@pytest.mark.parametrize(
    ("name", "number", "words"),
    [
        ("", "", "GoHighLevel names no trip for these passengers: choose one."),
        ("Baracoa", "77", "Known has the trip ID 77 already: link them to it."),
        ("Gone", "", "Somebody has linked these passengers meanwhile."),
    ],
)
def test_trip_that_cannot_be_made_is_refused_in_words(admin_client, name, number, words):
    factories.TripFactory(name="Known", legacy_trip_id=77)
    lost(1)
    lost(1, trip_name_raw="Baracoa", trip_id_raw=77)

    page = admin_client.post(WORK_LIST, {"name": name, "number": number, "make": "1"}, follow=True)

    assert (said(page), Trip.objects.count()) == ([words], 1)


def test_making_a_trip_takes_its_permission(client):
    lost(1, trip_name_raw="Baracoa")
    staff(client, "trips.view_passenger", "trips.change_passenger")

    assert "Make the trip" not in client.get(WORK_LIST).content.decode()
    assert client.post(WORK_LIST, {"name": "Baracoa", "make": "1"}).status_code == 403
    assert not Trip.objects.exists()


def test_one_passenger_is_linked_to_a_likely_trip(admin_client):
    trip = factories.TripFactory(name="Baracoa")
    first, second = lost(2, trip_name_raw="Baracoa")

    admin_client.post(WORK_LIST, {"name": "Baracoa", "likely": trip.pk, "passenger": second.pk})

    assert list(Passenger.objects.order_by("pk").values_list("trip", flat=True)) == [None, trip.pk]
    assert first.pk < second.pk


def test_no_trip_chosen_links_nobody(admin_client):
    lost(1, trip_name_raw="Baracoa")

    page = admin_client.post(WORK_LIST, {"name": "Baracoa"}, follow=True)

    assert said(page) == ["Choose a trip first."]
    assert Passenger.objects.get().trip is None


def test_viewer_sees_the_work_list_and_links_nobody(client):
    trip = factories.TripFactory(name="Baracoa")
    lost(1, trip_name_raw="Baracoa")
    staff(client, "trips.view_passenger")

    page = client.get(WORK_LIST)
    answer = client.post(WORK_LIST, {"name": "Baracoa", "trip": trip.pk})

    html = page.content.decode()
    assert ("Baracoa" in html, "to this trip" in html, "only this one" in html) == (True, False, False)
    assert answer.status_code == 403
    assert Passenger.objects.get().trip is None
    staff(client, "trips.view_trip")
    assert client.get(WORK_LIST).status_code == 403


def test_linking_over_capacity_takes_the_permission_to_overbook(client):
    trip = factories.TripFactory(capacity=1)
    lost(2, trip_name_raw="Baracoa")
    data = {"name": "Baracoa", "trip": trip.pk}
    rights = ("trips.view_passenger", "trips.change_passenger")
    staff(client, *rights)

    page = client.post(WORK_LIST, data, follow=True)

    assert said(page) == [
        f"{trip} has 1 seats and 0 passengers booked; 2 more are too many. "
        "Somebody who may overbook a trip can link them."
    ]
    staff(client, *rights, "trips.overbook_trip")
    client.post(WORK_LIST, data)
    assert Passenger.objects.filter(trip=trip).count() == 2


def test_linking_holds_the_trip_while_it_counts_the_seats(admin_client, monkeypatch):
    trip = factories.TripFactory(capacity=5)
    lost(1, trip_name_raw="Baracoa")
    held: list[bool] = []

    def hold(trip_id: int) -> Trip:
        held.append(connection.in_atomic_block and not Passenger.objects.filter(trip=trip_id).exists())
        return Trip.objects.get(pk=trip_id)

    monkeypatch.setattr("trips.services.enrolment.hold", hold)
    admin_client.post(WORK_LIST, {"name": "Baracoa", "trip": trip.pk})

    assert (held, Passenger.objects.filter(trip=trip).count()) == ([True], 1)


def test_empty_work_list_says_that_all_are_linked(admin_client):
    factories.PassengerFactory()

    assert "All passengers are linked to a trip" in admin_client.get(WORK_LIST).content.decode()


# Live choices


def test_forms_offer_the_options_of_the_day(settings):
    settings.GHL_LOCATION_ID = "loc1"
    for number, (key, options) in enumerate(
        {
            "opportunity.lodging": ["Hotel", "Casa particular", "Hotel"],
            "opportunity.passport_country": ["Peru", "Côte d’Ivoire"],
            "opportunity.contact1_ustate": ["Ohio"],
            "opportunity.travel_category": ["People To People", "Family"],
            "opportunity.room_occupancy": ["Single Occupancy", "Suite"],
        }.items()
    ):
        RemoteField.objects.create(
            location_id="loc1", model="opportunity", remote_id=str(number), key=key, name=key, options=options
        )
    pipeline = Pipeline.objects.create(location_id="loc1", remote_id="p", name="TripBooking")
    for position, name in enumerate(["FormSubmit", "Waiting for visa"]):
        Stage.objects.create(pipeline=pipeline, remote_id=str(position), name=name, position=position)

    keys = (
        "trip.lodging", "passport.country", "emergencycontact.state", "trip.travel_category", "passenger.occupancy",
        "trip.stage", "passenger.stage", "trip.capacity", "trip.destination", "vendor.name",
    )  # fmt: skip
    assert {key: live_options(key) for key in keys} == {
        "trip.lodging": ["Hotel", "Casa particular"],
        "passport.country": ["Peru", "Côte d’Ivoire"],
        "emergencycontact.state": ["Ohio"],
        "trip.travel_category": ["people_to_people", "Family"],
        "passenger.occupancy": ["single"],
        "trip.stage": ["form_submit", "Waiting for visa"],
        "passenger.stage": [],
        "trip.capacity": [],
        "trip.destination": [],
        "vendor.name": [],
    }
    assert live_values("trip.lodging") == ["Hotel", "Casa particular"]


# The sidebar


def test_sidebar_shows_each_person_their_own_entries(client):
    staff(client, "trips.view_trip", "ghl_sync.view_issue")

    page = client.get(reverse("admin:index"))

    groups = page.context["sidebar_navigation"]
    assert {group["title"]: [i["title"] for i in group["items"] if i["has_permission"]] for group in groups} == {
        "Work": ["Trips", "Board", "Calendar"],
        "GoHighLevel": ["Issues", "Doubles"],
        "Administration": [],
    }


def test_work_list_has_the_sidebar_entry_to_itself(admin_client):
    page = admin_client.get(WORK_LIST)

    items = [item for group in page.context["sidebar_navigation"] for item in group["items"]]
    assert [item["title"] for item in items if item["active"]] == ["Not linked to a trip"]


# In a browser


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_badge_follows_the_record_by_itself(live_server, chromium, account, monkeypatch):
    from playwright.sync_api import expect, sync_playwright

    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # the browser's driver runs a loop in this thread
    trip = factories.TripFactory()
    boss = factories.StaffFactory(is_superuser=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{live_server.url}{reverse('admin:login')}")
        page.fill("[name=username]", boss.username)
        page.fill("[name=password]", factories.PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url(f"{live_server.url}/")
        page.goto(live_server.url + url("trip", "change", trip.pk))
        expect(page.locator("[data-sync-part=badge]")).to_have_text("Waiting")
        page.click("summary")

        link_of(trip, synced_at=timezone.now(), remote_id="op77", location_id="loc1")

        expect(page.locator("[data-sync-part=said]")).to_have_text("Synced", timeout=8000)
        expect(page.locator("[data-sync-part=badge]")).to_contain_text("Synced")
        expect(page.locator("text=Nothing was sent or fetched yet.")).to_be_visible()  # what was opened stays open
        browser.close()
        connections.close_all()  # under the driver's loop this test had connections of its own


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_pull_fits_on_a_phone(live_server, chromium, account, monkeypatch, client):
    from playwright.sync_api import sync_playwright

    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # the browser's driver runs a loop in this thread
    run = Run.objects.create(mode="full", ok=True, report={"trips": {"seen": 1200, "unchanged": 1200}})
    client.force_login(factories.StaffFactory(is_superuser=True))
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.context.add_cookies([session])
        page.goto(live_server.url + url("run", "change", run.pk))
        page.locator(".sync-table").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()
        connections.close_all()  # under the driver's loop this test had connections of its own


# Search


@pytest.mark.parametrize("model", ["trip", "contact", "passenger"])
def test_record_is_found_by_its_whole_id_over_there(admin_client, model):
    make = {
        "trip": factories.TripFactory,
        "contact": factories.ContactFactory,
        "passenger": factories.PassengerFactory,
    }[model]
    row, other = make(), make()
    Link.objects.filter(kind=model, object_id=row.pk).update(remote_id="Abc123Def456Ghi789Jk")
    Link.objects.filter(kind=model, object_id=other.pk).update(remote_id="Zbc123Def456Ghi789Jk")

    def found(text):
        page = admin_client.get(f"/trips/{model}/", {"q": text})
        return [one.pk for one in page.context["cl"].result_list]

    texts = ("Abc123Def456Ghi789Jk", " Abc123Def456Ghi789Jk ", "abc123def456ghi789jk", "Abc123Def456")
    assert [found(text) for text in texts] == [[row.pk], [row.pk], [], []]
