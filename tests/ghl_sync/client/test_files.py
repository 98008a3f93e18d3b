"""Fetching linked files: from where, how much, how long, and what never leaves with the request."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ghl_sync.client import files
from ghl_sync.client.errors import GHLError, Refused, TryLater

HOST = "files.example.com"
PDF = b"%PDF-1.4 invented"


class Far(BaseHTTPRequestHandler):
    """Answers by the path; keeps what it was asked."""

    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        type(self).asked.append((self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        status = int(path[1:]) if path[1:].isdigit() else 200
        moved = {"/to-ok": "/ok", "/to-metadata": "http://169.254.169.254/latest/", "/round": "/round"}
        if path in moved:
            self._answer(302, b"", Location=moved[path])
        elif path == "/large":
            self._answer(200, b"0" * 5000)
        elif path == "/packed":
            self._answer(200, PDF, **{"Content-Encoding": "gzip"})
        elif path == "/short":
            self._answer(200, PDF, **{"Content-Length": "9999"})
        elif path == "/trickle":
            self._trickle()
        else:
            self._answer(status, PDF)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _trickle(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _byte in range(100):
                self.wfile.write(b"0")
                time.sleep(0.05)
        except OSError:
            return

    def log_message(self, *_what: Any) -> None:
        return


@pytest.fixture
def far() -> Iterator[ThreadingHTTPServer]:
    Far.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Far)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def rules(far: ThreadingHTTPServer) -> files.Rules:
    return files.Rules((HOST,), most_bytes=4096, seconds=2.0, origin=f"http://127.0.0.1:{far.server_port}")


def refusal(url: str, rules: files.Rules) -> tuple[type[GHLError], str]:
    with pytest.raises(GHLError) as caught:
        files.fetch(f"{url}?secret-of-ada", rules)
    assert "secret" not in str(caught.value)
    return type(caught.value), str(caught.value)


def test_a_file_comes_over_a_redirect_and_nothing_of_ours_goes_along(rules: files.Rules) -> None:
    assert files.fetch(f"{rules.origin}/to-ok?key=1", rules) == PDF

    assert [path for path, _headers in Far.asked] == ["/to-ok?key=1", "/ok"]
    assert {name for _path, headers in Far.asked for name in headers} == {
        "Host",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
    }


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"http://{HOST}/x", "The link is no plain https address."),
        (f"https://ada:secret@{HOST}/x", "The link is no plain https address."),
        (f"https://{HOST}:8443/x", "The link is no plain https address."),
        (f"https://{HOST}:port/x", "The link is no address."),
        ("file:///etc/passwd", "The link is no plain https address."),
        ("ftp://files.example.com/x", "The link is no plain https address."),
        ("https://127.0.0.1/x", "Files of (number) are not fetched; GHL_FILE_HOSTS lists whose are."),
        ("https://[::1]/x", "Files of ::1 are not fetched; GHL_FILE_HOSTS lists whose are."),
        (
            f"https://{HOST}.evil.example/x",
            f"Files of {HOST}.evil.example are not fetched; GHL_FILE_HOSTS lists whose are.",
        ),
        ("http://127.0.0.1:1/x", "The link is no plain https address."),
        ("data:image/png;base64,%%%", "The link holds a file that cannot be decoded."),
        ("data:", "The link holds no file."),
    ],
)
def test_other_addresses_are_refused_before_anything_is_asked(url: str, words: str, rules: files.Rules) -> None:
    assert refusal(url, rules) == (Refused, words)
    assert Far.asked == []


@pytest.mark.parametrize("address", ["10.0.0.5", "127.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "fd00::1"])
def test_a_listed_host_that_resolves_to_a_private_address_is_refused(
    address: str, rules: files.Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443))
    found = [public, (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_what, **_how: found)

    assert refusal(f"https://{HOST}/x", rules) == (Refused, f"{HOST} is not a public address.")


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/to-metadata", Refused, "The link is no plain https address."),
        ("/round", Refused, "The link leads from one address to the next without end."),
        ("/large", Refused, "The file is larger than 0 MB."),
        ("/packed", Refused, "The file came packed in a way that was not asked for."),
        ("/short", TryLater, "The file could not be fetched: no answer, or none in time."),
        ("/401", Refused, "A login is asked for: download it in GoHighLevel and upload it here."),
        ("/404", Refused, "It is not there any more."),
        ("/418", Refused, "The server answered 418."),
        ("/429", TryLater, "The server answered 429."),
        ("/503", TryLater, "The server answered 503."),
    ],
)
def test_what_the_far_side_may_answer(path: str, kind: type[GHLError], words: str, rules: files.Rules) -> None:
    assert refusal(f"{rules.origin}{path}", rules) == (kind, words)


def test_a_trickling_server_cannot_stretch_the_time(rules: files.Rules) -> None:
    began = time.monotonic()

    kind, _words = refusal(f"{rules.origin}/trickle", files.Rules((), 4096, 0.4, rules.origin))

    assert (kind, time.monotonic() - began < 2) == (TryLater, True)


def test_a_signature_may_be_in_the_link(rules: files.Rules) -> None:
    assert files.fetch(f"data:image/png;base64,{base64.b64encode(PDF).decode()}", rules) == PDF
    assert refusal(f"data:text/plain,{'0' * 5000}", rules) == (Refused, "The file is larger than 0 MB.")


def certificate(name: str, folder: Path) -> tuple[Path, Path]:
    """A certificate of this name that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret


@pytest.fixture
def behind_tls(
    far: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], files.Rules]:
    """`behind_tls(name)`: HOST leads to the far side, which proves to be `name`."""

    def arranged(name: str) -> files.Rules:
        pem, secret = certificate(name, tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, secret)
        far.socket = context.wrap_socket(far.socket, server_side=True)
        pool = files.HTTPSPool
        public = ipaddress.ip_address("93.184.215.14")
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (str(public), 443))]
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *what, **how: found if host == HOST else real(host, *what, **how)
        )

        def here(address: str, port: int, **how: Any) -> Any:
            assert (address, port) == (str(public), 443)  # the very address that was looked at
            return pool("127.0.0.1", far.server_port, **{**how, "ca_certs": str(pem)})

        monkeypatch.setattr(files, "HTTPSPool", here)
        return files.Rules((HOST,), 4096, 2.0)

    return arranged


def test_over_https_the_host_has_to_prove_its_name(behind_tls: Callable[[str], files.Rules]) -> None:
    assert files.fetch(f"https://{HOST}/ok", behind_tls(HOST)) == PDF
    assert Far.asked[0][1]["Host"] == HOST


def test_over_https_another_name_is_not_believed(behind_tls: Callable[[str], files.Rules]) -> None:
    assert refusal(f"https://{HOST}/ok", behind_tls("other.example.com"))[0] is TryLater
    assert Far.asked == []
