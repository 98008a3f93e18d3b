"""Stored files: unreadable where they lie, whole or not at all on the way out, and never held twice."""

from __future__ import annotations

import base64
import io
import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from django.core.files.base import ContentFile, File
from django.urls import reverse

from tests import factories
from tests.trips.papers.conftest import PNG, pdf
from trips import sealing
from trips.encryption import Undecryptable, current_key_id
from trips.models import Document, PaperRun, PaperRunRow
from trips.services import documents
from trips.storage import private_storage

OLD, NEW = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))
PIECE = sealing.PIECE


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def keep(content: bytes, name: str = "documents/a") -> Path:
    """Where a private file lies after it was saved."""
    stored = private_storage().save(name, ContentFile(content))
    return Path(private_storage().path(stored))


def read(name: str = "documents/a") -> bytes:
    with private_storage().open(name) as file:
        return bytes(file.read())


def upload(content: bytes, name: str = "mou.pdf", kind: str = "") -> Document:
    file = ContentFile(content, name=name)
    done = documents.upload(owner=factories.PassengerFactory(), files=[file], kind=kind, by=None)
    return done.kept[0]


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7])
def test_any_size_comes_back_and_lies_there_unreadable(size):
    content = noise(size)

    path = keep(content)

    lies = path.read_bytes()
    assert (read(), private_storage().size("documents/a")) == (content, size)
    assert lies.startswith(sealing.MARK + current_key_id().encode())
    assert not any(content[at : at + 16] in lies for at in range(0, max(size - 16, 0), PIECE // 2))
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_same_file_lies_there_differently_each_time():
    assert keep(PNG).read_bytes() != keep(PNG, "documents/b").read_bytes()


def test_a_file_is_read_from_any_place():
    content = noise(2 * PIECE + 100)
    keep(content)

    with private_storage().open("documents/a") as file:
        for start, length in ((PIECE - 3, 6), (0, 5), (2 * PIECE + 90, 50), (PIECE, PIECE)):
            file.seek(start)
            assert file.read(length) == content[start : start + length]
        assert file.size == len(content)


def test_a_file_from_before_the_encryption_is_read_as_it_is():
    path = Path(private_storage().path("documents/a"))
    path.parent.mkdir(parents=True)
    path.write_bytes(pdf())

    assert read() == path.read_bytes()
    assert private_storage().key_id_of("documents/a") == ""


def damage(path: Path, how: str) -> None:
    lies = path.read_bytes()
    step, head = PIECE + 16, sealing.HEAD
    pieces = [lies[at : at + step] for at in range(head, len(lies), step)]
    changed = {
        "a flipped bit": [*pieces[:1], pieces[1][:-1] + bytes([pieces[1][-1] ^ 1]), *pieces[2:]],
        "two pieces swapped": [pieces[1], pieces[0], *pieces[2:]],
        "its end cut off": pieces[:2],
        "a piece more": [*pieces, pieces[-1]],
        "nothing but its head": [],
        "half a tag": [pieces[0], b"1234567"],
    }[how]
    path.write_bytes(lies[:head] + b"".join(changed))


@pytest.mark.parametrize(
    "how",
    ["a flipped bit", "two pieces swapped", "its end cut off", "a piece more", "nothing but its head", "half a tag"],
)
def test_a_damaged_file_is_refused(how):
    damage(keep(noise(2 * PIECE + 100)), how)

    with pytest.raises(Undecryptable) as caught:
        read()

    assert str(caught.value) == (
        "The file documents/a does not open with its key; it was damaged or put in another one’s place. "
        "Restore it from the backup."
    )


def test_a_file_in_another_one_s_place_is_refused():
    first, second = keep(PNG), keep(pdf(), "documents/b")
    first.write_bytes(second.read_bytes())

    with pytest.raises(Undecryptable, match="put in another one’s place"):
        read()


def test_a_file_of_a_missing_key_is_named_and_opens_once_the_key_is_back(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    keep(PNG)
    old_id, settings.FIELD_ENCRYPTION_KEYS = current_key_id(), [NEW]

    with pytest.raises(Undecryptable) as caught:
        read()

    assert str(caught.value) == (
        f"The file documents/a was encrypted with the key '{old_id}', which is not in FIELD_ENCRYPTION_KEYS. "
        "Add that key to the list; nothing was changed."
    )
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert read() == PNG


def test_sealing_anew_takes_over_old_keys_and_plain_files(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    content = noise(PIECE + 1)
    path = keep(content)
    plain = path.with_name("plain")
    plain.write_bytes(content)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]

    for name in ("documents/a", "documents/plain"):
        private_storage().reseal(name)

    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert (read(), read("documents/plain")) == (content, content)
    assert sorted(one.name for one in path.parent.iterdir()) == ["a", "plain"]
    assert plain.stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_stays_as_it_was_when_it_is_to_be_sealed_anew():
    path = keep(noise(2 * PIECE + 100))
    damage(path, "a flipped bit")
    before = path.read_bytes()

    with pytest.raises(Undecryptable):
        private_storage().reseal("documents/a")

    assert [one.read_bytes() for one in path.parent.iterdir()] == [before]


def test_a_large_scan_is_never_held_as_a_whole():
    class Endless(File):
        """15 MB that nobody holds."""

        def chunks(self, chunk_size=None):
            return (bytes(PIECE) for _ in range(240))

    tracemalloc.start()
    try:
        private_storage().save("documents/a", Endless(None, "scan"))
        with private_storage().open("documents/a") as file:
            size = sum(len(chunk) for chunk in file.chunks())
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size == 240 * PIECE
    assert most < 3 * 1024 * 1024


@pytest.mark.django_db
def test_download_and_preview_hand_out_the_plain_file(admin_client):
    scan, paper = upload(PNG, "a.png"), upload(pdf())

    answers = [
        admin_client.get(reverse("admin:trips_document_file", args=[paper.pk])),
        admin_client.get(reverse("admin:trips_document_preview", args=[scan.pk, 0])),
        admin_client.get(reverse("admin:trips_document_preview", args=[paper.pk, 1])),
    ]

    first, second, third = (b"".join(answer.streaming_content) for answer in answers)
    assert (first[:5], int(answers[0]["Content-Length"])) == (b"%PDF-", len(first))
    assert (second[:4], third[:3]) == (b"\x89PNG", b"\xff\xd8\xff")


@pytest.mark.django_db
@pytest.mark.parametrize("trouble", ["damaged", "another file", "unknown key", "gone"])
def test_a_file_that_cannot_be_handed_out_is_one_sentence_and_no_byte_of_it(admin_client, settings, caplog, trouble):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    document = upload(pdf())
    path, name, old_id = Path(document.file.path), document.file.name, current_key_id()
    if trouble == "damaged":
        path.write_bytes(path.read_bytes()[:-1])
    elif trouble == "another file":
        path.write_bytes(b"%PDF-1.4 something else")
    elif trouble == "gone":
        path.unlink()
    else:
        settings.FIELD_ENCRYPTION_KEYS = [NEW]
    what = f"Memorandum of understanding no. {document.pk} “mou.pdf”"
    told = {
        "damaged": f"{what}: The file {name} does not open with its key; it was damaged or put in another one’s place. "
        "Restore it from the backup.",
        "another file": f"{what} is not the file that was stored: its SHA-256 differs. Restore it from the backup.",
        "unknown key": f"{what}: The file {name} was encrypted with the key &#x27;{old_id}&#x27;, which is not in "
        "FIELD_ENCRYPTION_KEYS. Add that key to the list; nothing was changed.",
        "gone": f"{what} is not in storage; restore it from the backup.",
    }[trouble]

    answer = admin_client.get(reverse("admin:trips_document_file", args=[document.pk]))
    preview = admin_client.get(reverse("admin:trips_document_preview", args=[document.pk, 1]))
    page = admin_client.get(reverse("admin:trips_document_change", args=[document.pk])).content.decode()

    assert [one.status_code for one in (answer, preview)] == [404, 404]
    assert told in answer.content.decode()
    assert told in page
    assert sealing.MARK not in answer.content + preview.content
    assert f"the file of document {document.pk} could not be handed out" in caplog.messages


@pytest.mark.django_db
def test_zip_of_papers_holds_them_plain_and_names_what_it_lacks(admin_client, admin_user):
    run = PaperRun.objects.create(title="Papers", by=admin_user, key="6f1a0a52-6f4e-4f0a-9d0c-1d2f0e4b7a11")
    papers = [upload(pdf(str(number))) for number in range(3)]
    for paper in papers:
        PaperRunRow.objects.create(
            run=run, passenger=paper.passenger, kind="mou", document=paper, outcome=PaperRunRow.Outcome.MADE
        )
    Path(papers[1].file.path).unlink()
    contents = [b"".join(documents.opened(papers[n]).chunks()) for n in (0, 2)]

    answer = admin_client.get(reverse("admin:trips_paperrun_zip", args=[run.pk]))

    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    missing = found.pop("MISSING.txt").decode()
    assert list(found.values()) == contents
    assert missing == (
        f"Memorandum of understanding no. {papers[1].pk} “mou.pdf” is not in storage; restore it from the backup.\n"
    )
