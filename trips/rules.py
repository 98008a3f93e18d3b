"""The staff rules of the business: one check and one sentence each, for forms, imports and pulled rows alike.

Rules bind what people type. Real data breaks most of them, so a row that comes from outside is taken in
and *flagged*, and an old violation in a field nobody touched warns without blocking the save.
Rules marked `stored` look at the row alone, so the row can keep its flags; the others ask the database or
a related row and are checked when a form is opened.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import phonenumbers
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.utils import formats

from trips.enums import SEATED, DocumentState, PaymentKind
from trips.money import money
from trips.text import fold_name

Check = Callable[[Any], str | None]
OLDEST_TRIP = dt.date(1970, 1, 1)
YEARS_AHEAD = 20
_WEB = URLValidator(schemes=["http", "https"])
OLDEST_BIRTH = dt.date(1900, 1, 1)


@dataclass(frozen=True, slots=True)
class Rule:
    """`check` takes the row and gives the sentence that staff read, or None when all is well."""

    code: str
    model: str
    fields: tuple[str, ...]
    check: Check
    blocking: bool = True
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Violation:
    code: str
    field: str
    sentence: str
    blocking: bool


_RULES: dict[str, list[Rule]] = {}


def _rule(model: str, *fields: str, blocking: bool = True, stored: bool = True) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        code = check.__name__.strip("_")
        _RULES.setdefault(model, []).append(Rule(code, model, fields, check, blocking, stored))
        return check

    return register


rule = _rule  # for what stands in a module beside this one


def rules_for(obj: Any) -> list[Rule]:
    """The rules of this row's model, in the order in which they are checked."""
    return _RULES.get(obj._meta.model_name, [])


def rule_text(code: str) -> str:
    """A flag's code as words for lists and filters: `end_before_start` → "end before start"."""
    return code.replace("_", " ")


def flags_of(obj: Any) -> str:
    """The codes of the stored rules this row breaks, blank-separated, for its `flags` column."""
    return " ".join(rule.code for rule in rules_for(obj) if rule.stored and rule.check(obj))


def violations(obj: Any, changed: Collection[str] | None = None, but: Collection[str] = ()) -> list[Violation]:
    """Every rule this row breaks. With `changed`, rules about untouched fields never block; `but` are not asked."""
    found = []
    for rule in rules_for(obj):
        if rule.code in but:
            continue
        sentence = rule.check(obj)
        if not sentence:
            continue
        touched = [field for field in rule.fields if changed is None or field in changed]
        found.append(Violation(rule.code, (touched or rule.fields)[0], sentence, rule.blocking and bool(touched)))
    return found


def _accepts(validator: Callable[[str], None], text: str) -> bool:
    try:
        validator(text)
    except ValidationError:
        return False
    return True


def _day(value: dt.date) -> str:
    return formats.date_format(value, "j M Y")


# Trips


@_rule("trip", "name")
def _name_missing(trip: Any) -> str | None:
    return None if trip.name.strip() else "A trip needs a name."


@_rule("trip", "end_date", "start_date")
def _end_before_start(trip: Any) -> str | None:
    if trip.start_date and trip.end_date and trip.end_date < trip.start_date:
        return f"The end ({_day(trip.end_date)}) is before the start ({_day(trip.start_date)})."
    return None


@_rule("trip", "return_date", "arrival_date")
def _return_before_arrival(trip: Any) -> str | None:
    if trip.arrival_date and trip.return_date and trip.return_date < trip.arrival_date:
        return f"The return ({_day(trip.return_date)}) is before the arrival ({_day(trip.arrival_date)})."
    return None


@_rule("trip", "end_date", "start_date", blocking=False)
def _very_long(trip: Any) -> str | None:
    if trip.start_date and trip.end_date and (trip.end_date - trip.start_date).days > 60:
        return f"The trip lasts {(trip.end_date - trip.start_date).days} days; check the dates."
    return None


@_rule("trip", "arrival_date", "return_date", "start_date", "end_date", blocking=False)
def _travel_outside_trip(trip: Any) -> str | None:
    for label, day in (("arrival", trip.arrival_date), ("return", trip.return_date)):
        if day and trip.start_date and day < trip.start_date:
            return f"The {label} ({_day(day)}) is before the trip starts ({_day(trip.start_date)})."
        if day and trip.end_date and day > trip.end_date:
            return f"The {label} ({_day(day)}) is after the trip ends ({_day(trip.end_date)})."
    return None


@_rule("trip", "start_date", "end_date", "arrival_date", "return_date", blocking=False)
def _odd_year(trip: Any) -> str | None:
    last_year = dt.date.today().year + YEARS_AHEAD
    for label in ("start", "end", "arrival", "return"):
        day = getattr(trip, f"{label}_date")
        if day and (day < OLDEST_TRIP or day.year > last_year):
            return f"The {label} ({_day(day)}) lies before 1970 or more than {YEARS_AHEAD} years ahead; check the year."
    return None


@_rule("trip", "final_payment_due", "deposit_due")
def _final_before_deposit(trip: Any) -> str | None:
    if trip.deposit_due and trip.final_payment_due and trip.final_payment_due < trip.deposit_due:
        return (
            f"The final payment ({_day(trip.final_payment_due)}) is due before the deposit ({_day(trip.deposit_due)})."
        )
    return None


@_rule("trip", "final_payment_due", "deposit_due", "start_date", "arrival_date")
def _payment_after_departure(trip: Any) -> str | None:
    departs = trip.departs_on
    due = trip.final_payment_due or trip.deposit_due
    if departs and due and due > departs:
        return f"The payment is due ({_day(due)}) after the departure ({_day(departs)})."
    return None


@_rule("trip", "capacity")
def _capacity_below_one(trip: Any) -> str | None:
    if trip.capacity is not None and trip.capacity < 1:
        return f"A capacity of {trip.capacity} leaves no seat. Give 1 or more, or leave it empty for no limit."
    return None


@_rule("trip", "nights_override")
def _nights_out_of_range(trip: Any) -> str | None:
    if trip.nights_override is not None and not 0 <= trip.nights_override <= 90:
        return f"{trip.nights_override} nights is outside 0 to 90. Leave it empty to count them from the dates."
    return None


@_rule("trip", "price_per_person", "deposit_amount")
def _negative_price(trip: Any) -> str | None:
    for label, amount in (("price", trip.price_per_person), ("deposit", trip.deposit_amount)):
        if amount is not None and amount < 0:
            return f"The {label} of {amount} is below 0."
    return None


@_rule("cost", "currency")
@_rule("payment", "currency")
@_rule("trip", "currency")
def _odd_currency(priced: Any) -> str | None:
    code = priced.currency
    if len(code) == 3 and code.isascii() and code.isalpha() and code.isupper():
        return None
    return f"{code!r} is not a currency code of three capital letters, such as USD."


def _starts(trip: Any) -> dt.date | None:
    """The day that tells two trips of one name apart."""
    return trip.start_date or trip.arrival_date


def _namesakes(trip: Any) -> tuple[list[Any], list[Any]]:
    """Other trips of this name: those of the same start, then the rest."""
    if not trip.name.strip():
        return [], []
    others = type(trip)._base_manager.filter(name_key=fold_name(trip.name)[:255]).exclude(pk=trip.pk).order_by("-pk")
    same: list[Any] = []
    rest: list[Any] = []
    for other in others:
        (same if _starts(other) == _starts(trip) else rest).append(other)
    return same, rest


def _called(trip: Any, *facts: str) -> str:
    """ "Baracoa (no. 7, archived)"."""
    told = [f"no. {trip.pk}", *facts, *(["archived"] if trip.archived_at else [])]
    return f"{trip.name} ({', '.join(told)})"


def _tells_of_none(trip: Any) -> bool:
    """Whether the form is for somebody who does not see every trip: others' trips have no number and no name then."""
    return bool(getattr(trip, "tells_of_none", False))


@_rule("trip", "name", "start_date", "arrival_date", stored=False)
def _same_name_and_start(trip: Any) -> str | None:
    same, _rest = _namesakes(trip)
    if not same:
        return None
    start = _starts(trip)
    what = f"of this name and start ({_day(start)})" if start else "of this name without dates"
    if _tells_of_none(trip):
        return f"There is a trip {what} already. Choose another name or other dates."
    return f"There is a trip {what} already: {_called(same[0])}. Choose another name or other dates."


@_rule("trip", "name", "start_date", "arrival_date", blocking=False, stored=False)
def _same_name(trip: Any) -> str | None:
    same, rest = _namesakes(trip)
    if same or not rest or _tells_of_none(trip):
        return None
    start = _starts(rest[0])
    when = f"starts {_day(start)}" if start else "without dates"
    return f"There is another trip of this name: {_called(rest[0], when)}. Check that it is not the same one."


@_rule("trip", "capacity", blocking=False, stored=False)
def _overbooked(trip: Any) -> str | None:
    if trip.pk is None or trip.capacity is None:
        return None
    seated = trip.passengers.filter(attendance__in=SEATED).count()
    return f"{seated} passengers are booked on {trip.capacity} seats." if seated > trip.capacity else None


# Contacts


@_rule("contact", "first_name", "last_name", "company_name", "email", "phone")
def _nothing_to_go_by(contact: Any) -> str | None:
    known = (contact.first_name, contact.last_name, contact.company_name, contact.email, contact.phone)
    return None if any(text.strip() for text in known) else "Give at least a name, an e-mail address or a phone number."


@_rule("contact", "phone", blocking=False)
def _odd_phone(contact: Any) -> str | None:
    if not contact.phone or e164(contact.phone):
        return None
    return (
        f"{contact.phone!r} does not read as a phone number. Write it with its country code, such as +1 202 555 0123."
    )


@_rule("contact", "country")
def _odd_country(contact: Any) -> str | None:
    code = contact.country
    if not code or (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()):
        return None
    return f"{code!r} is not a country code of two capital letters, such as US."


@_rule("contact", "website")
def _odd_website(contact: Any) -> str | None:
    if not contact.website or _accepts(_WEB, contact.website):
        return None
    return f"{contact.website!r} is not the address of a website. It starts with https:// or http://."


# Passengers


@_rule("passenger", "legal_last_name", "legal_first_name")
def _legal_name_missing(passenger: Any) -> str | None:
    if passenger.legal_first_name.strip() or passenger.legal_last_name.strip():
        return None
    return "A passenger needs a legal name, as in the passport."


@_rule("passenger", "date_of_birth")
def _odd_birth(passenger: Any) -> str | None:
    born = passenger.date_of_birth
    if born and not OLDEST_BIRTH <= born <= dt.date.today():
        return f"A date of birth of {_day(born)} cannot be right; it must lie between 1 Jan 1900 and today."
    return None


@_rule("passenger", "details_submitted_on")
def _submitted_in_future(passenger: Any) -> str | None:
    day = passenger.details_submitted_on
    return (
        f"The details cannot have been submitted in the future ({_day(day)})."
        if day and day > dt.date.today()
        else None
    )


@_rule("passenger", "is_child", "date_of_birth", blocking=False, stored=False)
def _child_flag_disagrees(passenger: Any) -> str | None:
    if passenger.is_child is None or not passenger.date_of_birth or passenger.is_child == passenger.is_minor:
        return None
    says, counts = ("a child", "an adult") if passenger.is_child else ("an adult", "a minor")
    return f"Marked as {says}, but {counts} by the date of birth. The date of birth decides."


@_rule("passenger", "guardian", "date_of_birth", "is_child", "trip", stored=False)
def _minor_without_guardian(passenger: Any) -> str | None:
    if not passenger.is_minor or passenger.guardian_id:
        return None
    return "A traveller under 18 on departure needs a guardian."


@_rule("passenger", "number", "trip", stored=False)
def _number_taken(passenger: Any) -> str | None:
    if passenger.number is None or passenger.trip_id is None:
        return None
    others = type(passenger)._base_manager.filter(trip_id=passenger.trip_id, number=passenger.number)
    twin = others.exclude(pk=passenger.pk).first()
    return f"Number {passenger.number} on this trip is {twin.legal_name or twin.pk}'s." if twin else None


@_rule("passenger", "contact", "trip", "legal_first_name", "legal_last_name", stored=False)
def _on_this_trip_already(passenger: Any) -> str | None:
    if passenger.trip_id is None or passenger.contact_id is None:
        return None
    twin = (
        type(passenger)
        ._base_manager.filter(
            trip_id=passenger.trip_id,
            contact_id=passenger.contact_id,
            legal_first_name__iexact=passenger.legal_first_name.strip(),
            legal_last_name__iexact=passenger.legal_last_name.strip(),
        )
        .exclude(pk=passenger.pk)
        .first()
    )
    return f"{twin.legal_name} is on this trip already (passenger no. {twin.pk})." if twin else None


@_rule("passenger", "attendance", "trip", blocking=False, stored=False)
def _trip_is_full(passenger: Any) -> str | None:
    trip = passenger.trip
    if trip is None or trip.capacity is None or passenger.attendance not in SEATED:
        return None
    others = trip.passengers.filter(attendance__in=SEATED).exclude(pk=passenger.pk).count()
    if others < trip.capacity:
        return None
    return f"{trip} has {trip.capacity} seats and {others} other passengers booked. Put this one on the waiting list."


# Licences


@_rule("licence", "valid_until", "valid_from")
def _licence_ends_before_it_starts(licence: Any) -> str | None:
    if licence.valid_from and licence.valid_until and licence.valid_until < licence.valid_from:
        return f"The last day ({_day(licence.valid_until)}) is before the first ({_day(licence.valid_from)})."
    return None


@_rule("licence", "name", "valid_from", "valid_until", stored=False)
def _licence_periods_overlap(licence: Any) -> str | None:
    """Or nobody could tell which of the two rows speaks of a day."""
    named = type(licence)._base_manager.filter(name_key=fold_name(licence.name)[:255]).exclude(pk=licence.pk)
    first, last = licence.valid_from or dt.date.min, licence.valid_until or dt.date.max
    for other in named:
        if (other.valid_from or dt.date.min) <= last and first <= (other.valid_until or dt.date.max):
            since = f"from {_day(other.valid_from)} " if other.valid_from else ""
            until = f"until {_day(other.valid_until)}" if other.valid_until else "until further notice"
            return f"“{other}” is in the list already, {since}{until} (no. {other.pk}). Give days that do not overlap."
    return None


# What belongs to a passenger


def _holder(part: Any) -> Any:
    """The passenger a row belongs to; None on a form where nobody was chosen, which the form reports itself."""
    return getattr(part, "passenger", None)


@_rule("passport", "expires_on")
def _expires_before_birth(passport: Any) -> str | None:
    born = getattr(_holder(passport), "date_of_birth", None)
    if born and passport.expires_on and passport.expires_on <= born:
        return f"The passport expires ({_day(passport.expires_on)}) before its holder was born ({_day(born)})."
    return None


@_rule("emergencycontact", "email")
def _odd_email(contact: Any) -> str | None:
    if not contact.email or _accepts(validate_email, contact.email):
        return None
    return f"{contact.email!r} is not an e-mail address."


@_rule("emergencycontact", "phone", "mobile")
def _no_number_to_call(contact: Any) -> str | None:
    return None if contact.phone.strip() or contact.mobile.strip() else "Give a phone or a mobile number to call."


@_rule("payment", "currency", "passenger", stored=False)
def _other_currency(payment: Any) -> str | None:
    trip = getattr(_holder(payment), "trip", None)
    if trip is None or trip.currency == payment.currency:
        return None
    return f"{trip} is priced in {trip.currency}; this payment is in {payment.currency}."


@_rule("cost", "amount")
@_rule("payment", "amount")
def _amount_not_positive(entry: Any) -> str | None:
    if entry.amount is None or entry.amount > 0:
        return None
    remedy = " Record money given back as a refund." if entry._meta.model_name == "payment" else ""
    return f"The amount is {money(entry.amount)}; it must be greater than 0.{remedy}"


@_rule("payment", "paid_on", blocking=False)
def _paid_in_future(payment: Any) -> str | None:
    day = payment.paid_on
    return f"It is dated in the future ({_day(day)}); check the date." if day and day > dt.date.today() else None


@_rule("payment", "reference", "passenger", stored=False)
def _reference_twice(payment: Any) -> str | None:
    if not payment.reference.strip() or payment.passenger_id is None:
        return None
    twin = _other_payments(payment).filter(reference__iexact=payment.reference.strip()).first()
    if twin is None:
        return None
    what = f"{twin.get_kind_display().lower()} of {money(twin.amount, twin.currency)} of {_day(twin.paid_on)}"
    return f"This passenger has a {what} with the reference {twin.reference} already."


def _other_payments(payment: Any) -> Any:
    return type(payment)._base_manager.filter(passenger=payment.passenger_id).exclude(pk=payment.pk)


def _paid_besides(payment: Any) -> Decimal:
    """What this passenger has paid in this currency, less what was given back, without this row."""
    rows = _other_payments(payment).filter(currency=payment.currency).values_list("kind", "amount")
    return sum((-amount if kind == PaymentKind.REFUND else amount for kind, amount in rows), Decimal(0))


@_rule("payment", "amount", "kind", "currency", "passenger", stored=False)
def _more_back_than_paid(payment: Any) -> str | None:
    if payment.passenger_id is None or payment.amount is None:
        return None
    paid = _paid_besides(payment)
    if payment.kind == PaymentKind.REFUND and payment.amount > paid:
        return (
            f"{_holder(payment)} has paid {money(paid, payment.currency)} in all: "
            f"{money(payment.amount, payment.currency)} cannot be given back."
        )
    if payment.kind != PaymentKind.REFUND and payment.pk is not None and payment.amount + paid < 0:
        return f"{money(-paid, payment.currency)} of it was given back already; it cannot become less than that."
    return None


@_rule("payment", "amount", "kind", "passenger", blocking=False, stored=False)
def _more_than_owed(payment: Any) -> str | None:
    trip = getattr(_holder(payment), "trip", None)
    if trip is None or payment.kind == PaymentKind.REFUND or payment.currency != trip.currency or not payment.amount:
        return None
    if payment.passenger.attendance not in SEATED:
        return (
            f"{payment.passenger} is {payment.passenger.get_attendance_display().lower()} on {trip} and owes nothing."
        )
    if trip.price_per_person is None:
        return None
    owed = max(trip.price_per_person - _paid_besides(payment), Decimal(0))
    if payment.amount <= owed:
        return None
    return f"That is {money(payment.amount - owed, trip.currency)} more than {payment.passenger} owed."


@_rule("cost", "currency", "trip", blocking=False, stored=False)
def _cost_in_other_currency(cost: Any) -> str | None:
    trip = getattr(cost, "trip", None)
    if trip is None or trip.currency == cost.currency:
        return None
    return f"{trip} is priced in {trip.currency}: with a cost in {cost.currency} its margin cannot be told."


@_rule("document", "rejection_reason", "state")
def _rejected_without_reason(document: Any) -> str | None:
    if document.state != DocumentState.REJECTED or document.rejection_reason.strip():
        return None
    return "Say why it is rejected; the traveller has to mend it."


@_rule("document", "rejection_reason", "state")
def _waived_without_reason(document: Any) -> str | None:
    if document.state != DocumentState.WAIVED or document.rejection_reason.strip():
        return None
    return "Say why it is not needed; whoever asks at departure has to know."


def e164(text: str, region: str | None = None) -> str:
    """`text` as E.164 when it parses as a possible number (default region from settings), else empty."""
    return _e164(text, region or settings.PHONE_REGION)


@lru_cache(maxsize=4096)
def _e164(text: str, region: str) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
