"""Contacts that are one person: found, merged side by side, kept apart, and taken back."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.urls import reverse

from tests.factories import ContactFactory, PassengerFactory, TripFactory, UserFactory
from tests.trips.postgres import postgresql_only
from trips.admin.merging import _moving
from trips.enums import Attendance
from trips.models import Batch, Contact, ContactsApart, Passenger, Trip
from trips.services import batches, duplicates, merging
from trips.services.duplicates import Reason

pytestmark = pytest.mark.django_db(transaction=True)

BORN = dt.date(1980, 2, 3)
MAY = ("view_contact", "change_contact", "view_passenger", "change_passenger")


@pytest.fixture(autouse=True)
def no_count() -> None:
    cache.clear()
    ContactFactory.reset_sequence(
        20, force=True
    )  # its phones are none of those that are written here, whatever ran before


def pairs(**options: Any) -> list[tuple[int, int, list[Reason]]]:
    return [(one.first, one.second, one.reasons) for one in duplicates.find(**options).pairs]


def url(name: str, *args: int) -> str:
    return reverse(f"admin:trips_contact_{name}", args=args)


def told(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def staff(*permissions: str) -> Any:
    return UserFactory(is_staff=True, permissions=[f"trips.{name}" for name in permissions])


def merged(keep: Contact, drop: Contact, **picks: str) -> Batch:
    return merging.merge(keep=keep, drop=drop, picks=picks, by=None)


def chosen(keep: Contact, drop: Contact) -> dict[str, Any]:
    """What the page of both sends with nothing picked."""
    return {"keep": keep.pk, "shown": merging.shown_hash(keep, drop)}


def two(**values: Any) -> tuple[Contact, Contact]:
    """Two contacts with one e-mail address."""
    first = ContactFactory(first_name="Greta", last_name="Lind", email="greta@example.com", **values)
    return first, ContactFactory(first_name="Gréta", last_name="Lind", email="greta@example.com")


# Found


def test_duplicates_are_found_by_email_phone_and_name_with_birthday() -> None:
    one = ContactFactory(email="Greta@Example.com", phone="+12025550101")
    same_mail = ContactFactory(email="greta@example.com")
    same_phone = ContactFactory(email="", phone="+12025550101")
    traveller = ContactFactory()
    accents = ContactFactory()
    other_day = ContactFactory()
    ContactFactory(email="", phone="")
    ContactFactory(email="", phone="")
    for contact, last, born in (
        (traveller, "Dvořák", BORN),
        (accents, "DVORAK", BORN),
        (other_day, "Dvořák", dt.date(1981, 2, 3)),
    ):
        PassengerFactory(contact=contact, legal_first_name="Ines", legal_last_name=last, date_of_birth=born)

    assert pairs() == [
        (traveller.pk, accents.pk, [Reason.BIRTH]),
        (one.pk, same_mail.pk, [Reason.EMAIL]),
        (one.pk, same_phone.pk, [Reason.PHONE]),
    ]
    assert pairs(born=False) == [(one.pk, same_mail.pk, [Reason.EMAIL]), (one.pk, same_phone.pk, [Reason.PHONE])]


def test_who_has_more_in_common_stands_first() -> None:
    ContactFactory.create_batch(2, email="family@example.com")
    both = ContactFactory.create_batch(2, email="greta@example.com", phone="+12025550102")

    assert pairs()[0] == (both[0].pk, both[1].pk, [Reason.EMAIL, Reason.PHONE])


def test_an_address_that_many_share_says_nothing() -> None:
    ContactFactory.create_batch(duplicates.MOST_SHARING + 1, email="agency@example.com")

    assert (duplicates.find().pairs, duplicates.find().crowded) == ([], 1)


@pytest.mark.parametrize("times", [1, 3])
def test_finding_costs_the_same_for_one_pair_and_three(times: int, django_assert_num_queries: Any) -> None:
    for number in range(times):
        for contact in ContactFactory.create_batch(2, email=f"same{number}@example.com", phone=f"+1202555015{number}"):
            PassengerFactory(contact=contact, legal_first_name="Ada", legal_last_name=f"L{number}", date_of_birth=BORN)

    with django_assert_num_queries(4):
        assert len(duplicates.find().pairs) == times


def test_not_the_same_person_is_remembered_and_can_be_taken_back(admin_client: Any) -> None:
    first, second = two()

    admin_client.post(url("apart", second.pk, first.pk))

    assert (pairs(), [(row.first, row.second) for row in ContactsApart.objects.all()]) == ([], [(first, second)])
    page = admin_client.get(f"{url('duplicates')}?show=apart")
    assert [(line.one, line.other) for line in page.context["lines"]] == [(first, second)]

    admin_client.post(url("duplicates"), {"pair": f"{first.pk}-{second.pk}"})

    assert pairs() == [(first.pk, second.pk, [Reason.EMAIL])]


def test_who_is_not_the_duplicate_is_not_the_one_that_stands_for_it_either() -> None:
    first, second = two()
    third = ContactFactory(email="greta@example.com")
    duplicates.keep_apart(one=second, other=third, by=None)
    batch = merged(first, second)

    assert pairs() == []

    batches.undo(batch=batch, by=None)
    assert [one[:2] for one in pairs()] == [(first.pk, third.pk), (first.pk, second.pk)]


def test_what_was_said_of_a_merged_one_is_taken_back_as_well(admin_client: Any) -> None:
    first, second = two()
    third = ContactFactory(email="greta@example.com")
    duplicates.keep_apart(one=second, other=third, by=None)
    merged(first, second)

    page = admin_client.get(f"{url('duplicates')}?show=apart")
    said = duplicates.said_apart(third, first)
    admin_client.post(url("duplicates"), {"pair": f"{first.pk}-{third.pk}"})

    assert [(line.one, line.other) for line in page.context["lines"]] == [(first, third)]
    assert said is not None
    assert [one[:2] for one in pairs()] == [(first.pk, third.pk)]


def test_two_said_apart_and_merged_after_all_are_no_pair(admin_client: Any) -> None:
    first, second = two()
    duplicates.keep_apart(one=first, other=second, by=None)
    merged(first, second)

    page = admin_client.get(f"{url('duplicates')}?show=apart")

    assert (page.context["lines"], page.context["apart_count"]) == ([], 0)


# Merged


def test_every_column_that_names_a_contact_is_thought_of() -> None:
    naming = {
        (relation.related_model, relation.field.name)
        for relation in Contact._meta.get_fields(include_hidden=True)
        if relation.auto_created
        and not relation.concrete
        and not relation.related_model.__name__.startswith("Historical")
    }

    assert naming == {*merging.MOVED, *merging.STAYS}


def test_a_merge_moves_all_that_hangs_on_the_duplicate_and_its_undo_puts_it_back() -> None:
    keep, drop = two(city="", notes="Vegetarian", tags=["vip"])
    Contact.objects.filter(pk=drop.pk).update(city="Oslo", notes="Window seat", tags=["vip", "press"])
    older = ContactFactory()
    merged(drop, older)
    booked, led = PassengerFactory(contact=drop), TripFactory(organiser=drop)
    ward = PassengerFactory(guardian=drop, contact=keep)
    stands = PassengerFactory(contact=keep)

    batch = merged(keep, drop, city="drop", notes="both", tags="both")

    def now() -> list[Any]:
        return [
            *Contact.objects.filter(pk__in=[keep.pk, drop.pk]).order_by("pk").values_list("city", "notes", "tags"),
            dict(Contact.objects.values_list("pk", "merged_into"))[drop.pk],
            dict(Contact.objects.values_list("pk", "merged_into"))[older.pk],
            Passenger.objects.get(pk=booked.pk).contact_id,
            Passenger.objects.get(pk=ward.pk).guardian_id,
            Passenger.objects.get(pk=stands.pk).contact_id,
            Trip.objects.get(pk=led.pk).organiser_id,
        ]

    theirs = ("Oslo", "Window seat", ["vip", "press"])
    both = ("Oslo", "Vegetarian\n\nWindow seat", ["vip", "press"])
    assert now() == [both, theirs, keep.pk, keep.pk, keep.pk, keep.pk, keep.pk, keep.pk]
    assert (batch.title, batch.changed) == ("“Gréta Lind” merged into “Greta Lind”", 6)

    undone = batches.undo(batch=batch, by=None)

    assert (undone.back, undone.kept) == (6, [])
    mine = ("", "Vegetarian", ["vip"])
    assert now() == [mine, theirs, None, drop.pk, drop.pk, drop.pk, keep.pk, drop.pk]


def test_an_undo_keeps_what_was_changed_since() -> None:
    keep, drop = two(city="")
    Contact.objects.filter(pk=drop.pk).update(city="Oslo")
    booked = PassengerFactory(contact=drop)
    batch = merged(keep, drop, city="drop")
    other = ContactFactory()
    booked.contact = other
    booked.save()

    undone = batches.undo(batch=batch, by=None)

    assert (undone.back, [row.reason for row in undone.kept]) == (2, ["Changed since and kept: contact."])
    booked.refresh_from_db()
    assert booked.contact == other
    assert Contact.objects.standing().count() == 3


def test_nothing_is_left_on_the_duplicate_even_when_written_in_the_moment_of_the_merge() -> None:
    keep, drop = two()
    merged(keep, drop)
    late = PassengerFactory(contact=drop)

    assert merging.gather() == 1
    assert merging.gather() == 0

    late.refresh_from_db()
    assert late.contact == keep


def test_what_stays_is_suggested() -> None:
    keep = ContactFactory(first_name="Greta", last_name="", email="a@example.com", phone="", notes="", tags=["a"])
    drop = ContactFactory(
        first_name="G.", last_name="Lind", email="b@example.com", phone="", notes="x", tags=["b"], do_not_contact=True
    )

    suggested = {one.name: one.picked for one in merging.choices(keep, drop)}

    assert suggested == {
        "first_name": "keep",
        "last_name": "drop",
        "email": "keep",
        "country": "keep",
        "tags": "both",
        "do_not_contact": "drop",
        "notes": "drop",
    }


@postgresql_only
def test_of_two_merges_at_once_in_both_directions_one_is_refused() -> None:
    keep, drop = two()
    gate = threading.Barrier(2)

    def at_once(one: Contact, other: Contact) -> str:
        gate.wait()
        try:
            merged(one, other)
        except merging.Refused as refused:
            return str(refused)
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(2) as threads:
        ends = [threads.submit(at_once, *pair).result for pair in ((keep, drop), (drop, keep))]
        said = sorted(end() for end in ends)

    assert said[0] == ""
    assert "already" in said[1]
    assert (Contact.objects.standing().count(), Batch.objects.count()) == (1, 1)


def test_a_survivor_cannot_be_deleted(admin_client: Any) -> None:
    keep, drop = two()
    merged(keep, drop)

    page = admin_client.get(url("delete", keep.pk))

    assert "“Greta Lind” cannot be deleted: 1 passenger, trip or merged contact needs it." in page.content.decode()


def test_going_through_the_list_passes_over_what_others_decided(django_assert_num_queries: Any) -> None:
    for number in range(3):
        ContactFactory.create_batch(2, email=f"same{number}@example.com")
    first, second, third = duplicates.find().pairs
    assert duplicates.next_pair() == first
    merged(*Contact.objects.filter(pk__in=first.ids).order_by("pk"))
    duplicates.keep_apart(
        **dict(zip(("one", "other"), Contact.objects.filter(pk__in=second.ids), strict=True)), by=None
    )

    with django_assert_num_queries(2):
        assert duplicates.next_pair() == third


def test_likely_ones_are_those_that_share_something() -> None:
    one = ContactFactory(email="greta@example.com", phone="+12025550101")
    mail, phone = ContactFactory(email="greta@example.com"), ContactFactory(phone="+12025550101")
    born, apart = ContactFactory(), ContactFactory(email="greta@example.com")
    for contact in (one, born):
        PassengerFactory(contact=contact, legal_first_name="Ines", legal_last_name="Ek", date_of_birth=BORN)
    duplicates.keep_apart(one=apart, other=one, by=None)

    assert duplicates.likely(one) == [born.pk, phone.pk, mail.pk]
    assert duplicates.likely(one, born=False) == [phone.pk, mail.pk]
    assert duplicates.likely(ContactFactory(email="", phone="")) == []


# Refused


def refused(keep: Contact, drop: Contact) -> str:
    with pytest.raises(merging.Refused) as caught:
        merged(keep, drop)
    assert not Batch.objects.filter(title__startswith=f"“{drop}”", undone_at=None).exclude(rows__isnull=False).exists()
    return str(caught.value)


def test_two_who_travel_together_are_resolved_first(admin_client: Any) -> None:
    keep, drop = two()
    trip = TripFactory(name="Baracoa")
    PassengerFactory(contact=keep, trip=trip)
    twice = PassengerFactory(contact=drop, trip=trip)

    words = refused(keep, drop)
    page = admin_client.post(url("merge", keep.pk, drop.pk), chosen(keep, drop))

    assert words == (
        "Both travel on “Baracoa”: they are two people, or one who is booked twice. If it is one, cancel or delete one "
        "of the two bookings there first."
    )
    assert page.status_code == 409
    assert (page.context["refused"], page.context["trips"]) == (
        words,
        [(trip, reverse("admin:trips_trip_passengers", args=[trip.pk]))],
    )

    twice.attendance = Attendance.CANCELLED
    twice.save()
    merged(keep, drop)

    assert {one.contact for one in trip.passengers.all()} == {keep}


def test_nobody_is_merged_into_themselves_or_twice() -> None:
    keep, drop = two()
    other = ContactFactory(first_name="Una", last_name="Vik")

    assert refused(keep, keep) == "“Greta Lind” cannot be merged into itself. Choose another contact."
    merged(keep, drop)
    assert refused(other, drop) == "“Gréta Lind” was merged into “Greta Lind” already. Choose that one instead."
    assert refused(drop, other) == "“Gréta Lind” was merged into “Greta Lind” already. Choose that one instead."


@pytest.mark.parametrize("lacking", ["change_contact", "change_passenger"])
def test_a_merge_takes_both_permissions(client: Any, lacking: str) -> None:
    keep, drop = two()
    client.force_login(staff(*(name for name in MAY if name != lacking)))

    page = client.get(url("duplicates"))
    assert [(line.url, line.apart_url) for line in page.context["lines"]] == [("", "")]
    for name in ("merge", "apart"):
        assert client.post(url(name, keep.pk, drop.pk), {"keep": keep.pk}).status_code == 403
    assert client.get(url("merge_choose", keep.pk)).status_code == 403
    assert "Merge with" not in client.get(url("change", keep.pk)).content.decode()
    assert Contact.objects.standing().count() == 2


def test_a_trip_that_the_duplicate_leads_takes_the_permission_on_trips(client: Any) -> None:
    keep, drop = two()
    trip = TripFactory(organiser=drop)
    PassengerFactory.create_batch(2, contact=keep)
    client.force_login(staff(*MAY))

    page = client.get(url("merge", keep.pk, drop.pk))
    assert page.context["lacks"] == ["change trip"]
    assert client.post(url("merge", keep.pk, drop.pk), chosen(keep, drop)).status_code == 403

    trip.organiser = None
    trip.save()
    assert client.post(url("merge", keep.pk, drop.pk), chosen(keep, drop)).status_code == 302


def test_birthdays_are_for_who_may_see_passengers(client: Any) -> None:
    for _number in range(2):
        PassengerFactory(legal_first_name="Ines", legal_last_name="Ek", date_of_birth=BORN)
    client.force_login(staff("view_contact", "change_contact"))

    assert client.get(url("duplicates")).context["lines"] == []


# The pages


def test_the_list_tells_pairs_and_their_number(admin_client: Any) -> None:
    first, second = two()

    page = admin_client.get(url("duplicates"))

    assert [(line.one, line.other, line.one.booked) for line in page.context["lines"]] == [
        (first, second, "0 bookings")
    ]
    assert "same e-mail" in page.content.decode()
    assert duplicates.last_count() == 1
    badge = "data-badge>1</span>"
    assert badge in admin_client.get("/").content.decode()
    merged(first, second)
    assert duplicates.last_count() == 0
    assert "data-badge" not in admin_client.get("/").content.decode()
    assert "No duplicates" in admin_client.get(url("duplicates")).content.decode()


@pytest.mark.parametrize("times", [1, 3])
def test_the_list_costs_the_same_for_one_row_and_three(
    admin_client: Any, times: int, django_assert_max_num_queries: Any
) -> None:
    for number in range(times):
        ContactFactory.create_batch(2, email=f"same{number}@example.com")
    admin_client.get(url("duplicates"))

    with django_assert_max_num_queries(14):
        page = admin_client.get(url("duplicates"))

    assert len(page.context["lines"]) == times


def test_both_stand_side_by_side_with_what_hangs_on_each(admin_client: Any) -> None:
    keep, drop = two()
    PassengerFactory(contact=drop, trip=TripFactory(name="Baracoa"))
    PassengerFactory.create_batch(2, contact=keep)

    page = admin_client.get(url("merge", drop.pk, keep.pk))

    assert (page.context["keep"].contact, page.context["drop"].contact) == (keep, drop)
    assert page.context["moves"] == "1 booking moves"
    assert "1 booking moves to “Greta Lind”." in page.content.decode()
    assert [one.name for one in page.context["cells"] if one.differs] == ["first_name", "phone"]
    assert "Baracoa, 1 Mar 2027" in page.content.decode()

    swapped = admin_client.get(url("merge", drop.pk, keep.pk) + page.context["swap_url"])
    assert (swapped.context["keep"].contact, swapped.context["drop"].contact) == (drop, keep)


@pytest.mark.parametrize("times", [1, 3])
def test_side_by_side_costs_the_same_for_one_booking_and_three(
    admin_client: Any, times: int, django_assert_num_queries: Any
) -> None:
    keep, drop = two()
    PassengerFactory.create_batch(times, contact=drop)
    TripFactory.create_batch(times, organiser=drop)
    admin_client.get(url("merge", keep.pk, drop.pk))

    with django_assert_num_queries(SIDE_BY_SIDE):
        admin_client.get(url("merge", keep.pk, drop.pk))


SIDE_BY_SIDE = 35


@pytest.mark.parametrize(("mails", "marks"), [
    (("greta@example.com", "greta@work.example.com"), ("greta@example.com", "greta@work.example.com")),
    (("greta@example.com", "greta@example.com"), ("no. {}", "no. {}")),
    (("greta@example.com", ""), ("no. {}", "no. {}")),
])  # fmt: skip
def test_two_of_one_name_are_told_apart(mails: tuple[str, str], marks: tuple[str, str]) -> None:
    one, other = [ContactFactory(first_name="Greta", last_name="Lind", email=mail) for mail in mails]

    names = merging.told_apart(one, other)

    assert names == (f"Greta Lind ({marks[0]})".format(one.pk), f"Greta Lind ({marks[1]})".format(other.pk))


def test_two_of_one_name_are_told_apart_on_their_page(admin_client: Any) -> None:
    keep, drop = [ContactFactory(first_name="Greta", last_name="Lind", email=f"{at}@example.com") for at in ("a", "b")]

    page = admin_client.get(url("merge", keep.pk, drop.pk))
    merged = admin_client.post(url("merge", keep.pk, drop.pk), chosen(keep, drop), follow=True)

    assert page.context["title"] == "Merge Greta Lind (b@example.com) into Greta Lind (a@example.com)"
    assert told(merged)[0].startswith("“Greta Lind (b@example.com)” is merged into <a")


def test_a_merge_from_the_list_opens_the_next_pair_and_offers_the_undo(admin_client: Any) -> None:
    keep, drop = two()
    left = ContactFactory.create_batch(2, email="other@example.com")
    data = chosen(keep, drop) | {"from": "list", "pick-first_name": "drop"}

    answer = admin_client.post(url("merge", keep.pk, drop.pk), data, follow=True)

    batch = Batch.objects.get()
    assert answer.redirect_chain == [(f"{url('merge', left[0].pk, left[1].pk)}?from=list", 302)]
    assert told(answer)[0].startswith("“Gréta Lind” is merged into <a")
    assert reverse("admin:trips_batch_undo", args=[batch.pk]) in told(answer)[0]
    keep.refresh_from_db()
    assert keep.first_name == "Gréta"

    admin_client.post(reverse("admin:trips_batch_undo", args=[batch.pk]))
    keep.refresh_from_db()
    drop.refresh_from_db()
    assert (keep.first_name, drop.merged_into) == ("Greta", None)


def test_what_was_changed_while_one_chose_is_shown_first(admin_client: Any) -> None:
    keep, drop = two(phone="")
    page = admin_client.get(f"{url('merge', keep.pk, drop.pk)}?from=list&keep={keep.pk}")
    data = {"keep": keep.pk, "from": "list", "shown": page.context["shown"], "pick-phone": "drop"}
    Contact.objects.filter(pk=keep.pk).update(phone="+12025550177")

    answer = admin_client.post(page.context["here"], data, follow=True)

    assert told(answer) == ["One of the two was changed since you looked. These are the values of now: choose again."]
    assert answer.redirect_chain == [(f"{url('merge', keep.pk, drop.pk)}?keep={keep.pk}&from=list", 302)]
    assert (Contact.objects.get(pk=keep.pk).phone, Batch.objects.count()) == ("+12025550177", 0)

    admin_client.post(page.context["here"], data | {"shown": answer.context["shown"], "pick-phone": "keep"})

    assert (Contact.objects.get(pk=drop.pk).merged_into, Contact.objects.get(pk=keep.pk).phone) == (
        keep,
        "+12025550177",
    )


def test_who_may_merge_may_undo_it(client: Any) -> None:
    keep, drop = two()
    PassengerFactory(contact=drop)
    client.force_login(staff(*MAY))
    client.post(url("merge", keep.pk, drop.pk), chosen(keep, drop))

    client.post(reverse("admin:trips_batch_undo", args=[Batch.objects.get().pk]))

    drop.refresh_from_db()
    assert drop.merged_into is None


def test_any_contact_is_merged_from_its_own_page(admin_client: Any) -> None:
    one, other = ContactFactory(), ContactFactory()

    assert "to-merge" in admin_client.get(url("change", one.pk)).content.decode()
    answer = admin_client.post(url("merge_choose", one.pk), {"other": other.pk})
    same = admin_client.post(url("merge_choose", one.pk), {"other": one.pk})

    assert answer.url == url("merge", one.pk, other.pk)
    assert same.context["form"].errors == {"other": [f"“{one}” is this contact itself. Choose another one."]}


# A merged contact is nowhere but on its own page


def test_a_merged_contact_is_in_no_list_search_or_choice(admin_client: Any) -> None:
    keep, drop = two()
    merged(keep, drop, first_name="keep")
    chooser = {"app_label": "trips", "model_name": "passenger", "field_name": "contact", "term": "gret"}

    rows = admin_client.get(url("changelist")).context["cl"].result_list
    found = admin_client.get("/find/", {"q": "lind"}).context["groups"]
    chosen = admin_client.get(reverse("admin:autocomplete"), chooser).json()["results"]
    sheet = admin_client.post(url("export"), {"column": ["first_name"], "format": "csv"}).content.decode("utf-8-sig")

    assert list(rows) == [keep]
    assert [row.label for group in found for row in group.rows] == ["Greta Lind"]
    assert [one["id"] for one in chosen] == [str(keep.pk)]
    assert sheet.split() == ["First", "name", "Greta"]


def test_a_form_that_was_open_cannot_book_a_merged_contact() -> None:
    keep, drop = two()
    merged(keep, drop)

    problems = Passenger(contact=drop, trip=TripFactory()).clean_fields

    with pytest.raises(Exception, match="contact"):
        problems(exclude=["uid"])


def test_its_page_tells_what_became_of_it(admin_client: Any, admin_user: Any) -> None:
    keep, drop = two()
    admin_client.post(url("merge", keep.pk, drop.pk), chosen(keep, drop))

    page = admin_client.get(url("change", drop.pk))
    survivor = admin_client.get(url("change", keep.pk))

    batch = Batch.objects.get()
    assert page.context["merged"]["into"] == keep
    assert page.context["merged"]["by"] == admin_user.username
    assert page.context["merged"]["undo_url"] == reverse("admin:trips_batch_undo", args=[batch.pk])
    assert "Merged into" in page.content.decode()
    assert 'name="first_name"' not in page.content.decode()
    assert survivor.context["stands_for"] == [drop]
    assert admin_client.post(url("change", drop.pk), {"first_name": "X"}).status_code == 403
    assert admin_client.get(url("delete", drop.pk)).status_code == 403


def test_a_file_that_names_the_duplicate_means_the_one_that_stands_for_it(admin_user: Any) -> None:
    keep, drop = two()
    merged(keep, drop)

    found = Contact.objects.of_key(drop.uid)

    assert (found, Contact.objects.of_key(keep.uid)) == (keep, keep)


@pytest.mark.parametrize(
    ("hanging", "words"),
    [
        ((0, 0, 0, 0), ""),
        ((2, 0, 0, 0), "2 bookings move"),
        ((0, 0, 1, 0), "1 trip that they lead moves"),
        ((1, 1, 0, 0), "1 booking and 1 traveller whom they answer for move"),
        ((2, 1, 3, 0), "2 bookings, 3 trips that they lead and 1 traveller whom they answer for move"),
        ((0, 0, 0, 1), "1 contact merged into it moves"),
    ],
)
def test_what_moves_is_one_sentence(hanging: tuple[int, int, int, int], words: str) -> None:
    assert _moving(merging.Hanging(*hanging)) == words
