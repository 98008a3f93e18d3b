"""Lists across trips: passports, missing documents and vendors, for the departures of a range of days."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Count, F, Prefetch, Q
from django.db.models.functions import Coalesce

from trips.enums import FAILED, HANDED_IN, REQUIRED_DOCUMENTS, TO_BE_SIGNED, DocumentKind, DocumentState
from trips.models import Document, Passenger, Passport, Trip, Vendor
from trips.reports import people
from trips.reports.table import Column, Kind, Rows, Scope, Total
from trips.text import fold_name

# Which of several papers of a kind speaks for the person: the best one.
_BEST_FIRST = (
    DocumentState.APPROVED,
    DocumentState.WAIVED,
    DocumentState.RECEIVED,
    DocumentState.REJECTED,
    DocumentState.MISSING,
)


def trips(scope: Scope) -> Any:
    """The trips asked for: one, or those that take place and depart within the days."""
    if scope.trip is not None:
        return Trip.objects.filter(pk=scope.trip.pk)
    found = Trip.objects.going()
    if scope.first or scope.last:
        found = found.departing(first=scope.first or dt.date.min, last=scope.last or dt.date.max)
    return scope.seen(found)


def passengers(scope: Scope) -> Any:
    """Everybody on these trips, booked or not, by departure, trip and name."""
    departure = Coalesce("trip__arrival_date", "trip__start_date").asc(nulls_last=True)
    rows = Passenger.objects.filter(trip__in=trips(scope).order_by().values("pk")).select_related("trip", "contact")
    return rows.order_by(departure, "trip_id", "legal_last_name", "legal_first_name", "pk")


# Passports


def with_passports(scope: Scope) -> Rows:
    """Those booked, without an expiry first, then what runs out first; with each person's other trips to come."""
    later = Q(trip__return_date__gte=scope.today) | Q(trip__end_date__gte=scope.today)
    undated = Q(trip__return_date__isnull=True, trip__end_date__isnull=True)
    on_trips = Passenger.objects.seated().filter(later | undated, trip__isnull=False, trip__archived_at__isnull=True)
    still = scope.seen(on_trips).exclude(trip__status__in=FAILED).select_related("trip", "passport")
    theirs = Prefetch("contact__passengers", still, to_attr="travelling")
    rows = passengers(scope).seated().select_related("passport").prefetch_related(theirs)
    return rows.order_by(F("passport__expires_on").asc(nulls_first=True), "legal_last_name", "legal_first_name", "pk")


def lacking_passports(scope: Scope, rows: Any) -> Rows:
    """Those whose passport is missing, has expired or ends before their trip allows."""
    return rows.lacking("passport", scope.today)


def validity(passenger: Passenger) -> str:
    """As the rule says; where nothing is recorded here, on which other trip of the same person it is."""
    passport = people.passport_of(passenger)
    if passport is not None and passport.validity != Passport.Validity.MISSING:
        return str(passport.validity.label)
    elsewhere = [
        str(other.trip) for other in _theirs(passenger) if getattr(people.passport_of(other), "expires_on", None)
    ]
    return f"Missing here, recorded for {elsewhere[0]}" if elsewhere else str(Passport.Validity.MISSING.label)


def needed_until(passenger: Passenger) -> dt.date | None:
    return passenger.trip.passports_needed_until if passenger.trip else None


def _theirs(passenger: Passenger) -> list[Passenger]:
    """This row and the same person's on later trips: the contact may be a family's, so the legal name decides."""
    name = fold_name(passenger.legal_name)
    others = getattr(passenger.contact, "travelling", [])
    return [passenger, *(other for other in others if fold_name(other.legal_name) == name)]


def needed_for_all(passenger: Passenger) -> dt.date | None:
    """Until when a passport must be valid for every trip the person is on."""
    return max(filter(None, map(needed_until, _theirs(passenger))), default=None)


def renew_before(passenger: Passenger) -> dt.date | None:
    """The first departure that the passport does not cover; None when it covers all."""
    expires = getattr(people.passport_of(passenger), "expires_on", None)
    uncovered = [
        other.trip.departs_on or other.trip.ends_on
        for other in _theirs(passenger)
        if other.trip is not None and (expires is None or expires < (needed_until(other) or expires))
    ]
    return min(filter(None, uncovered), default=None)


TRIP = Column("trip", "Trip", lambda p: str(p.trip))
DEPARTS = Column("departs", "Departs", lambda p: p.trip.departs_on, Kind.DATE)
TRAVELLER = Column("traveller", "Traveller", str)

PASSPORTS = (
    TRAVELLER,
    TRIP,
    DEPARTS,
    Column("number", "Passport", people.DOCUMENT.read, Kind.MASKED, required=True),
    Column("country", "Issued by", people.COUNTRY.read, required=True),
    Column("expires", "Expires", people.EXPIRY.read, Kind.DATE, required=True),
    Column("validity", "Validity", validity),
    Column("needed_until", "Needed until", needed_until, Kind.DATE),
    Column("needed_for_all", "Needed for all their trips", needed_for_all, Kind.DATE),
    Column("renew_before", "Renew before", renew_before, Kind.DATE),
)


def passport_notes(_scope: Scope, _people: Sequence[Passenger]) -> list[str]:
    return [f"{people.validity_rule()} “Renew before” is the first departure that it does not cover."]


# Documents


def with_documents(scope: Scope) -> Rows:
    """Each with their required papers; the private links among them are not read."""
    to_sign = Q(kind__in=TO_BE_SIGNED, paper_version__isnull=False)
    wanted = Document.objects.filter(kind__in=REQUIRED_DOCUMENTS).exclude(to_sign).defer("remote_url")
    return passengers(scope).seated().prefetch_related(Prefetch("documents", wanted, to_attr="papers"))


def lacking_documents(scope: Scope, rows: Any) -> Rows:
    """Those whose required papers are not all handed in or waived."""
    return rows.lacking("documents", scope.today)


def state_of(kind: DocumentKind) -> Callable[[Any], str]:
    def read(passenger: Any) -> str:
        states = {paper.state for paper in passenger.papers if paper.kind == kind}
        best = next((state for state in _BEST_FIRST if state in states), DocumentState.MISSING)
        return str(best.label)

    return read


def held(passenger: Any) -> str:
    kinds = {paper.kind for paper in passenger.papers if paper.state in HANDED_IN}
    return f"{len(kinds)}/{len(REQUIRED_DOCUMENTS)}"


DOCUMENTS = (
    TRAVELLER,
    TRIP,
    DEPARTS,
    Column("held", "On file", held),
    *(Column(kind.value, str(kind.label), state_of(kind)) for kind in REQUIRED_DOCUMENTS),
)


def by_kind(listed: Sequence[Any]) -> list[Total]:
    """How many of the listed people lack each kind."""
    settled = {str(state.label) for state in HANDED_IN}
    lacking = Counter(kind for person in listed for kind in REQUIRED_DOCUMENTS if state_of(kind)(person) not in settled)
    return [Total(f"{kind.label} lacking", str(lacking[kind])) for kind in REQUIRED_DOCUMENTS]


# Vendors


def vendors(scope: Scope) -> Rows:
    """Vendors of these trips; without days all that are not archived."""
    counted = Count("trips", filter=Q(trips__in=trips(scope).order_by().values("pk")), distinct=True)
    rows = Vendor.objects.annotate(trip_count=counted).order_by("name", "pk")
    if scope.trip is None and scope.first is None and scope.last is None:
        return rows.filter(archived_at__isnull=True)
    return rows.filter(trip_count__gt=0)


VENDORS = (
    Column("name", "Vendor", lambda v: v.name),
    Column("kind", "Kind", lambda v: str(v.get_kind_display())),
    Column("contact_name", "Contact", lambda v: v.contact_name),
    Column("email", "E-mail", lambda v: v.email, required=True),
    Column("phone", "Phone", lambda v: v.phone, Kind.PHONE, required=True),
    Column("trips", "Trips", lambda v: v.trip_count, Kind.NUMBER),
)
