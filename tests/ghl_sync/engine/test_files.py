"""Files that records link to come into our own storage, once each; what does not come is told and tried again."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from ghl_sync import tasks
from ghl_sync.client import files as client_files
from ghl_sync.client.errors import Refused, TryLater
from ghl_sync.conf import config
from ghl_sync.engine import files, local, state
from ghl_sync.models import FileCopy
from tests import factories
from tests.trips.papers.conftest import pdf, private_folder  # noqa: F401 - the folder is empty before and after
from trips.models import Document

pytestmark = pytest.mark.django_db
LINK = "https://services.leadconnectorhq.com/documents/download/secret-of-ada"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the far side gives for each call, in order; an exception is raised."""
    answers: list[Any] = []

    def fetch(url: str, _rules: client_files.Rules) -> bytes:
        assert url == LINK
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(client_files, "fetch", fetch)
    yield answers
    assert answers == []


def linked(**values: Any) -> Document:
    return factories.DocumentFactory(**{"kind": "mou", "remote_url": LINK, **values})


def copied() -> bool:
    return files.copy_due(config(), seconds=5)


def test_a_linked_file_is_copied_once_and_keeps_its_name(served: list[Any], caplog: Any, private_folder: Path) -> None:  # noqa: F811
    caplog.set_level(logging.DEBUG)
    document = linked(original_name="MOU of Ada.pdf", content_type="text/html", size=1)
    nameless = linked(kind="signature")
    content, other = pdf("MOU"), pdf("Other")
    served += [content, other]

    assert copied()
    assert copied()  # nothing is left to fetch

    document.refresh_from_db()
    nameless.refresh_from_db()
    with document.file.open("rb") as file:
        assert file.read() == content
    told = (document.original_name, document.content_type, document.size, document.state, len(document.sha256))
    assert told == ("MOU of Ada.pdf", "application/pdf", len(content), "received", 64)
    assert nameless.original_name == "signature.pdf"
    assert document.history.first().history_change_reason == "Copied from GoHighLevel"
    assert FileCopy.objects.count() == 0
    assert "secret-of-ada" not in caplog.text
    assert "Ada" not in caplog.text


def test_what_does_not_come_is_tried_again_later_and_at_last_given_up(served: list[Any]) -> None:
    document = linked()
    for number, wait in enumerate((*files.WAITS, None), 1):
        served.append(TryLater("The server answered 503."))
        copied()
        row = FileCopy.objects.get()
        assert (row.document_id, row.tries) == (document.pk, number)
        if wait is not None:
            assert row.next_try_at is not None
            left = (row.next_try_at - timezone.now()).total_seconds()
            assert wait - 30 < left <= wait
            copied()  # not its time yet: nothing is asked
            FileCopy.objects.update(next_try_at=timezone.now() - dt.timedelta(seconds=1))

    assert (row.next_try_at, row.failure) == (None, "The server answered 503. It was tried 6 times.")
    copied()
    assert state.try_files_again([document.pk]) == 1
    served.append(pdf())
    copied()
    document.refresh_from_db()
    assert document.file


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Refused("It is not there any more."), "It is not there any more."),
        (b"MZ\x90\x00" + b"\x00" * 60, "“The file” is no PDF, JPEG, PNG, WebP or HEIC."),
        (b"", "“The file” is empty (0 bytes)."),
    ],
)
def test_a_refused_file_is_not_asked_for_again(answer: Any, failure: str, served: list[Any]) -> None:
    document = linked()
    served.append(answer)

    copied()
    copied()

    row = FileCopy.objects.get()
    document.refresh_from_db()
    assert (row.next_try_at, row.failure.startswith(failure), bool(document.file)) == (None, True, False)


def test_nobody_fetches_what_another_one_is_at(served: list[Any]) -> None:
    document = linked()
    assert state.claim_file(document.pk, 60)

    copied()

    assert not state.claim_file(document.pk, 60)


def test_a_document_that_got_a_file_or_went_meanwhile_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
    private_folder: Path,  # noqa: F811
) -> None:
    document, going = linked(), linked()

    def fetch(_url: str, _rules: client_files.Rules) -> bytes:
        row = Document.objects.filter(file="").order_by("pk")[0]
        if row.pk == going.pk:
            row.delete()
        else:
            row.file.save("theirs", ContentFile(b"%PDF-1.4 theirs"))
        return pdf("late")

    monkeypatch.setattr(client_files, "fetch", fetch)
    copied()

    document.refresh_from_db()
    with document.file.open("rb") as file:
        assert file.read() == b"%PDF-1.4 theirs"
    assert len([path for path in private_folder.rglob("*") if path.is_file()]) == 1
    assert FileCopy.objects.count() == 0


def test_switched_off_or_not_connected_nothing_is_fetched(settings: Any, connected: Any, served: list[Any]) -> None:
    document = linked()
    settings.GHL_COPY_FILES = False
    tasks.copy_files()
    settings.GHL_COPY_FILES, settings.GHL_API_TOKEN = True, ""
    tasks.copy_files()
    settings.GHL_API_TOKEN = connected.token
    served.append(pdf())

    tasks.copy_files()

    document.refresh_from_db()
    assert document.file


def test_a_copy_outlives_its_record_s_link_and_is_not_fetched_twice(session: Any, served: list[Any]) -> None:
    passenger = factories.PassengerFactory()
    here = local.Local("passenger", passenger)
    file = {"url": LINK, "name": "MOU.pdf", "mimetype": "application/pdf", "size": 9}
    local.store_documents(here, {"opportunity.mou": [file]})
    served.append(pdf())
    copied()

    local.store_documents(here, {"opportunity.mou": [file]})  # the next pull
    local.store_documents(here, {"opportunity.mou": None})  # the record was deleted or its file taken out
    copied()

    document = Document.objects.get()
    assert (bool(document.file), document.original_name, document.passenger) == (True, "MOU.pdf", passenger)
