"""People: contacts (whom we write to) and passengers (who travels), and a passenger's sensitive parts.

The sensitive parts are models of their own, made only when there is a value, so that Django's
per-model permissions decide who sees them, in forms, lists, exports and history alike.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from trips.countries import country_code
from trips.dates import age_on
from trips.encryption import EncryptedTextField
from trips.enums import Attendance, Occupancy, PassengerStage, Sex, Status
from trips.gaps import HEALTH_TEXTS
from trips.models.base import Flagged, Keyed, Stamped
from trips.querysets import ContactQuerySet, PassengerQuerySet
from trips.text import fold_search, masked


class Contact(Keyed, Flagged):
    """A person or organisation we write to: organisers, travellers, agents, guardians."""

    derived = ("email", "flags", "search_key")

    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    company_name = models.CharField("company", max_length=200, blank=True)
    # Indexed, not unique: families share an address. Read: find-or-create, search.
    email = models.EmailField("e-mail", max_length=254, blank=True, db_index=True)
    phone = models.CharField(max_length=64, blank=True, db_index=True)  # read: find-or-create, search
    address_line1 = models.CharField("address", max_length=255, blank=True)
    city = models.CharField(max_length=120, blank=True)
    state = models.CharField(max_length=120, blank=True)
    postal_code = models.CharField(max_length=32, blank=True)
    country = models.CharField(max_length=2, blank=True, help_text="ISO code of two letters, such as US.")
    website = models.CharField(max_length=255, blank=True)
    tags = models.JSONField(default=list, blank=True)
    source = models.CharField(max_length=255, blank=True, editable=False)
    do_not_contact = models.BooleanField(default=False)
    notes = models.TextField(blank=True)
    # Folded, so that Dvorak finds Dvořák on every database. Read: the search of the lists, by parts in any order.
    search_key = models.TextField(blank=True, default="", editable=False)
    # A duplicate stays, marked with the contact that stands for it: that makes its merge a change that can be undone.
    merged_into = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        db_index=False,
        related_name="merged",
    )

    objects = ContactQuerySet.as_manager()
    history = HistoricalRecords(excluded_fields=["search_key"])

    class Meta:
        ordering = ["last_name", "first_name", "pk"]
        indexes = [
            models.Index(fields=["last_name", "first_name", "id"], name="contact_name"),  # read: the list's order
            models.Index(fields=["id"], condition=~Q(flags=""), name="contact_flagged"),  # read: "needs a look"
            # Read: what was merged into a contact, what still hangs on a merged one; there are few.
            models.Index(fields=["merged_into"], condition=Q(merged_into__isnull=False), name="contact_merged"),
            # Read: duplicates by address, from the index alone.
            models.Index(
                fields=["email", "id"], condition=Q(merged_into__isnull=True) & ~Q(email=""), name="contact_same_email"
            ),
            models.Index(
                fields=["phone", "id"], condition=Q(merged_into__isnull=True) & ~Q(phone=""), name="contact_same_phone"
            ),
        ]
        permissions = [
            ("export_person", "Can take a copy of all that is kept of a person"),
            ("erase_person", "Can erase a person"),
        ]

    def __str__(self) -> str:
        return self.full_name or self.company_name or self.email or self.phone or f"Contact {self.pk}"

    def derive(self) -> None:
        self.email = self.email.strip().lower()
        self.search_key = fold_search(self.first_name, self.last_name, self.company_name, self.email)
        super().derive()

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class ContactsApart(models.Model):
    """Somebody said of two contacts that look alike that they are two; nobody is asked again until it is taken back."""

    first = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="apart_from_later")
    second = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="apart_from_earlier")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="contacts_apart_once"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="contacts_apart_ordered"),
        ]
        verbose_name = "pair of contacts kept apart"
        verbose_name_plural = "pairs of contacts kept apart"
        default_permissions = ()  # whoever may change contacts says it

    def __str__(self) -> str:
        return f"{self.first} and {self.second}"


# What may be chosen where a row names a contact: nobody is booked with a duplicate that another one stands for.
STANDS_FOR_ITSELF = {"merged_into__isnull": True}


class Passenger(Keyed, Flagged):
    """One traveller on one trip. Several may share a contact (family, agent)."""

    contact = models.ForeignKey(
        Contact, on_delete=models.PROTECT, related_name="passengers", limit_choices_to=STANDS_FOR_ITSELF
    )
    trip = models.ForeignKey("trips.Trip", on_delete=models.PROTECT, null=True, blank=True, related_name="passengers")
    # What came from outside where no trip could be found for it; the work list groups by these.
    trip_name_raw = models.CharField("trip name received", max_length=255, blank=True, editable=False)
    trip_id_raw = models.BigIntegerField("trip ID received", null=True, blank=True, editable=False)

    legal_first_name = models.CharField(max_length=100, blank=True, help_text="As in the passport, accents kept.")
    legal_middle_name = models.CharField(max_length=100, blank=True)
    legal_last_name = models.CharField(max_length=100, blank=True)
    preferred_name = models.CharField(max_length=100, blank=True)
    # Read: search by the old system's number.
    legacy_passenger_id = models.CharField("legacy passenger ID", max_length=64, blank=True, db_index=True)
    number = models.SmallIntegerField(null=True, blank=True, help_text="On this trip. Empty takes the next free one.")
    date_of_birth = models.DateField(null=True, blank=True)
    sex = models.CharField(max_length=1, blank=True, choices=Sex.choices)
    is_child = models.BooleanField("is a child", null=True, blank=True)
    guardian = models.ForeignKey(
        Contact,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="wards",
        limit_choices_to=STANDS_FOR_ITSELF,
    )
    birth_country = models.CharField(max_length=120, blank=True)
    birth_country_code = models.CharField(max_length=2, blank=True, editable=False)
    attendance = models.CharField(max_length=16, choices=Attendance.choices, default=Attendance.BOOKED)
    stage = models.CharField(max_length=64, choices=PassengerStage.choices, default=PassengerStage.ADDED_TO_TRIP)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.OPEN)
    details_submitted_on = models.DateField(null=True, blank=True)
    occupancy = models.CharField(max_length=16, blank=True, choices=Occupancy.choices)
    roommate_request = models.CharField(max_length=255, blank=True)
    licence = models.CharField("travel licence", max_length=255, blank=True)

    derived = ("birth_country_code", "flags", "search_key", "name_key")
    # Folded, so that Dvorak finds Dvořák on every database. Read: the search of the lists, by parts in any order.
    search_key = models.TextField(blank=True, default="", editable=False)
    # First and last name alone, folded in the same way: who has the same one and the same birthday is the same person.
    name_key = models.CharField(max_length=255, blank=True, default="", editable=False)

    # What their payments come to, refunds taken off, and in which currency: none without payments, SEVERAL where there
    # are several. `services.ledger` writes them. Read: balances of long lists, without adding up each one's payments.
    kept = ("ledger_sum", "ledger_currency")
    ledger_sum = models.DecimalField(max_digits=14, decimal_places=2, default=0, editable=False)
    ledger_currency = models.CharField(max_length=3, blank=True, default="", editable=False)

    objects = PassengerQuerySet.as_manager()
    history = HistoricalRecords(excluded_fields=["search_key", "name_key", *kept])

    class Meta:
        ordering = ["legal_last_name", "legal_first_name", "pk"]
        indexes = [
            models.Index(fields=["legal_last_name", "legal_first_name", "id"], name="passenger_name"),  # list order
            models.Index(fields=["trip", "attendance"], name="passenger_trip_attendance"),  # read: counts per trip
            models.Index(fields=["stage"], name="passenger_stage"),  # read: the stage filter and the board
            # Read: the work list of passengers without a trip.
            models.Index(
                fields=["trip_id_raw", "trip_name_raw"], condition=Q(trip__isnull=True), name="passenger_unlinked"
            ),
            models.Index(fields=["id"], condition=~Q(flags=""), name="passenger_flagged"),  # read: "needs a look"
            # Read: duplicates of contacts by name and date of birth.
            models.Index(
                fields=["date_of_birth", "name_key", "contact"],
                condition=Q(date_of_birth__isnull=False) & ~Q(name_key=""),
                name="passenger_born",
            ),
        ]

    def __str__(self) -> str:
        return self.legal_name or f"Passenger {self.pk}"

    def derive(self) -> None:
        super().derive()
        self.birth_country_code = country_code(self.birth_country)
        self.search_key = fold_search(
            self.legal_first_name, self.legal_middle_name, self.legal_last_name, self.preferred_name
        )
        self.name_key = fold_search(self.legal_first_name, self.legal_last_name)[:255]

    @property
    def legal_name(self) -> str:
        parts = (self.legal_first_name, self.legal_middle_name, self.legal_last_name)
        return " ".join(part for part in parts if part)

    @property
    def age_at_departure(self) -> int | None:
        """Full years on the trip's departure; None without a date of birth or a departure."""
        day = self.trip.departs_on if self.trip else None
        return age_on(self.date_of_birth, day) if self.date_of_birth and day else None

    @property
    def is_minor(self) -> bool:
        """Under 18 on departure (today without a departure); the date of birth wins over the flag."""
        if self.date_of_birth:
            day = (self.trip.departs_on if self.trip else None) or dt.date.today()
            return age_on(self.date_of_birth, day) < 18
        return bool(self.is_child)


class Passport(Stamped):
    derived = ("country_code",)

    class Validity(models.TextChoices):
        OK = "ok", "Valid"
        SHORT = "short", "Too short"
        EXPIRED = "expired", "Expired"
        MISSING = "missing", "Missing"

    passenger = models.OneToOneField(Passenger, on_delete=models.CASCADE, related_name="passport")
    number = EncryptedTextField(blank=True)
    expires_on = models.DateField(null=True, blank=True, db_index=True)  # read: the passports that run out
    country = models.CharField("issuing country", max_length=120, blank=True)
    country_code = models.CharField(max_length=2, blank=True, editable=False)

    history = HistoricalRecords(excluded_fields=["number"])

    class Meta:
        verbose_name = "passport"

    def __str__(self) -> str:
        return f"Passport {self.masked_number}".strip()

    def derive(self) -> None:
        super().derive()
        self.country_code = country_code(self.country)

    @property
    def masked_number(self) -> str:
        return masked(self.number)

    @property
    def needed_until(self) -> dt.date | None:
        """The first day on which the passport may expire, by the passenger's trip."""
        trip = self.passenger.trip
        return trip.passports_needed_until if trip else None

    @property
    def validity(self) -> Passport.Validity:
        if self.expires_on is None:
            return self.Validity.MISSING
        if self.expires_on < dt.date.today():
            return self.Validity.EXPIRED
        until = self.needed_until
        return self.Validity.SHORT if until and self.expires_on < until else self.Validity.OK


class HealthRecord(Stamped):
    passenger = models.OneToOneField(Passenger, on_delete=models.CASCADE, related_name="health")
    general_health = EncryptedTextField(blank=True)
    medical_notes = EncryptedTextField("medical, physical or dietary limits", blank=True)
    medications = EncryptedTextField(blank=True)
    physician_name = EncryptedTextField(blank=True)
    physician_phone = EncryptedTextField(blank=True)
    diet = EncryptedTextField(blank=True)
    allergies = EncryptedTextField(blank=True)
    # "None" differs from "not answered": True says the traveller declared there is nothing.
    nothing_to_declare = models.BooleanField(default=False)

    # Who changed a health record and when; its values stay out of history.
    history = HistoricalRecords(excluded_fields=[*HEALTH_TEXTS, "nothing_to_declare"])

    class Meta:
        verbose_name = "health record"

    def __str__(self) -> str:
        return "Health record"


class EmergencyContact(Flagged):
    passenger = models.ForeignKey(Passenger, on_delete=models.CASCADE, related_name="emergency_contacts")
    position = models.PositiveSmallIntegerField(default=1, help_text="The first one is called first.")
    first_name = models.CharField(max_length=255, blank=True)
    last_name = models.CharField(max_length=255, blank=True)
    relationship = models.CharField(max_length=255, blank=True)
    address = models.CharField(max_length=255, blank=True)
    city = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=120, blank=True)
    postal_code = models.CharField(max_length=255, blank=True)
    email = models.CharField("e-mail", max_length=255, blank=True)
    phone = models.CharField(max_length=255, blank=True)
    mobile = models.CharField(max_length=255, blank=True)

    history = HistoricalRecords()

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = "emergency contact"

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or "Emergency contact"
