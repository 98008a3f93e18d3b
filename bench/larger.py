"""The account's rows many times over, by the database alone: what a page costs at another operator's size.

Every copy hangs together as the original does: a copy of a passenger sits on the copy of their trip.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Field, Max, Model

from trips.enums import REQUIRED_DOCUMENTS, DocumentState
from trips.models import Document, Passenger, Payment, Trip
from trips.services import ledger

# Parents before children: the keys of a copy's parents are reckoned, not looked up.
COPIED = (
    "trips.Contact",
    "trips.Trip",
    "trips.Passenger",
    "trips.Passport",
    "trips.HealthRecord",
    "trips.EmergencyContact",
    "trips.Document",
    "trips.Payment",
    "ghl_sync.Link",
)
# What is told apart by its text gets the number of its copy; search finds a copy by the same words.
MARKED = {("trips.Trip", "name"), ("ghl_sync.Link", "remote_id"), ("trips.Payment", "reference")}


def furnish() -> None:
    """Prices, payments and papers, which a CRM has none of: half of the people have paid and handed something in."""
    today = dt.date.today()
    _plan_ahead(today)
    Trip.objects.update(price_per_person=Decimal(2450), deposit_amount=Decimal(500), currency="USD")
    Trip.objects.update(deposit_due=today - dt.timedelta(days=30), final_payment_due=today + dt.timedelta(days=30))
    some = list(Passenger.objects.filter(trip__isnull=False).order_by("pk").values_list("pk", flat=True)[::2])
    Payment.objects.bulk_create(
        Payment(passenger_id=pk, amount=Decimal(500), currency="USD", paid_on=today) for pk in some
    )
    ledger.recount(Passenger.objects.all())
    Document.objects.bulk_create(
        Document(passenger_id=pk, kind=kind, state=DocumentState.APPROVED)
        for pk in some
        for kind in REQUIRED_DOCUMENTS[:2]
    )


def _plan_ahead(today: dt.date) -> None:
    """Every tenth trip leaves within the next three hundred days; the account's own are nearly all over."""
    for pk in Trip.objects.order_by("pk").values_list("pk", flat=True)[::10]:
        leaves = today + dt.timedelta(days=pk % 300)
        Trip.objects.filter(pk=pk).update(arrival_date=leaves, return_date=leaves + dt.timedelta(days=8))


def multiply(times: int) -> None:
    """Make of each row `times`, the one that is there included, and have the database count them anew."""
    models = [apps.get_model(label) for label in COPIED]
    shifts = {model: 1 + (model._base_manager.aggregate(last=Max("pk"))["last"] or 0) for model in models}
    for model in models:
        _copy(model, times, shifts)
    with connection.cursor() as cursor:
        # As PostgreSQL does by itself after so many new rows.
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _copy(model: type[Model], times: int, shifts: dict[type[Model], int]) -> None:
    fields = model._meta.concrete_fields
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    names = ", ".join(quote(field.column) for field in fields)
    values = ", ".join(_value(model, field, shifts) for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE copy(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < {times - 1}) "
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS one CROSS JOIN copy"
        )
        for statement in connection.ops.sequence_reset_sql(no_style(), [model]):
            cursor.execute(statement)


def _value(model: type[Model], field: Field, shifts: dict[type[Model], int]) -> str:
    """What stands in a copy's column, as SQL."""
    column = f"one.{connection.ops.quote_name(field.column)}"
    label = model._meta.label
    if field.primary_key:
        return f"{column} + copy.n * {shifts[model]}"
    if field.is_relation:
        shift = shifts.get(field.related_model)  # type: ignore[arg-type]
        return f"{column} + copy.n * {shift}" if shift else column
    if field.name == "uid":
        return "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    if label == "ghl_sync.Link" and field.name == "object_id":
        kinds = {"trip": "trips.Trip", "passenger": "trips.Passenger", "contact": "trips.Contact"}
        cases = " ".join(f"WHEN '{kind}' THEN {shifts[apps.get_model(name)]}" for kind, name in kinds.items())
        return f"{column} + copy.n * CASE one.kind {cases} ELSE 0 END"
    if (label, field.name) in MARKED:
        return f"CASE WHEN {column} = '' THEN '' ELSE {column} || ' ' || copy.n END"
    return column
