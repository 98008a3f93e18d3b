"""Trips, vendors, payments and documents as rows of a file."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from trips.enums import (
    DocumentKind,
    DocumentState,
    PaymentKind,
    PaymentMethod,
    Status,
    TravelCategory,
    TripStage,
    VendorKind,
)
from trips.models import Document, Passenger, Payment, Trip, Vendor
from trips.resources.base import Column, RowResource, every_field
from trips.resources.lookups import ContactReader, TripReader, VendorReader, key_of
from trips.resources.readers import Choice, Day, EMail, Money, Phone, Reader, Whole, YesNo
from trips.services import payments
from trips.services.batches import Recorder
from trips.text import fold_name


class Code(Reader):
    def read(self, text: str) -> str:
        return super().read(text).upper()


class TripResource(RowResource):
    """A trip is known by its key, or by its name and, where several share it, its start."""

    key = Column("Key", "uid", match=True, also=("trip key", "uid"))
    name = Column("Name", "name", also=("trip", "trip name", "tour"))
    destination = Column("Destination", "destination", also=("place",))
    start_date = Column("Start date", "start_date", Day(), also=("start", "from", "begins"))
    end_date = Column("End date", "end_date", Day(), also=("end", "to", "ends"))
    arrival_date = Column("Arrival date", "arrival_date", Day(), also=("arrival",))
    return_date = Column("Return date", "return_date", Day(), also=("return",))
    nights_override = Column("Nights", "nights_override", Whole())
    capacity = Column("Capacity", "capacity", Whole(), also=("seats", "max passengers", "places"))
    price_per_person = Column("Price per person", "price_per_person", Money(), also=("price",))
    deposit_amount = Column("Deposit", "deposit_amount", Money(), also=("deposit amount",))
    currency = Column("Currency", "currency", Code())
    deposit_due = Column("Deposit due", "deposit_due", Day())
    final_payment_due = Column("Final payment due", "final_payment_due", Day(), also=("final payment", "balance due"))
    vendor = Column("Vendor", "vendor", VendorReader(), also=("supplier",))
    organiser = Column("Lead organiser", "organiser", ContactReader(), also=("organiser", "organizer", "leader"))
    travel_business = Column("Travel business", "travel_business")
    travel_category = Column("Travel category", "travel_category", Choice(TravelCategory.choices, open_to=True))
    lodging = Column("Lodging", "lodging", also=("hotel",))
    lodging_notes = Column("Lodging notes", "lodging_notes")
    lodging_checked_on = Column("Lodging checked on", "lodging_checked_on", Day())
    escort = Column("Escort", "escort")
    vendor_terms = Column("Vendor terms", "vendor_terms")
    description = Column("Description", "description")
    internal_notes = Column("Internal notes", "internal_notes", also=("notes",))
    stage = Column("Stage", "stage", Choice(TripStage.choices, open_to=True))
    status = Column("Status", "status", Choice(Status.choices))
    legacy_trip_id = Column("Legacy trip ID", "legacy_trip_id", Whole(), readonly=True)

    class Meta:
        model = Trip
        exclude = every_field(Trip)
        clean_model_instances = True
        skip_unchanged = report_skipped = True
        skip_diff = store_instance = True

    def before_import(self, dataset: Any, **kwargs: Any) -> None:
        names = {_folded(dict(zip(dataset.headers, row, strict=True)).get("Name", "")) for row in dataset}
        self._named: dict[str, list[Trip]] = {}
        for trip in Trip.objects.filter(name_key__in=names - {""}).select_related("vendor", "organiser"):
            self._named.setdefault(trip.name_key, []).append(trip)

    def find(self, row: Any) -> Trip | None:
        if text := str(row.get("Key", "")).strip():
            key = key_of(text)
            found = Trip.objects.select_related("vendor", "organiser").filter(uid=key).first() if key else None
            if found is None:
                raise ValidationError(f"There is no trip with the key {text!r}. Leave the key empty for a new one.")
            return found
        same = self._named.get(_folded(row.get("Name", "")), [])
        if len(same) > 1:
            start = self._start(row)
            same = [trip for trip in same if start and trip.start_date == start]
            if len(same) != 1:
                raise ValidationError("Several trips have this name. Give the start date or the key of one.")
        self._now["known"] = "Known by name" if same else ""
        return same[0] if same else None

    def _start(self, row: Any) -> Any:
        text = str(row.get("Start date", "")).strip()
        try:
            return Day().clean(text) if text else None
        except ValueError as error:
            raise ValidationError(f"Start date: {error}") from None

    def identity(self, instance: Trip) -> Any:
        return fold_name(instance.name), instance.start_date

    def filter_export(self, queryset: QuerySet[Any], **kwargs: Any) -> QuerySet[Any]:
        return queryset.select_related("vendor", "organiser")


def _folded(text: Any) -> str:
    return fold_name(str(text))[:255]


class VendorResource(RowResource):
    """A vendor is known by its name."""

    name = Column("Name", "name", also=("vendor", "supplier", "company"))
    kind = Column("Kind", "kind", Choice(VendorKind.choices), also=("type",))
    contact_name = Column("Contact name", "contact_name", also=("contact", "person"))
    email = Column("E-mail", "email", EMail(), also=("email", "mail"))
    phone = Column("Phone", "phone", Phone(), also=("telephone", "tel"))
    notes = Column("Notes", "notes", also=("comments",))
    needs_review = Column("Needs review", "needs_review", YesNo())

    class Meta:
        model = Vendor
        exclude = every_field(Vendor)
        clean_model_instances = True
        skip_unchanged = report_skipped = True
        skip_diff = store_instance = True

    def before_import(self, dataset: Any, **kwargs: Any) -> None:
        names = {_folded(dict(zip(dataset.headers, row, strict=True)).get("Name", "")) for row in dataset}
        self._named = {vendor.name_key: vendor for vendor in Vendor.objects.filter(name_key__in=names)}

    def find(self, row: Any) -> Vendor | None:
        name = _folded(row.get("Name", ""))
        if not name:
            raise ValidationError("A vendor needs a name.")
        found = self._named.get(name)
        self._now["known"] = "Known by name" if found else ""
        return found

    def _given(self, row: Any) -> list[Column]:
        # It was found by its name: another way of writing it ("ACME") is no new name.
        columns = super()._given(row)
        return columns if self._now.get("new", True) else [one for one in columns if one.attribute != "name"]

    def after_init_instance(self, instance: Any, new: bool, row: Any, **kwargs: Any) -> None:
        self._now["new"] = new
        super().after_init_instance(instance, new, row, **kwargs)

    def identity(self, instance: Vendor) -> Any:
        return _folded(instance.name)


class PassengerReader(Reader):
    """By key, or by legal name or e-mail together with the trip."""

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Passenger:
        text = self.read(str(value).strip())
        rows = Passenger.objects.select_related("trip", "contact")
        if key := key_of(text):
            found = list(rows.filter(uid=key))
        else:
            trip = str((row or {}).get("Trip", "")).strip()
            if trip:
                rows = rows.filter(trip=TripReader().clean(trip))
            found = self._named(rows, text)
        if len(found) == 1:
            return found[0]
        if not found:
            raise ValueError(f"There is no passenger {text!r}. Name them as in their passport, by e-mail, or by key.")
        listed = ", ".join(f"{one} on {one.trip} (key {one.uid})" for one in found[:5])
        raise ValueError(f"Several passengers fit {text!r}: {listed}. Name the trip, or give the key of one.")

    def _named(self, rows: Any, text: str) -> list[Passenger]:
        if "@" in text:
            return list(rows.filter(contact__email=text.lower())[:6])
        words = text.split()
        last = Q(legal_last_name__iexact=words[-1]) | Q(legal_last_name__iendswith=words[-1])
        folded = fold_name(text)
        near = rows.filter(last)[:200]
        return [
            one
            for one in near
            if folded in {fold_name(one.legal_name), fold_name(f"{one.legal_first_name} {one.legal_last_name}")}
        ]


class PaymentResource(RowResource):
    """A payment is known by its passenger and reference; one without a reference is always new."""

    passenger = Column("Passenger", "passenger", PassengerReader(), also=("traveller", "traveler", "payer", "name"))
    trip = Column("Trip", "trip_name", match=True, also=("trip name", "tour"))
    kind = Column("Kind", "kind", Choice(PaymentKind.choices), also=("type",))
    amount = Column("Amount", "amount", Money(), also=("sum", "paid"))
    currency = Column("Currency", "currency", Code())
    paid_on = Column("Paid on", "paid_on", Day(), also=("date", "payment date"))
    method = Column("Method", "method", Choice(PaymentMethod.choices), also=("payment method", "paid by"))
    reference = Column("Reference", "reference", also=("ref", "transaction", "transaction id"))

    class Meta:
        model = Payment
        exclude = every_field(Payment)
        clean_model_instances = True
        skip_unchanged = report_skipped = True
        skip_diff = store_instance = True

    def find(self, row: Any) -> Payment | None:
        text = str(row.get("Passenger", "")).strip()
        if not text:
            raise ValidationError("A payment needs its passenger.")
        try:
            payer = PassengerReader().clean(text, row=row)
        except ValueError as error:
            raise ValidationError(f"Passenger: {error}") from None
        self._now["payer"] = payer
        reference = Reader().clean(row.get("Reference", ""))
        found = Payment.objects.filter(passenger=payer, reference=reference).first() if reference else None
        self._now["known"] = "Known by its reference" if found else ""
        return found

    def after_init_instance(self, instance: Any, new: bool, row: Any, **kwargs: Any) -> None:
        if new:
            instance.passenger = self._now["payer"]
            if instance.passenger.trip is not None:
                instance.currency = instance.passenger.trip.currency
        super().after_init_instance(instance, new, row, **kwargs)

    def check(self, obj: Any, given: set[str], errors: dict[str, Any]) -> None:
        for name, what in (("amount", "an amount"), ("paid_on", "the day it was paid")):
            if getattr(obj, name) is None and name not in errors:
                errors[name] = [ValidationError(f"A payment needs {what}.")]
        if obj.amount is not None and obj.amount <= 0:
            said = f"The amount of {obj.amount} is not above 0; record money given back as a refund."
            errors.setdefault("amount", []).append(ValidationError(said))
        if errors:
            return
        super().check(obj, given, errors)
        if not obj.pk and not obj.reference:
            same = {"passenger": obj.passenger, "amount": obj.amount, "paid_on": obj.paid_on, "kind": obj.kind}
            if other := Payment.objects.filter(**same).first():
                self._now["twin"] = f"The same passenger, amount and day as payment no. {other.pk}."

    def identity(self, instance: Payment) -> Any:
        return (instance.passenger_id, instance.reference) if instance.reference else object()

    def store(self, recorder: Recorder, instance: Any) -> None:
        if not instance.pk:
            recorder.make(instance, save=lambda row: payments.record(payment=row))
        else:
            recorder.change(instance, save=_save_payment, **self.values_of(instance))

    def filter_export(self, queryset: QuerySet[Any], **kwargs: Any) -> QuerySet[Any]:
        return queryset.select_related("passenger__trip")

    def dehydrate_trip(self, payment: Payment) -> str:
        return str(payment.passenger.trip or "")


def _save_payment(row: Payment, fields: set[str]) -> None:
    payments.record(payment=row, columns=fields)


class DocumentResource(RowResource):
    """Exported only, and only its facts: never a link, never where the file lies."""

    kind = Column("Kind", "kind", Choice(DocumentKind.choices), readonly=True)
    trip = Column("Trip", "trip", readonly=True)
    passenger = Column("Passenger", "passenger", readonly=True)
    state = Column("State", "state", Choice(DocumentState.choices), readonly=True)
    rejection_reason = Column("Rejection reason", "rejection_reason", readonly=True)
    original_name = Column("File name", "original_name", readonly=True)
    size = Column("Size in bytes", "size", Whole(), readonly=True)
    content_type = Column("Type", "content_type", readonly=True)

    class Meta:
        model = Document
        exclude = every_field(Document)

    def filter_export(self, queryset: QuerySet[Any], **kwargs: Any) -> QuerySet[Any]:
        return queryset.select_related("trip", "passenger").defer("remote_url")
