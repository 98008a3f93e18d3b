"""Papers in a bucket: the same uploads and downloads over S3, here against a stand-in on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import override_settings
from django.urls import reverse

from tests import factories
from tests.trips.papers.conftest import body_of, pdf
from tripbuilder import env
from trips.encryption import current_key_id
from trips.models import Document
from trips.sealing import MARK
from trips.services import documents

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[3]


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as the storage asks for: objects are put, looked at, read and deleted."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    signed: set[bool]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" in (self.headers.get("Content-Encoding") or ""):
            body = _unchunked(body)
        self.objects[self._name()] = body
        self._answer(200)

    def do_HEAD(self) -> None:
        self._answer(200 if self._name() in self.objects else 404, self.objects.get(self._name(), b""), head=True)

    def do_GET(self) -> None:
        found = self._name() in self.objects
        self._answer(200 if found else 404, self.objects.get(self._name(), b"<Error><Code>NoSuchKey</Code></Error>"))

    def do_DELETE(self) -> None:
        self.objects.pop(self._name(), None)
        self._answer(204)

    def _name(self) -> str:
        type(self).signed.add((self.headers.get("Authorization") or "").startswith("AWS4-HMAC-SHA256"))
        return self.path.partition("?")[0]

    def _answer(self, status: int, body: bytes = b"", *, head: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0"')
        self.end_headers()
        if not head:
            self.wfile.write(body)

    def log_message(self, *_what: Any) -> None:
        return


def _unchunked(body: bytes) -> bytes:
    """The content of an aws-chunked body: each piece after a line with its size in hex."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            break
        content, body = content + body[:length], body[length + 2 :]
    return content


@pytest.fixture
def bucket() -> Iterator[dict[str, bytes]]:
    """The private storage is a bucket; gives what is in it."""
    Bucket.objects, Bucket.signed = {}, set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    from django.conf import settings

    entry = env.bucket(
        "papers",
        url=f"http://127.0.0.1:{server.server_port}",
        region="us-east-1",
        key="key-of-tests",
        secret="secret-of-tests",
    )
    field: Any = Document._meta.get_field("file")
    before = field.storage
    with override_settings(STORAGES={**settings.STORAGES, "private": entry}):
        field.storage = storages["private"]
        yield Bucket.objects
    field.storage = before
    server.shutdown()
    server.server_close()


def test_papers_go_into_the_bucket_and_out_of_it_again(admin_client, sheet, bucket, django_capture_on_commit_callbacks):
    content = pdf("MOU")
    done = documents.upload(owner=factories.PassengerFactory(), files=[sheet("mou.pdf", content)], kind="", by=None)
    document = done.kept[0]

    answer = admin_client.get(reverse("admin:trips_document_file", args=[document.pk]))

    ((key, lies),) = bucket.items()
    assert (key, lies.startswith(MARK), content[:16] in lies) == (f"/papers/{document.file.name}", True, False)
    assert (body_of(answer), Bucket.signed) == (content, {True})
    with pytest.raises(ValueError, match="has no address"):
        _ = document.file.url
    with django_capture_on_commit_callbacks(execute=True):
        document.delete()
    assert bucket == {}


def test_a_file_in_the_bucket_is_sealed_anew_by_a_new_key(sheet, bucket, settings):
    content = pdf("MOU")
    done = documents.upload(owner=factories.PassengerFactory(), files=[sheet("mou.pdf", content)], kind="", by=None)
    storage, name = storages["private"], done.kept[0].file.name
    old_id = storage.key_id_of(name)
    settings.FIELD_ENCRYPTION_KEYS = ["bm90LXRoZS1vbGQta2V5LWJ1dC1hLW5ldy1vbmUtMzI=", *settings.FIELD_ENCRYPTION_KEYS]

    storage.reseal(name)

    assert (old_id != current_key_id(), storage.key_id_of(name)) == (True, current_key_id())
    with documents.opened(done.kept[0]) as file:
        assert file.read() == content


def test_a_file_that_is_gone_from_the_bucket_is_told(admin_client, sheet, bucket):
    done = documents.upload(owner=factories.PassengerFactory(), files=[sheet("mou.pdf")], kind="", by=None)
    bucket.clear()

    answer = admin_client.get(reverse("admin:trips_document_file", args=[done.kept[0].pk]))

    assert answer.status_code == 404


def test_half_of_the_credentials_is_refused_at_start():
    started = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tripbuilder.settings",
            "PRIVATE_BUCKET": "papers",
            "PRIVATE_BUCKET_KEY": "key",
        },
        capture_output=True,
        text=True,
    )

    assert started.returncode != 0
    assert "PRIVATE_BUCKET_SECRET is empty; give key and secret of the bucket, or neither." in started.stderr
