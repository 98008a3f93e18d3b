"""Documents whose file stands in GoHighLevel only: the list, the page and trying again, never the link."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from ghl_sync.models import FileCopy
from tests import factories

pytestmark = pytest.mark.django_db
LINK = "https://services.leadconnectorhq.com/documents/download/secret-of-ada"


def listed(client: Any, answer: str) -> list[int]:
    page = client.get(f"/trips/document/?file={answer}")
    return sorted(row.pk for row in page.context["cl"].result_list)


def test_pages_say_how_a_copy_stands_and_never_the_link(admin_client: Any) -> None:
    coming, failed, lost = (factories.DocumentFactory(kind="mou", remote_url=LINK) for _each in range(3))
    here = factories.DocumentFactory(kind="mou", file="documents/somewhere", remote_url=LINK)
    again = timezone.now() + dt.timedelta(hours=1)
    FileCopy.objects.create(document_id=failed.pk, tries=1, next_try_at=again, failure="The server answered 503.")
    FileCopy.objects.create(document_id=lost.pk, tries=1, failure="It is not there any more.")

    told = {}
    for document in (coming, failed, lost):
        page = admin_client.get(reverse("admin:trips_document_change", args=[document.pk])).content.decode()
        assert "secret-of-ada" not in page
        told[document] = page

    assert "Its copy comes within five minutes." in told[coming]
    assert "The server answered 503. Tried again at" in told[failed]
    assert "It is not there any more. Download it in GoHighLevel" in told[lost]
    found = [listed(admin_client, answer) for answer in ("here", "coming", "lost")]
    assert found == [[here.pk], [coming.pk, failed.pk], [lost.pk]]


def test_copy_again_forgets_what_was_given_up(admin_client: Any) -> None:
    lost, ours = factories.DocumentFactory(remote_url=LINK), factories.DocumentFactory()
    FileCopy.objects.create(document_id=lost.pk, tries=6, failure="It was tried 6 times.")

    def press(*documents: Any) -> str:
        picked = [document.pk for document in documents]
        answer = admin_client.post("/trips/document/", {"action": "copy_again", "_selected_action": picked})
        return str(list(get_messages(answer.wsgi_request))[-1])

    assert press(ours) == "None of them stands in GoHighLevel only."
    assert press(ours, lost) == "1 file is fetched in a moment."
    assert FileCopy.objects.count() == 0


def test_a_document_with_a_copy_under_way_can_be_deleted(admin_client: Any) -> None:
    document = factories.DocumentFactory(remote_url=LINK)
    FileCopy.objects.create(document_id=document.pk, tries=1)
    url = reverse("admin:trips_document_delete", args=[document.pk])

    assert admin_client.post(url, {"post": "yes"}).status_code == 302
    assert not type(document).objects.exists()
