"""Two trips with a row of everything on each: one that the leader leads, one that is somebody else's."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.urls import URLPattern, URLResolver, get_resolver

from ghl_sync.models import Link
from tests import factories
from tripbuilder import roles
from trips.models import (
    Batch,
    BatchRow,
    Flight,
    InstalledRole,
    ItineraryItem,
    Licence,
    Note,
    PaperRun,
    PaperRunRow,
    Reminder,
    Room,
    RoomPlace,
    SavedFilter,
    SentReport,
    Transfer,
    TravellerForm,
    Trip,
    TripLeader,
)

NOWHERE = 999999
# Each stands in what the hidden trip holds and in nothing else.
HIDDEN = "zqhidden"
# What takes a permission of its own, on the trip that everybody here may see.
SEALED = {"healthrecord": "zqhealth", "passport": "ZQPASS", "payment": "765.43", "cost": "543.21"}
KEPT = '{"columns": [], "rows": []}'
TODAY = dt.date.today()


@dataclass
class Side:
    """The rows of one trip by the name of their model."""

    rows: dict[str, Any] = field(default_factory=dict)

    def pk(self, model: str) -> Any:
        row = self.rows.get(model)
        return NOWHERE if row is None else row.pk


@dataclass
class World:
    own: Side
    hidden: Side
    accounts: dict[str, Any]


def build() -> World:
    Group.objects.all().delete()
    InstalledRole.objects.all().delete()
    roles.install()
    boss = factories.StaffFactory(username="boss")
    accounts: dict[str, Any] = {"anonymous": None, "nobody": factories.StaffFactory(username="nobody")}
    for role in roles.ROLES:
        accounts[role.code] = factories.StaffFactory(username=role.code)
        accounts[role.code].groups.add(Group.objects.get(name=role.name))
    own = _side("Ours", boss, sealed=True)
    hidden = _side(HIDDEN, boss, sealed=False)
    TripLeader.objects.create(trip=own.rows["trip"], user=accounts["leader"])
    SavedFilter.objects.create(owner=boss, page="trips.passenger", name=f"{HIDDEN} filter", query="q=x", shared=True)
    # Somebody who was on the hidden trip and is on the leader's now, and the other way round.
    for here, there in ((own, hidden), (hidden, own)):
        mover = factories.PassengerFactory(
            trip=there.rows["trip"], legal_first_name="Mover", legal_last_name=here.rows["passenger"].legal_last_name
        )
        mover.trip = here.rows["trip"]
        mover.save()
    return World(own, hidden, accounts)


def _side(word: str, boss: Any, *, sealed: bool) -> Side:
    start = TODAY + dt.timedelta(days=10)
    contact = factories.ContactFactory(
        first_name=f"{word}first", last_name=f"{word}last", email=f"{word}@example.com".lower(), notes=f"{word} notes"
    )
    organiser = factories.ContactFactory(first_name=f"{word}organiser", last_name="Lead")
    vendor = factories.VendorFactory(name="Everybody's vendor" if sealed else "Another vendor")
    trip = Trip(
        name=f"{word} trip", destination=f"{word} place", start_date=start, end_date=start + dt.timedelta(days=5)
    )
    trip.organiser, trip.vendor, trip.price_per_person = organiser, vendor, Decimal("2000.00")
    trip.internal_notes, trip.capacity = f"{word} internal", 20
    trip.save()
    passenger = factories.PassengerFactory(
        trip=trip, contact=contact, legal_first_name=f"{word}legal", legal_last_name=f"{word}name", licence="L"
    )
    number = SEALED["passport"] + "1234" if sealed else f"{HIDDEN}99"
    health = SEALED["healthrecord"] if sealed else f"{HIDDEN} ill"
    room = Room.objects.create(trip=trip, number=1, beds=2, label=f"{word} room")
    day = trip.start_date
    document = factories.DocumentFactory(passenger=passenger, kind="other", state="received")
    document.original_name = f"{word}.pdf"
    document.file.save("x.pdf", ContentFile(b"%PDF-1.4 x"), save=False)
    document.content_type, document.size = "application/pdf", 10
    document.save()
    batch = Batch.objects.create(kind="bulk", title=f"{word} batch", by=boss, made=0, changed=1)
    BatchRow.objects.create(batch=batch, model="trips.passenger", object_pk=passenger.pk, verb="changed", values="{}")
    run = PaperRun.objects.create(title=f"{word} run", by=boss)
    PaperRunRow.objects.create(run=run, passenger=passenger, kind="mou")
    rows = {
        "trip": trip,
        "passenger": passenger,
        "contact": contact,
        "vendor": vendor,
        "passport": factories.PassportFactory(passenger=passenger, number=number),
        "healthrecord": factories.HealthRecordFactory(
            passenger=passenger, general_health=health, allergies=health, diet=health, medications=health
        ),
        "emergencycontact": factories.EmergencyContactFactory(passenger=passenger, first_name=f"{word}kin"),
        "payment": factories.PaymentFactory(
            passenger=passenger, amount=Decimal(SEALED["payment"]) if sealed else Decimal("876.54"),
            reference=f"{word}-ref",
        ),
        "cost": factories.CostFactory(
            trip=trip, what=f"{word} cost", amount=Decimal(SEALED["cost"]) if sealed else Decimal("98.76")
        ),
        "document": document,
        "note": Note.objects.create(trip=trip, text=f"{word} note", by=boss),
        "passengernote": Note.objects.create(passenger=passenger, text=f"{word} note", by=boss),
        "reminder": Reminder.objects.create(
            passenger=passenger, kind="gaps", recipient=f"{word}@example.com", subject=f"{word} mail", body=f"{word}"
        ),
        "travellerform": TravellerForm.objects.create(
            passenger=passenger, secret_hash=word, expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(days=9)
        ),
        "itineraryitem": ItineraryItem.objects.create(trip=trip, day=day, title=f"{word} walk"),
        "flight": Flight.objects.create(trip=trip, leg="arrival", number=f"{word}1", leaves_on=day, arrives_on=day),
        "transfer": Transfer.objects.create(trip=trip, leg="arrival", day=day, from_place=f"{word} airport"),
        "room": room,
        "roomplace": RoomPlace.objects.create(room=room, passenger=passenger),
        "sentreport": SentReport.objects.create(
            trip=trip, report="rooming", preset="standard", title=f"{word} list", about=f"{word} trip", format="csv",
            row_count=0, rows=KEPT, by=boss,
        ),
        "batch": batch,
        "paperrun": run,
        "licence": Licence.objects.create(name=f"Licence {Licence.objects.count()}"),
        "savedfilter": SavedFilter.objects.create(owner=boss, page="trips.trip", name=f"{word} own", query="q=x"),
        "link": Link.objects.update_or_create(
            kind="passenger", object_id=passenger.pk,
            defaults={"uid": passenger.uid, "location_id": "loc", "remote_id": f"far{word}", "label": f"{word} link"},
        )[0],
        "user": boss,
        "group": Group.objects.get(name="Finance"),
    }  # fmt: skip
    office = {"report": "passports", "preset": "all", "format": "csv", "row_count": 0, "rows": KEPT, "by": boss}
    if not sealed:
        SentReport.objects.create(of_trip=False, title=f"{HIDDEN} across trips", about=f"{HIDDEN}", **office)
    return Side(rows)


# Addresses


@dataclass(frozen=True)
class Route:
    """One pattern of the URLconf: its name, the address as it stands there, and how to fill its places."""

    name: str
    pattern: str
    places: tuple[str, ...]

    def url(self, side: Side) -> str:
        address = self.pattern
        for place in self.places:
            address = address.replace(place, str(_value(self, place, side)), 1)
        return f"/{address}"


# What a place stands for where its address does not say it.
WORDS = {
    "code": "rooming", "preset_code": "standard", "slug": "stage", "kind": "gaps", "step": "person", "word": "passport",
    "name": "keep", "page": "1", "app_label": "trips", "content_type_id": "1", "url": "no-such-page/",
    "uid": "00000000-0000-4000-8000-000000000000", "uuid": "00000000-0000-4000-8000-000000000000",
}  # fmt: skip
OF_PLACE = {"trip_id": "trip", "one": "contact", "link_id": "link"}


def _value(route: Route, place: str, side: Side) -> Any:
    kind, _, name = place.strip("<>").rpartition(":")
    if kind == "uuid":
        return WORDS["uuid"]
    if route.name.startswith("trips:office") and name in WORDS:
        return {"code": "passports", "preset_code": "all"}.get(name, WORDS[name])
    if route.name.endswith("_paper") and name == "kind":
        return "mou"
    if name == "other":
        return side.pk("contact")
    if name in WORDS:
        return WORDS[name]
    if name in OF_PLACE:
        return side.pk(OF_PLACE[name])
    if route.name == "trips:sent_copy":
        return side.pk("sentreport")
    if name == "version_id":
        row = side.rows.get(_model(route))
        return row.history.first().pk if hasattr(row, "history") else NOWHERE
    return side.pk(_model(route))


def _model(route: Route) -> str:
    """Of "trips/passenger/<int:object_id>/…" the passenger."""
    parts = route.pattern.split("/")
    if "programme/entry" in route.pattern:
        return "itineraryitem"
    return parts[1] if len(parts) > 1 else ""


def routes() -> list[Route]:
    """Every address of the site, in its order."""
    return list(_walk(get_resolver(), "", ""))


def _walk(resolver: Any, before: str, space: str) -> Iterator[Route]:
    for one in resolver.url_patterns:
        pattern = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _walk(one, pattern, f"{space}{one.namespace}:" if one.namespace else space)
        elif isinstance(one, URLPattern):
            yield _route(f"{space}{one.name or ''}", pattern)


def _route(name: str, pattern: str) -> Route:
    plain = pattern.replace("^([^/]+)/history/([^/]+)/$", "<path:object_id>/history/<path:version_id>/")
    plain = re.sub(r"\^?\(\?P<(\w+)>[^)]*\)(/?)\$?", r"<\1>\2", plain)
    return Route(name, plain, tuple(re.findall(r"<[^>]+>", plain)))


def actions() -> list[tuple[Any, str]]:
    """Every action of every list: its page and its name."""
    found = []
    for page in admin.site._registry.values():
        for action in (*(page.actions or ()), *(["delete_selected"] if not page.actions else [])):
            name = action if isinstance(action, str) else action.__name__
            found.append((page, name))
    return list(dict.fromkeys(found))
