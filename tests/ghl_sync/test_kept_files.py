"""A held delete that can be undone keeps the files of what went with it."""

from __future__ import annotations

import pytest

from ghl_sync.engine import kept
from ghl_sync.models import DeletedRecord, Kind, Link
from tests.factories import DocumentFactory, PassengerFactory

pytestmark = pytest.mark.django_db


def test_deleted_record_names_the_file_of_its_document():
    passenger = PassengerFactory()
    document = DocumentFactory(passenger=passenger, file="documents/0123456789abcdef")
    link, _made = Link.objects.get_or_create(kind=Kind.PASSENGER, object_id=passenger.pk)
    DeletedRecord.objects.create(link=link, rows=kept.gather(passenger))

    assert kept.names_file(document.file.name) is True
    assert kept.names_file("documents/another") is False
