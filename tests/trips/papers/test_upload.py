"""Uploads: what is kept and refused, who opens a file and what is told of it, and when a file goes."""

from __future__ import annotations

import hashlib
import logging

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.pages import Read, read_log
from tests.trips.papers.conftest import PNG, body_of, pdf
from trips.models import DiscardedFile, Document
from trips.models.document import file_wanted
from trips.services import documents

pytestmark = pytest.mark.django_db


def page_of(owner):
    return reverse(f"admin:trips_{owner._meta.model_name}_filing", args=[owner.pk])


def said(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


def stored(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def kept(sheet):
    """A document of `passenger` with a file."""

    def make(passenger=None, name="mou.pdf", kind="", content=None):
        done = documents.upload(
            owner=passenger or factories.PassengerFactory(), files=[sheet(name, content)], kind=kind, by=None
        )
        return done.kept[0]

    return make


def test_several_files_are_kept_and_the_bad_ones_refused_by_name(admin_client, sheet, settings):
    settings.UPLOAD_MAX_MB = 1
    passenger = factories.PassengerFactory()
    mou = pdf("MOU")  # a second one would have another number and time in it
    files = [
        sheet("my passport.png", PNG),
        sheet("holiday.pdf", b"MZ\x90\x00" + b"\x00" * 60),
        sheet("nothing.pdf", b""),
        sheet("huge.pdf", b"%PDF-1.4" + b"0" * (1024 * 1024)),
        sheet("MOU signed.pdf", mou),
        sheet("the same.pdf", mou),
    ]

    answer = admin_client.post(page_of(passenger), {"files": files, "kind": ""})

    assert said(answer) == [
        "2 files kept, to be reviewed: Passport scan, Memorandum of understanding.",
        "“holiday.pdf” is no PDF, JPEG, PNG, WebP or HEIC. It is application/x-msdownload, whatever its name says. "
        "Save it as one of them.",
        "“nothing.pdf” is empty (0 bytes). Choose the file again.",
        "“huge.pdf” is larger than 1 MB. Scan it with a lower resolution or split it.",
        "“the same.pdf” is here already, as Memorandum of understanding “MOU signed.pdf”.",
    ]
    rows = Document.objects.order_by("pk").values_list(
        "kind", "state", "content_type", "size", "original_name", "sha256"
    )
    assert list(rows) == [
        (
            "passport_scan",
            "received",
            "image/png",
            *_measured(Document.objects.get(kind="passport_scan"), "my passport.png"),
        ),
        ("mou", "received", "application/pdf", *_measured(Document.objects.get(kind="mou"), "MOU signed.pdf")),
    ]


def content_of(document):
    with document.file.open("rb") as file:
        return file.read()


def _measured(document, name):
    content = content_of(document)
    return len(content), name, hashlib.sha256(content).hexdigest()


def test_every_type_we_promise_is_known_by_its_bytes(sheet):
    heads = {
        "image/jpeg": b"\xff\xd8\xff\xe0" + b"0" * 20,
        "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 " + b"0" * 20,
        "image/heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"0" * 20,
        "image/png": PNG,
        "application/pdf": pdf(),
    }

    found = {documents.measure("x", sheet("x.bin", content)).content_type for content in heads.values()}

    assert found == set(heads)


def test_file_lies_under_a_random_key_outside_what_is_served(client, kept, private_folder, settings):
    document = kept(name="Greta Lindqvist passport.pdf")

    assert document.file.name.startswith("documents/")
    assert stored(private_folder) == [document.file.name.removeprefix("documents/")]
    assert len(stored(private_folder)[0]) == 32
    for served in (settings.STATIC_ROOT, *settings.STATICFILES_DIRS):
        assert not private_folder.resolve().is_relative_to(served)
    for prefix in ("", "media/", "private/", "static/"):
        assert client.get(f"/{prefix}{document.file.name}").status_code in {302, 404}
    with pytest.raises(ValueError, match="has no address"):
        _ = document.file.url


def test_download_is_guarded_and_stands_in_the_read_log(client, kept):
    document = kept(name="Greta Lindqvist.pdf")
    user = factories.StaffFactory(permissions=["trips.view_document"])
    client.force_login(user)

    answer = client.get(reverse("admin:trips_document_file", args=[document.pk]))

    assert body_of(answer) == content_of(document)
    names = (
        "Content-Type",
        "Content-Disposition",
        "Cache-Control",
        "X-Content-Type-Options",
        "Content-Security-Policy",
    )
    assert [answer[name] for name in names] == [
        "application/pdf",
        'attachment; filename="Greta Lindqvist.pdf"',
        "private, no-store, max-age=0, no-cache, must-revalidate",
        "nosniff",
        "sandbox; default-src 'none'; img-src 'self'; style-src 'unsafe-inline'",
    ]
    what = f"{document.get_kind_display()}, document {document.pk}"
    people = [document.passenger_id] if document.passenger_id else []
    assert read_log() == [Read(user, "file", what, people=people)]


def test_name_on_the_way_out_ends_as_the_type_does(kept):
    assert documents.download_name(kept(name="scan.exe", content=PNG)) == "scan.png"


@pytest.mark.parametrize("view", ["file", "preview"])
def test_passport_scan_takes_the_permission_on_passports(client, kept, caplog, view):
    document = kept(name="passport.pdf")
    url = reverse(f"admin:trips_document_{view}", args=[document.pk, *([1] if view == "preview" else [])])
    clerk = factories.StaffFactory(permissions=["trips.view_document"])
    client.force_login(clerk)

    with caplog.at_level(logging.INFO, logger="trips.documents"):
        refused = client.get(url)

    assert refused.status_code == 403
    assert f"user {clerk.pk} was refused document {document.pk}" in caplog.messages
    client.force_login(factories.StaffFactory(permissions=["trips.view_document", "trips.view_passport"]))
    assert body_of(client.get(url))


def test_who_may_not_see_documents_gets_no_file_and_no_page(client, kept):
    document = kept()
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger"]))

    urls = [page_of(document.passenger), reverse("admin:trips_document_file", args=[document.pk])]

    assert [client.get(url).status_code for url in urls] == [403, 403]


def test_adding_takes_its_permission(client, sheet):
    passenger = factories.PassengerFactory()
    client.force_login(factories.StaffFactory(permissions=["trips.view_passenger", "trips.view_document"]))

    page = client.get(page_of(passenger))
    answer = client.post(page_of(passenger), {"files": [sheet("a.pdf")]})

    assert (page.status_code, b"data-drop" in page.content, answer.status_code) == (200, False, 403)
    assert not Document.objects.exists()


def test_pdf_is_shown_as_pictures_page_by_page(admin_client, kept):
    document = kept(content=pdf(pages=2))
    page = admin_client.get(reverse("admin:trips_document_change", args=[document.pk]))

    pictures = [admin_client.get(url) for url in page.context["pictures"]]

    assert [(one["Content-Type"], body_of(one)[:3]) for one in pictures] == [("image/jpeg", b"\xff\xd8\xff")] * 2
    assert admin_client.get(reverse("admin:trips_document_preview", args=[document.pk, 3])).status_code == 404


def test_damaged_pdf_says_so_instead_of_breaking_the_page(admin_client, kept):
    document = kept(content=b"%PDF-1.4 and nothing else")

    page = admin_client.get(reverse("admin:trips_document_change", args=[document.pk]))

    assert (page.context["pictures"], page.context["told"]) == (
        [],
        "This PDF is damaged or has a password. Download it, or ask for another one.",
    )


def test_file_goes_with_its_row_after_the_commit(kept, private_folder, django_capture_on_commit_callbacks):
    document = kept()

    with django_capture_on_commit_callbacks() as hooks:
        document.delete()
    before = stored(private_folder)
    for hook in hooks:
        hook()

    assert (len(before), stored(private_folder), DiscardedFile.objects.count()) == (1, [], 0)


def test_file_stays_while_somebody_may_bring_its_row_back(kept, private_folder, django_capture_on_commit_callbacks):
    document = kept()
    name = document.file.name

    def wants(name, **_signal):
        return True

    file_wanted.connect(wants)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            document.delete()
        assert len(stored(private_folder)) == 1
    finally:
        file_wanted.disconnect(wants)
    assert DiscardedFile.objects.get().name == name
    assert (documents.remove_discarded(), stored(private_folder)) == (1, [])


def test_file_of_a_row_that_is_back_is_not_removed(kept, private_folder):
    document = kept()
    DiscardedFile.objects.create(name=document.file.name)

    assert (documents.remove_discarded(), len(stored(private_folder)), DiscardedFile.objects.count()) == (0, 1, 0)


def test_required_set_shows_the_best_of_each_kind_and_waives_with_a_reason(admin_client, kept):
    passenger = factories.PassengerFactory()
    kept(passenger, "mou.pdf")
    factories.DocumentFactory(passenger=passenger, kind="affidavit", state="rejected", rejection_reason="Not signed")

    without = admin_client.post(page_of(passenger), {"waive": "signature", "reason": "  "})
    waived = admin_client.post(page_of(passenger), {"waive": "signature", "reason": "Signed on paper"})

    assert said(without)[-1] == "Say why it is not needed; whoever asks at departure has to know."
    assert said(waived)[-1] == "Signature: waived."
    assert [(one.kind.value, one.state.value, one.reason) for one in documents.required_of(passenger)] == [
        ("passport_scan", "missing", ""),
        ("reservation", "missing", ""),
        ("mou", "received", ""),
        ("affidavit", "rejected", "Not signed"),
        ("signature", "waived", "Signed on paper"),
    ]
    page = admin_client.get(reverse("admin:trips_passenger_change", args=[passenger.pk])).content.decode()
    assert "<strong>2/5</strong> handed in" in page


@pytest.mark.parametrize("count", [1, 3])
def test_documents_page_asks_the_same_number_of_queries(admin_client, kept, django_assert_num_queries, count):
    passenger = factories.PassengerFactory()
    for number in range(count):
        kept(passenger, f"{number}.pdf", content=pdf(str(number)))
    admin_client.get(page_of(passenger))

    with django_assert_num_queries(9):
        page = admin_client.get(page_of(passenger))

    assert len(page.context["rows"]) == count


def test_trip_has_its_own_documents_without_a_required_set(admin_client, sheet):
    trip = factories.TripFactory()

    admin_client.post(page_of(trip), {"files": [sheet("reservation.pdf")], "kind": "other"})

    assert [(one.kind, one.trip, one.passenger) for one in Document.objects.all()] == [("other", trip, None)]
    assert admin_client.get(page_of(trip)).context["required"] == []


def test_history_names_who_added_a_file(admin_client, admin_user, sheet):
    passenger = factories.PassengerFactory()

    admin_client.post(page_of(passenger), {"files": [sheet("mou.pdf")]})

    first = Document.objects.get().history.get()
    assert (first.history_user, first.history_date.date()) == (admin_user, timezone.now().date())
