"""What is sent: an address of the URLconf, a method, parameters and a body, all of it from one seed."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET",) * 8 + ("POST",) * 8 + ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
# What people, robots and attackers type where something else is expected.
ODD = (
    *("", " ", "0", "-1", "1.5", "1e999", "NaN", "99999999999999999999", "9" * 400, "true", "None", "null", "[]", "{}"),
    *("\0", "a\0b", "\u202e", "😀", "ß" * 300, "A" * 5000, "%", "%00", "%s%n", "../../etc/passwd", "..\\"),
    *("' or 1=1--", '"', "<script>alert(1)</script>", "{{7*7}}", "=cmd()", "1,2", "2027-02-30", "31/12/99", "24:61"),
    *("//evil.example", "javascript:alert(1)", "id__exact", "_popup", "²", "１２"),
)
# Names that pages read, so that a value gets beyond them.
NAMES = (
    *("q", "p", "o", "e", "all", "page", "_popup", "_to_field", "_changelist_filters", "next", "term", "app_label"),
    *("model_name", "field_name", "action", "_selected_action", "select_across", "index", "_save", "_continue", "post"),
    *("s", "extended", "id", "pk", "pk__in", "id__exact", "trip", "trip__id__exact", "stage__exact", "month", "start"),
    *(
        "format",
        "file",
        "name",
        "to",
        "kind",
        "one",
        "two",
        "link",
        "code",
        "username",
        "password",
        "step",
        "how",
        "value",
    ),
    *("reason", "passenger", "contact", "ids", "seen", "key", "from", "until", "date", "view", "batch", "uid", "token"),
    *("form-TOTAL_FORMS", "form-INITIAL_FORMS", "form-0-id", "confirm", "apply", "undo", "columns", "preset", "code"),
)
TYPES = ("application/json", "text/plain", "application/xml", "multipart/form-data", "multipart/form-data; boundary=x")


@dataclass
class Sent:
    """One request, so that it can be told and sent again."""

    who: str
    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    data: dict[str, Any] | bytes | None = None
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.query!r:.300} {self.data!r:.300} {self.content_type} as {self.who}"


def routes() -> list[str]:
    """Every address of the URLconf as text with its places, such as `trips/trip/<path:object_id>/change/`."""
    return sorted(set(_walk(get_resolver().url_patterns, "")))


def _walk(patterns: list[Any], before: str) -> Iterator[str]:
    for one in patterns:
        here = before + str(one.pattern).lstrip("^").rstrip("$").replace(r"\Z", "")
        if isinstance(one, URLResolver):
            yield from _walk(one.url_patterns, here)
        elif isinstance(one, URLPattern):
            yield here


class Chance:
    """Requests without end from one seed; `numbers` are of rows that exist, `names` those that their pages read."""

    def __init__(self, seed: int, kinds: list[str], numbers: list[str], names: list[str]) -> None:
        self.random = random.Random(seed)
        self.kinds, self.numbers = kinds, numbers
        self.names = [*NAMES, *names]
        self.routes = routes()
        self.turn = 0

    def next(self) -> Sent:
        """Each address has its turn before any has a second one."""
        if self.turn % len(self.routes) == 0:
            self.random.shuffle(self.routes)
        route = self.routes[self.turn % len(self.routes)]
        self.turn += 1
        method = self.random.choice(METHODS)
        sent = Sent(self.random.choice(self.kinds), method, self._fill(route))
        if self.random.random() < 0.6:
            sent.query = self._pairs(1, 4)
        if method not in {"GET", "HEAD", "TRACE"}:
            self._body(sent)
        if self.random.random() < 0.15:
            sent.headers["X-Requested-With"] = "XMLHttpRequest"
        return sent

    def _fill(self, route: str) -> str:
        path = ""
        for part in route.replace("(?P", "<").split("<"):
            place, closed, rest = part.partition(">")
            path += self._place(place) + rest if closed else part
        return "/" + path.replace(".*)", "").replace("[^/]+)", "").replace("(", "").replace(")", "").replace("?", "")

    def _place(self, place: str) -> str:
        kind = place.partition(":")[0]
        if kind == "int":
            return self.random.choice([*self.numbers[:40], *self.numbers[:40], "0", "999999999", "9" * 30])
        if kind == "uuid":
            return str(uuid.UUID(int=self.random.getrandbits(128)))
        if kind == "slug":
            return self.random.choice(
                ["manifest", "airline", "passport", "health", "details", "rooming", "x", "9" * 300]
            )
        chosen = self.random.choice(self.numbers if self.random.random() < 0.8 else ODD)
        return quote(chosen.encode("utf-8", "replace"), safe="")

    def _pairs(self, least: int, most: int) -> dict[str, list[str]]:
        return {
            self.random.choice(self.names): [self._value() for _ in range(self.random.choice((1, 1, 1, 3)))]
            for _ in range(self.random.randint(least, most))
        }

    def _value(self) -> str:
        known = ["1", "yes", "on", "Baracoa", "2027-03-01", "ada@example.com", *self.numbers[:20]]
        return self.random.choice(known if self.random.random() < 0.5 else ODD)

    def _body(self, sent: Sent) -> None:
        luck = self.random.random()
        if luck < 0.75:
            pairs: dict[str, Any] = dict(self._pairs(0, 8))
            if self.random.random() < 0.2:
                content = self.random.choice(
                    [b"", b"\x00\xff", b"a,b\n1,2", b"%PDF-1.4", b"\xff\xd8\xff\xe0", b"PK\x03\x04"]
                )
                name = self.random.choice(["a.csv", "a.pdf", "a.exe", "../a.jpg", "x" * 300 + ".png", "a.xlsx"])
                pairs[self.random.choice(["file", "import_file", "files", "upload"])] = [
                    SimpleUploadedFile(name, content)
                ]
            sent.data = pairs
        elif luck < 0.85:
            sent.data = json.dumps({name: values[0] for name, values in self._pairs(0, 4).items()}).encode()
            sent.content_type = "application/json"
        else:
            sent.data = self.random.choice(
                [b"", b"{", b"\x00" * 50, b"a=" + b"b" * 3000, b"--x\r\n\r\n--x--", b"\xff\xfe=\xff"]
            )
            sent.content_type = self.random.choice(TYPES)
