"""Fetching a file that a record links to: from allowed hosts only, within a size and a time, and never with our token.

A link comes from outside and whoever holds it has the file. So its host must be in a list, its address must be a
public one, and the connection goes to exactly the address that was looked at; each redirect is looked at in the same
way. Errors and logs never carry the link.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit

import certifi
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError

from ghl_sync.client.errors import Refused, TryLater
from ghl_sync.client.transport import USER_AGENT, HTTPPool, HTTPSPool, until

MOST_HOPS = 4
_REDIRECTS = (301, 302, 303, 307, 308)
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """From where files may come. `origin` ("http://127.0.0.1:8787") is a stand-in on this machine; else empty."""

    hosts: Collection[str]
    most_bytes: int
    seconds: float
    origin: str = ""


def fetch(url: str, rules: Rules) -> bytes:
    """The bytes behind a link, or in it (`data:`). Raises Refused for good, and TryLater."""
    if url[:5].lower() == "data:":
        return _inside(url, rules.most_bytes)
    ends = time.monotonic() + rules.seconds
    for _hop in range(MOST_HOPS):
        status, location, content = _answer(_checked(url, rules), rules, ends)
        if status not in _REDIRECTS:
            return content
        url = urljoin(url, location)
    raise Refused("The link leads from one address to the next without end.")


def _inside(url: str, most: int) -> bytes:
    head, comma, body = url.partition(",")
    if not comma:
        raise Refused("The link holds no file.")
    if len(body) > most * 4:  # before it is decoded; each byte takes three letters at most
        raise _too_large(most)
    try:
        plain = unquote_to_bytes(body)
        content = base64.b64decode(plain, validate=True) if head.lower().endswith(";base64") else plain
    except (binascii.Error, ValueError):
        raise Refused("The link holds a file that cannot be decoded.") from None
    if len(content) > most:
        raise _too_large(most)
    return content


def _too_large(most: int) -> Refused:
    return Refused(f"The file is larger than {most // (1024 * 1024)} MB.")


def _checked(url: str, rules: Rules) -> SplitResult:
    """The parts of an address that may be asked."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("The link is no address.") from None
    if rules.origin and f"{parts.scheme}://{parts.netloc}" == rules.origin:
        return parts
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https" or port not in (None, 443) or parts.username is not None:
        raise Refused("The link is no plain https address.")
    if host not in {allowed.lower() for allowed in rules.hosts}:
        raise Refused(f"Files of {host[:80] or 'no host'} are not fetched; GHL_FILE_HOSTS lists whose are.")
    return parts


def _answer(parts: SplitResult, rules: Rules, ends: float) -> tuple[int, str, bytes]:
    """Status, where it leads to, and the bytes of a plain answer."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Host": parts.netloc, "User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    try:
        with until(ends), _pool(parts, rules, ends) as pool:
            answer = pool.urlopen("GET", target, headers=headers, redirect=False, retries=False, preload_content=False)
            try:
                status = answer.status
                content = _body(answer, rules.most_bytes, ends) if status == 200 else b""
            finally:
                answer.close()
    except (HTTPError, OSError):
        raise TryLater("The file could not be fetched: no answer, or none in time.") from None
    if status != 200 and status not in _REDIRECTS:
        raise _failure(status)
    return status, answer.headers.get("Location") or "", content


def _failure(status: int) -> Exception:
    if status in {401, 403}:
        return Refused("A login is asked for: download it in GoHighLevel and upload it here.", status=status)
    if status in {404, 410}:
        return Refused("It is not there any more.", status=status)
    if status == 429 or status >= 500:
        return TryLater(f"The server answered {status}.", status=status)
    return Refused(f"The server answered {status}.", status=status)


def _pool(parts: SplitResult, rules: Rules, ends: float) -> HTTPConnectionPool:
    """Connections to the very address that was looked at: a name that is looked up twice may change in between."""
    host = parts.hostname or ""
    local = bool(rules.origin) and f"{parts.scheme}://{parts.netloc}" == rules.origin
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _address(host, port, local=local)
    left = max(0.1, ends - time.monotonic())
    if parts.scheme == "http":
        return HTTPPool(address, port, timeout=left, maxsize=1)
    return HTTPSPool(
        address,
        port,
        timeout=left,
        maxsize=1,
        cert_reqs="CERT_REQUIRED",
        ca_certs=certifi.where(),
        server_hostname=host,
        assert_hostname=host,
    )


def _address(host: str, port: int, *, local: bool) -> str:
    found = {entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    addresses = [ipaddress.ip_address(str(text).partition("%")[0]) for text in sorted(map(str, found))]
    if not local and any(not address.is_global or address.is_multicast for address in addresses):
        raise Refused(f"{host[:80]} is not a public address.")
    chosen = min(addresses, key=lambda address: address.version)
    return str(chosen) if chosen.version == 4 else f"[{chosen}]"


def _body(response: Any, most: int, ends: float) -> bytes:
    """The whole body within the time and size allowed."""
    if (response.headers.get("Content-Encoding") or "identity").lower() != "identity":
        raise Refused("The file came packed in a way that was not asked for.")
    pieces, size = [], 0
    while piece := response.read1(_PIECE, decode_content=False):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise _too_large(most)
        if time.monotonic() > ends:
            raise TryLater("The file could not be fetched in time.")
    length = response.headers.get("Content-Length") or ""
    if length.isdigit() and int(length) != size:
        raise TryLater("The file broke off on its way.")
    return b"".join(pieces)
