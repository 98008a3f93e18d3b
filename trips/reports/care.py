"""Whom to call and what the kitchen must know: emergency, medical and dietary sheets.

Three answers are told apart everywhere: what somebody wrote, "None" where they declared that there is nothing, and
"Not answered" where nobody asked or nobody replied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from trips.gaps import HEALTH_TEXTS
from trips.models import EmergencyContact, HealthRecord, Passenger
from trips.reports import people
from trips.reports.table import Column, Kind, Rows, Scope, Total
from trips.text import fold_name

NONE = "None"
NOT_ANSWERED = "Not answered"
HEALTH = ("trips.healthrecord",)


def with_care(scope: Scope) -> Rows:
    """Those booked with what this asker may see of their emergency contacts and health."""
    rows = people.of_trip(scope)
    if scope.may("trips.emergencycontact"):
        rows = rows.prefetch_related("emergency_contacts")
    return rows.select_related("health") if scope.may("trips.healthrecord") else rows


def with_health(scope: Scope) -> Rows:
    return people.of_trip(scope).select_related("health")


def health_of(passenger: Passenger) -> HealthRecord | None:
    return getattr(passenger, "health", None)


def answered(record: HealthRecord | None) -> bool:
    return record is not None and (record.nothing_to_declare or any(getattr(record, name) for name in HEALTH_TEXTS))


def told(field: str) -> Callable[[Passenger], str]:
    """Reads one text of a health record as one of the three answers."""

    def read(passenger: Passenger) -> str:
        record = health_of(passenger)
        if record is None:
            return NOT_ANSWERED
        return getattr(record, field) or (NONE if record.nothing_to_declare else NOT_ANSWERED)

    return read


def written(field: str) -> Callable[[Passenger], str]:
    """Reads a text of a health record that nobody has to have, such as a doctor's phone."""
    return lambda passenger: getattr(health_of(passenger), field, "")


def _contacts(passenger: Passenger) -> list[EmergencyContact]:
    return list(passenger.emergency_contacts.all())


def called(index: int) -> Callable[[Passenger], str]:
    def read(passenger: Passenger) -> str:
        others = _contacts(passenger)[index : index + 1]
        return ", ".join(filter(None, (str(others[0]), others[0].relationship))) if others else ""

    return read


def numbers(index: int) -> Callable[[Passenger], str]:
    def read(passenger: Passenger) -> str:
        others = _contacts(passenger)[index : index + 1]
        return ", ".join(dict.fromkeys(filter(None, (others[0].mobile, others[0].phone)))) if others else ""

    return read


EMERGENCY = (
    people.LAST,
    people.FIRST,
    people.AGE,
    people.PHONE,
    Column("first_contact", "Call first", called(0), required=True),
    Column("first_phone", "Phone of the first", numbers(0), Kind.PHONE, required=True),
    Column("second_contact", "Then", called(1), shy=True),
    Column("second_phone", "Phone of the second", numbers(1), Kind.PHONE, shy=True),
    Column("medications", "Medication", told("medications"), needs=HEALTH),
    Column("allergies", "Allergies", told("allergies"), needs=HEALTH),
    people.MINOR,
)
MEDICAL = (
    people.LAST,
    people.FIRST,
    people.AGE,
    Column("medical_notes", "Limits", told("medical_notes")),
    Column("medications", "Medication", told("medications")),
    Column("allergies", "Allergies", told("allergies")),
    Column("general_health", "Health in general", told("general_health")),
    Column("physician", "Physician", written("physician_name")),
    Column("physician_phone", "Physician's phone", written("physician_phone"), Kind.PHONE),
)
DIETARY = (
    people.LAST,
    people.FIRST,
    people.AGE,
    Column("diet", "Diet", told("diet")),
    Column("allergies", "Allergies", told("allergies")),
)


def answers(travellers: Sequence[Passenger]) -> list[Total]:
    records = [health_of(person) for person in travellers]
    nothing = sum(record is not None and record.nothing_to_declare for record in records)
    silent = sum(not answered(record) for record in records)
    return [
        Total("Travellers", str(len(travellers))),
        Total("Told something", str(len(travellers) - nothing - silent)),
        Total("Nothing to declare", str(nothing)),
        Total(NOT_ANSWERED, str(silent)),
    ]


def kitchen(travellers: Sequence[Passenger]) -> list[Total]:
    """How many of each diet and allergy, as the kitchen counts plates."""
    return [
        Total("Travellers", str(len(travellers))),
        *_counted("Diet", map(told("diet"), travellers)),
        *_counted("Allergy", map(told("allergies"), travellers)),
    ]


def _counted(label: str, texts: Iterable[str]) -> list[Total]:
    """One line for each spelling that is not just another one of the same words; the most frequent first."""
    first_seen: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for text in texts:
        key = fold_name(text)
        first_seen.setdefault(key, text.strip())
        counts[key] += 1
    last = {fold_name(NONE): 1, fold_name(NOT_ANSWERED): 2}
    order = sorted(counts, key=lambda key: (last.get(key, 0), -counts[key], key))
    return [Total(first_seen[key], str(counts[key]), label) for key in order]


def emergencies(travellers: Sequence[Passenger]) -> list[Total]:
    return [Total("Travellers", str(len(travellers)))]


def unreachable(scope: Scope, travellers: Sequence[Passenger]) -> list[str]:
    """Whose emergency contacts nobody could call."""
    lacking = [str(person) for person in travellers if not any(numbers(index)(person) for index in (0, 1))]
    notes = people.absent(scope, travellers)
    return [*notes, f"Nobody to call for {', '.join(lacking)}."] if lacking else notes
