"""Papers made here: when one is final, what is kept of it, its versions, and who opens it."""

from __future__ import annotations

import datetime as dt
import hashlib

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from tests import factories
from tests.trips.papers.conftest import body_of
from tests.trips.papers.test_wording import text_of
from trips.models import DiscardedFile, Document, ItineraryItem, PaperTemplate, Passenger
from trips.papers.fields import passengers_for_papers
from trips.services import documents, papers

pytestmark = pytest.mark.django_db


def everything(_model):
    return True


@pytest.fixture
def traveller():
    passport = factories.PassportFactory(
        number="X7770001", passenger__birth_country="Canada", passenger__licence="§ 515.574 Support"
    )
    return passport.passenger


def prepared(passenger, kind="affidavit", may=everything):
    template = PaperTemplate.objects.get(kind=kind)
    return papers.prepare(template=template, passenger=passengers_for_papers([passenger.pk]).get(), may=may)


def made(passenger, by=None, kind="affidavit"):
    return papers.finalise(prepared=prepared(passenger, kind), by=by)


def content_of(document):
    with document.file.open("rb") as file:
        return file.read()


def test_final_paper_is_a_document_with_version_wording_hash_and_who(traveller, admin_user):
    document = made(traveller, admin_user)

    content = content_of(document)
    document = Document.objects.get()
    assert "X7770001" in text_of(content)
    assert "Affidavit, version 1, wording no. 1. This wording was not checked by a lawyer." in text_of(content)
    assert (document.sha256, document.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (document.paper_version, document.template_version, document.made_by) == (1, 1, admin_user)
    assert (document.state, document.shows) == ("received", "trips.passport")
    assert document.history.get().history_user == admin_user
    assert not DiscardedFile.objects.exists()


def test_a_paper_prints_escort_and_the_programme_of_each_day_in_its_order(traveller):
    trip = traveller.trip
    trip.escort = "Kim Almqvist"
    trip.save()
    for day, start, end, title, place in (
        (2, "10:00", None, "Visit of a school", ""),
        (1, "09:00", "12:30", "Walk with a historian", "Old Town"),
        (1, None, None, "Arrival", ""),
    ):
        ItineraryItem.objects.create(
            trip=trip,
            day=dt.date(2027, 3, day),
            starts_at=start and dt.time.fromisoformat(start),
            ends_at=end and dt.time.fromisoformat(end),
            title=title,
            place=place,
        )
    PaperTemplate.objects.filter(kind="affidavit").update(body="Led by {{escort}}\n\n{{programme}}")

    document = made(traveller)

    lines = [line.strip() for line in text_of(content_of(document)).splitlines()]
    assert lines[1:5] == [
        "Led by Kim Almqvist",
        "1 Mar 2027: Arrival",
        "1 Mar 2027, 09:00–12:30: Walk with a historian, Old Town",
        "2 Mar 2027, 10:00: Visit of a school",
    ]
    assert document.shows == "trips.itineraryitem"


def test_a_programme_without_an_entry_is_missing(traveller):
    PaperTemplate.objects.filter(kind="affidavit").update(body="{{programme}}")

    assert prepared(traveller).blocked == "MISSING: programme."


def test_new_version_keeps_the_old_one_and_takes_no_number_twice(traveller):
    first, second = made(traveller), made(traveller)
    second.delete()

    third = made(traveller)

    assert (first.paper_version, second.paper_version, third.paper_version) == (1, 2, 3)
    assert text_of(content_of(first))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"date_of_birth": None, "licence": "None"}, "MISSING: date of birth, travel licence."),
        ({"attendance": "cancelled"}, "The booking is cancelled."),
        ({"birth_country": "中国"}, "Letters that the font does not have: 中 国."),
    ],
)
def test_what_keeps_a_paper_from_being_final_is_told_and_nothing_is_made(traveller, change, told):
    Passenger.objects.filter(pk=traveller.pk).update(**change)

    one = prepared(traveller)

    assert one.blocked == told
    with pytest.raises(papers.NotFinal, match=told.rstrip(".")):
        papers.finalise(prepared=one, by=None)
    assert not Document.objects.exists()


def test_account_that_may_not_see_passports_makes_no_paper_that_shows_one(traveller):
    one = prepared(traveller, may=lambda model: model != "trips.passport")

    assert one.blocked == "It shows data that your account may not see: passports."
    assert "X7770001" not in str(one.paper)


def test_draft_prints_what_is_missing(traveller):
    Passenger.objects.filter(pk=traveller.pk).update(birth_country="")
    row = passengers_for_papers([traveller.pk]).get()

    _paper, content = papers.draft(template=PaperTemplate.objects.get(kind="affidavit"), passenger=row, may=everything)

    assert "MISSING: country of birth" in text_of(content)
    assert "DRAFT" in text_of(content)


def test_killed_between_file_and_row_leaves_a_file_that_is_cleared_up(traveller, private_folder, monkeypatch):
    def killed(_document):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        papers.finalise(prepared=prepared(traveller), by=None, then=killed)
    left = [path for path in private_folder.rglob("*") if path.is_file()]

    removed = documents.remove_discarded()

    assert (len(left), removed) == (1, 1)
    assert not [path for path in private_folder.rglob("*") if path.is_file()]
    assert not Document.objects.exists()


def test_sheet_to_be_signed_is_not_handed_in_until_the_signed_copy_is(traveller, sheet):
    made(traveller)
    held = lambda: Passenger.objects.with_documents().get(pk=traveller.pk).documents_held  # noqa: E731
    before, told = held(), {one.kind: one for one in documents.required_of(traveller)}["affidavit"]
    documents.upload(owner=traveller, files=[sheet("signed.pdf", text="Signed")], kind="affidavit", by=None)

    assert (before, told.state, told.reason) == (0, "missing", "Version 1 was made here and waits for the signature.")
    assert (held(), {one.kind: one for one in documents.required_of(traveller)}["affidavit"].reason) == (1, "")


# The page


def page_of(passenger):
    return reverse("admin:trips_passenger_filing", args=[passenger.pk])


def test_page_makes_what_can_be_final_and_says_what_keeps_the_rest(admin_client, traveller):
    seen = admin_client.get(page_of(traveller))
    urls = {line.label: line.make_url for line in seen.context["papers"]}
    answer = admin_client.post(urls["Affidavit"])
    refused = admin_client.post(urls["Reservation"])

    blocked = {line.label: line.blocked for line in seen.context["papers"]}
    assert blocked["Affidavit"] == ""
    assert blocked["Reservation"].startswith("MISSING: lodging, ")
    assert [str(one) for one in get_messages(answer.wsgi_request)] == ["Affidavit: version 1 is made, to be reviewed."]
    assert str(list(get_messages(refused.wsgi_request))[-1]).startswith("Reservation: MISSING: lodging")
    assert Document.objects.count() == 1


def test_paper_with_a_passport_is_opened_and_reviewed_only_by_who_may_see_passports(client, traveller):
    document = made(traveller)
    rights = ["trips.view_document", "trips.change_document", "trips.view_passenger"]
    client.force_login(factories.StaffFactory(permissions=rights))
    file = reverse("admin:trips_document_file", args=[document.pk])
    review = reverse("admin:trips_document_review")

    assert client.get(file).status_code == 403
    assert client.get(review).context["document"] is None
    client.force_login(factories.StaffFactory(permissions=[*rights, "trips.view_passport"]))
    assert body_of(client.get(file))[:5] == b"%PDF-"
    assert client.get(review).context["document"] == document


def test_making_takes_the_permission_to_add_documents(client, traveller):
    client.force_login(
        factories.StaffFactory(permissions=["trips.view_document", "trips.view_passenger", "trips.view_passport"])
    )
    make, draft = (
        reverse(f"admin:trips_passenger_{verb}_paper", args=[traveller.pk, "affidavit"]) for verb in ("make", "draft")
    )

    assert client.post(make).status_code == 403
    assert client.get(draft)["Content-Type"] == "application/pdf"
    assert not Document.objects.exists()
