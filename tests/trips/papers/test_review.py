"""The review desk: what it shows to whom, what a decision does, and how many keys it takes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests import factories
from tests.hands import Hands
from tests.trips.papers.conftest import pdf
from tests.trips.test_browser import page  # noqa: F401 - the fixture
from trips.models import Document
from trips.services import documents

URL = "/trips/document/review/"


def handed_in(kind, number=0, passenger=None):
    passenger = passenger or factories.PassengerFactory()
    file = SimpleUploadedFile(f"{kind}.pdf", pdf(f"{kind} {number}"))
    return documents.upload(owner=passenger, files=[file], kind=kind, by=None).kept[0]


def states():
    return list(Document.objects.order_by("pk").values_list("state", "rejection_reason"))


@pytest.mark.django_db
def test_decisions_are_kept_with_who_and_the_next_one_opens(admin_client, admin_user):
    first, second = handed_in("mou"), handed_in("affidavit")

    opened = admin_client.post(URL, {"document": first.pk, "verb": "approve"}, follow=True)
    admin_client.post(URL, {"document": second.pk, "verb": "reject", "reason": "Not signed"})

    assert (opened.context["document"], opened.context["count"]) == (second, 1)
    assert states() == [("approved", ""), ("rejected", "Not signed")]
    assert [one.history.first().history_user for one in (first, second)] == [admin_user, admin_user]


@pytest.mark.django_db
def test_rejection_without_a_reason_changes_nothing_and_shows_the_same_one(admin_client):
    document = handed_in("mou")

    again = admin_client.post(URL, {"document": document.pk, "verb": "reject", "reason": ""}, follow=True)

    assert [str(one) for one in again.context["messages"]] == ["Say why it is rejected; the traveller has to mend it."]
    assert (again.context["document"], states()) == (document, [("received", "")])


@pytest.mark.django_db
def test_second_decision_does_not_overrule_the_first(admin_client):
    document = handed_in("mou")
    documents.reject(document=document, reason="Blurred", by=None)

    answer = admin_client.post(URL, {"document": document.pk, "verb": "approve"})

    assert [str(one) for one in get_messages(answer.wsgi_request)] == [
        f"Somebody was quicker. Memorandum of understanding no. {document.pk} is rejected already."
    ]
    assert states() == [("rejected", "Blurred")]


@pytest.mark.django_db
@pytest.mark.parametrize(("verbs", "number"), [(("view",), "••4321"), (("view", "change"), "X5554321")])
def test_passport_number_is_masked_for_who_may_not_change_it(client, verbs, number):
    passport = factories.PassportFactory(number="X5554321", expires_on=dt.date(2031, 1, 1))
    handed_in("passport_scan", passenger=passport.passenger)
    base = ["trips.view_document", "trips.change_document", "trips.view_passenger"]
    client.force_login(factories.StaffFactory(permissions=[*base, *(f"trips.{verb}_passport" for verb in verbs)]))

    facts = dict(client.get(URL).context["facts"])

    assert (facts["Passport number"], facts["Expires"], facts["Rule"]) == (
        number,
        "1 Jan 2031",
        "Valid, needs 8 Sep 2027",
    )


@pytest.mark.django_db
def test_passport_scans_are_not_in_the_queue_of_who_may_not_see_passports(client):
    scan, mou = handed_in("passport_scan"), handed_in("mou")
    client.force_login(factories.StaffFactory(permissions=["trips.view_document", "trips.change_document"]))

    page = client.get(URL)  # noqa: F811

    assert (page.context["document"], page.context["count"], page.context["facts"]) == (mou, 1, [])
    assert client.post(URL, {"document": scan.pk, "verb": "approve"}).status_code == 403


@pytest.mark.django_db
def test_desk_is_closed_to_who_may_not_change_documents(client):
    client.force_login(factories.StaffFactory(permissions=["trips.view_document"]))

    assert client.get(URL).status_code == 403
    assert reverse("admin:trips_document_review") == URL


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_approving_documents_takes_a_key_each(page: Page, capsys: Any) -> None:  # noqa: F811
    passenger = factories.PassengerFactory(legal_first_name="Greta", legal_last_name="Lindqvist")
    for number, kind in enumerate(("passport_scan", "mou", "affidavit")):
        handed_in(kind, number, passenger)
    page.goto("/")
    hands = Hands(page)

    hands.click(page.get_by_role("link", name="Documents to review"))
    hands.click(page.get_by_role("link", name="Review", exact=True))
    expect(page.get_by_role("heading", name="Passport scan")).to_be_visible()
    hands.press("y")
    expect(page.get_by_role("heading", name="Memorandum of understanding")).to_be_visible()
    hands.press("n")
    hands.type("Blurred")
    hands.press("Enter")
    expect(page.get_by_role("heading", name="Affidavit")).to_be_visible()
    hands.press("ArrowRight")

    expect(page.get_by_text("1 you skipped is left.")).to_be_visible()
    assert states() == [("approved", ""), ("rejected", "Blurred"), ("received", "")]
    with capsys.disabled():
        print("\n" + hands.report("Approve documents (workflow 5)"))  # noqa: T201 - the count is what was asked for
    assert (hands.clicks, hands.keys) == (2, 11)
