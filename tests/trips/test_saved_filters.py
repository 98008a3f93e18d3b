"""Filters that somebody named, above the lists."""

from __future__ import annotations

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from tests import factories
from trips.models import SavedFilter

pytestmark = pytest.mark.django_db
LIST = "admin:trips_passenger_changelist"
SAVE = "admin:trips_passenger_save_filter"
MAY = ["trips.view_passenger"]


def chips(client, query=""):
    shown = client.get(f"{reverse(LIST)}?{query}").context["saved_filters"]
    return [(one.name, one.url, one.here, one.hint) for one in shown]


def save(client, **typed):
    answer = client.post(reverse(SAVE), typed)
    return answer, [str(message) for message in get_messages(answer.wsgi_request)]


def signed_in(client, username):
    user = factories.StaffFactory(username=username, permissions=MAY)
    client.force_login(user)
    return user


def test_a_filter_is_saved_as_the_list_shows_it_without_its_page(client):
    signed_in(client, "ada")
    query = "look=documents&departs=60"
    offered = client.get(f"{reverse(LIST)}?{query}&p=2").context["saved_query"]

    answer, said = save(client, name="Chase papers", query=offered)

    assert (answer["Location"], said) == (
        f"{reverse(LIST)}?departs=60&look=documents",
        ["Saved as “Chase papers”. It stands above the list."],
    )
    assert chips(client, query) == [("Chase papers", "?departs=60&look=documents", True, "")]
    assert client.get(f"{reverse(LIST)}?{query}").context["saved_query"] == ""
    assert chips(client) == [("Chase papers", "?departs=60&look=documents", False, "")]


def test_shared_ones_are_everybody_s_and_private_ones_nobody_else_s(client):
    signed_in(client, "ada")
    save(client, name="Mine", query="look=passport")
    save(client, name="Ours", query="look=documents", shared="on")
    signed_in(client, "bruno")

    assert chips(client) == [("Ours", "?look=documents", False, "Shared by ada")]
    manage = client.get(reverse("admin:trips_savedfilter_changelist"))
    assert list(manage.context["cl"].result_list) == []


def test_a_name_used_again_replaces_and_pinned_ones_stand_first(client):
    signed_in(client, "ada")
    for name, query in (("A", "look=passport"), ("Z", "look=health"), ("A", "look=documents")):
        save(client, name=name, query=query)
    SavedFilter.objects.filter(name="Z").update(pinned=True)

    assert [(name, url) for name, url, _here, _hint in chips(client)] == [
        ("Z", "?look=health"),
        ("A", "?look=documents"),
    ]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"name": " ", "query": "look=passport"}, "at most 80 characters"),
        ({"name": "x" * 81, "query": "look=passport"}, "at most 80 characters"),
        ({"name": "A", "query": "p=3"}, "Nothing is filtered"),
        ({"name": "A", "query": f"q={'x' * 3000}"}, "too long"),
    ],
)
def test_what_cannot_be_saved_is_said(client, typed, words):
    signed_in(client, "ada")

    _answer, said = save(client, **typed)

    assert (words in said[0], SavedFilter.objects.count()) == (True, 0)


def test_saving_needs_the_list_and_a_button(client):
    factories.StaffFactory(username="x")
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))

    assert client.post(reverse(SAVE), {"name": "A", "query": "look=passport"}).status_code == 403
    signed_in(client, "ada")
    assert client.get(reverse(SAVE)).status_code == 405
    assert SavedFilter.objects.count() == 0


def test_one_s_own_are_renamed_and_deleted_and_others_out_of_reach(client):
    ada = signed_in(client, "ada")
    own = SavedFilter.objects.create(owner=ada, page="trips.passenger", name="A", query="look=passport")
    other = SavedFilter.objects.create(
        owner=factories.StaffFactory(), page="trips.passenger", name="B", query="look=passport", shared=True
    )

    def change(row):
        return reverse("admin:trips_savedfilter_change", args=[row.pk])

    client.post(change(own), {"name": "Passports", "shared": "on"})
    foreign = client.post(change(other), {"name": "Taken"})

    assert foreign.status_code == 403
    assert sorted(SavedFilter.objects.values_list("name", "shared")) == [("B", True), ("Passports", True)]
    client.post(reverse("admin:trips_savedfilter_delete", args=[own.pk]), {"post": "yes"})
    assert list(SavedFilter.objects.values_list("name", flat=True)) == ["B"]


@pytest.mark.parametrize("filters", [1, 3])
def test_saved_filters_cost_one_query(admin_client, admin_user, django_assert_max_num_queries, filters):
    for number in range(filters):
        owner = factories.StaffFactory() if number else admin_user
        SavedFilter.objects.create(
            owner=owner, page="trips.passenger", name=str(number), query="look=passport", shared=True
        )
    admin_client.get(reverse(LIST))

    with django_assert_max_num_queries(QUERIES):
        assert len(admin_client.get(reverse(LIST)).context["saved_filters"]) == filters


QUERIES = 14
