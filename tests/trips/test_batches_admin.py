"""The pages of batches: who sees which, what they tell, and the undo behind its confirmation."""

from __future__ import annotations

import pytest

from tests import factories
from trips.enums import BatchKind
from trips.models import Contact, Passport
from trips.services.batches import recorded, undo

pytestmark = pytest.mark.django_db
LIST = "/trips/batch/"
MAY = ["trips.view_contact", "trips.add_contact", "trips.change_contact"]


def staff(*permissions, **values):
    return factories.StaffFactory(permissions=[*permissions], **values)


def moved(by, title="Everybody to Oslo", city="Oslo"):
    contact = factories.ContactFactory(city="Lund", first_name="Ada", last_name="Almqvist")
    with recorded(kind=BatchKind.CHANGE, title=title, by=by) as batch:
        batch.change(contact, city=city)
    return batch.batch, contact


def shown(client, url=LIST):
    page = client.get(url)
    assert page.status_code == 200
    return page.content.decode()


def test_staff_see_their_own_batches_and_those_who_may_all(client):
    ada, ben, chief = staff(*MAY), staff(*MAY), staff("trips.view_batch")
    moved(ada, title="By Ada")
    moved(ben, title="By Ben")

    seen = {}
    for user in (ada, ben, chief):
        client.force_login(user)
        page = client.get(LIST)
        seen[user] = sorted(row.title for row in page.context["cl"].result_list)

    assert seen == {ada: ["By Ada"], ben: ["By Ben"], chief: ["By Ada", "By Ben"]}


def test_others_batch_is_refused_and_not_undone(client):
    batch, contact = moved(staff(*MAY))
    ben = staff(*MAY)
    moved(ben)
    client.force_login(ben)

    answers = [client.get(f"{LIST}{batch.pk}/change/"), client.post(f"{LIST}{batch.pk}/undo/")]

    contact.refresh_from_db()
    assert ([answer.status_code for answer in answers], contact.city) == ([403, 403], "Oslo")


def test_who_may_only_view_batches_cannot_undo(client):
    batch, contact = moved(staff(*MAY))
    client.force_login(staff("trips.view_batch", *MAY))

    assert "undo/" not in shown(client, f"{LIST}{batch.pk}/change/")
    assert client.post(f"{LIST}{batch.pk}/undo/").status_code == 403
    contact.refresh_from_db()
    assert contact.city == "Oslo"


def test_own_batch_needs_the_permission_on_its_rows(client):
    ada = staff("trips.view_contact")
    batch, _contact = moved(ada)
    client.force_login(ada)

    assert client.post(f"{LIST}{batch.pk}/undo/").status_code == 403


def test_undo_asks_first_and_tells_what_came_of_it(client):
    ada = staff(*MAY)
    first, second = factories.ContactFactory(city="Lund"), factories.ContactFactory(city="Lund", first_name="Ben")
    with recorded(kind=BatchKind.IMPORT, title="People.csv", by=ada) as work:
        work.change(first, city="Oslo")
        work.change(second, city="Oslo")
        work.make(Contact(first_name="Carla"))
    Contact.objects.filter(pk=second.pk).update(city="Turku")
    client.force_login(ada)
    page = f"{LIST}{work.batch.pk}/"
    assert f'href="{page}undo/"' in shown(client, f"{page}change/")

    asked = shown(client, f"{page}undo/")
    assert "2 contacts changed by it: given the values from before" in asked
    assert "1 contact made by it: deleted, unless changed since" in asked
    assert Contact.objects.filter(city="Oslo").count() == 1

    told = client.post(f"{page}undo/", follow=True).content.decode()

    assert "2 rows were put back." in told
    assert "1 row kept, in whole or in part; the reasons are below." in told
    assert "Changed since and kept: city." in told
    assert sorted(Contact.objects.values_list("city", flat=True)) == ["Lund", "Turku"]


def test_undo_that_takes_too_long_asks_to_go_on(client, monkeypatch):
    ada = staff(*MAY)
    batch, contact = moved(ada)
    client.force_login(ada)
    monkeypatch.setattr("trips.admin.batches.UNDO_SECONDS", 0)

    page = client.post(f"{LIST}{batch.pk}/undo/", follow=True).content.decode()
    assert "1 row is left: press “Go on with the undo”." in page

    monkeypatch.setattr("trips.admin.batches.UNDO_SECONDS", 60)
    client.post(f"{LIST}{batch.pk}/undo/")
    contact.refresh_from_db()
    assert contact.city == "Lund"


def test_parts_that_a_person_may_not_see_are_counted_and_not_named(client):
    ada = staff(*MAY)
    passport = factories.PassportFactory(number="X5550001")
    with recorded(kind=BatchKind.IMPORT, title="Import", by=ada) as work:
        work.change(passport, number="X5559876")
    client.force_login(ada)

    page = shown(client, f"{LIST}{work.batch.pk}/change/")

    assert "And 1 part you may not see." in page
    assert ("9876" in page, str(passport.passenger) in page) == (False, False)
    assert Passport.objects.get().number == "X5559876"


def test_a_part_without_a_page_of_its_own_is_named_without_a_link(admin_client):
    passport = factories.PassportFactory(number="X5550001")
    with recorded(kind=BatchKind.IMPORT, title="Import", by=None) as work:
        work.change(passport, number="X5559876")
        work.change(passport.passenger, preferred_name="Ada")

    lines = admin_client.get(f"{LIST}{work.batch.pk}/change/").context["lines"]

    name, page = str(passport.passenger), f"/trips/passenger/{passport.passenger_id}/change/"
    assert {(line.kind, line.name, line.url) for line in lines} == {("Passport", name, ""), ("Passenger", name, page)}


def test_pages_offer_no_change_and_no_delete(admin_client):
    batch, _contact = moved(None)

    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.get(f"{LIST}{batch.pk}/delete/").status_code == 403
    assert 'name="_save"' not in shown(admin_client, f"{LIST}{batch.pk}/change/")


@pytest.mark.parametrize("count", [1, 3])
def test_list_costs_the_same_for_any_number_of_batches(admin_client, django_assert_num_queries, count):
    for number in range(count):
        batch, _contact = moved(None, title=f"Batch {number}")
        undo(batch=batch, by=None)

    with django_assert_num_queries(6):
        admin_client.get(LIST)
