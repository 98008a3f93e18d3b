"""Every fixed choice of the business and the named groups of states.

Codes are ours; the labels are what staff read. Which GoHighLevel word belongs to a code is the
mapping's business, not this module's.
"""

from __future__ import annotations

from django.db import models


class TripStage(models.TextChoices):
    FORM_SUBMIT = "form_submit", "Form submitted"
    TRIP_FINALIZED = "trip_finalized", "Trip finalised"
    TRAVELERS_ADDED = "travelers_added", "Travellers added"
    TRIP_SCHEDULED = "trip_scheduled", "Trip scheduled"
    TRIP_COMPLETE = "trip_complete", "Trip complete"


class PassengerStage(models.TextChoices):
    ADDED_TO_TRIP = "added_to_trip", "Added to trip"
    DETAILS_SUBMITTED = "details_submitted", "Details submitted"
    TRIP_DETAILS_SENT = "trip_details_sent", "Trip details sent"
    TRIP_READY = "trip_ready", "Trip ready"
    TRIP_IN_PROGRESS = "trip_in_progress", "Trip in progress"
    TRIP_COMPLETE = "trip_complete", "Trip complete"


class Status(models.TextChoices):
    OPEN = "open", "Open"
    WON = "won", "Won"
    LOST = "lost", "Lost"
    ABANDONED = "abandoned", "Abandoned"


# What came to nothing: nobody is asked for money on such a trip.
FAILED = (Status.LOST, Status.ABANDONED)


class TravelCategory(models.TextChoices):
    PEOPLE_TO_PEOPLE = "people_to_people", "People to people"
    SUPPORT_CUBAN_PEOPLE = "support_cuban_people", "Support for the Cuban people"
    OTHER = "other", "Other"


class Attendance(models.TextChoices):
    BOOKED = "booked", "Booked"
    WAITLISTED = "waitlisted", "Waitlisted"
    CANCELLED = "cancelled", "Cancelled"


# Who takes a seat: a trip's enrolled count and its capacity speak of these.
SEATED = (Attendance.BOOKED,)


class Sex(models.TextChoices):
    FEMALE = "F", "Female"
    MALE = "M", "Male"
    OTHER = "X", "Other / unspecified"


class Occupancy(models.TextChoices):
    SINGLE = "single", "Single"
    DOUBLE = "double", "Double"


class VendorKind(models.TextChoices):
    GROUND = "ground", "Ground operator"
    HOTEL = "hotel", "Hotel"
    AIRLINE = "airline", "Airline"
    TRANSFER = "transfer", "Transfer"
    GUIDE = "guide", "Guide"
    OTHER = "other", "Other"


class DocumentKind(models.TextChoices):
    PASSPORT_SCAN = "passport_scan", "Passport scan"
    RESERVATION = "reservation", "Reservation"
    MOU = "mou", "Memorandum of understanding"
    AFFIDAVIT = "affidavit", "Affidavit"
    SIGNATURE = "signature", "Signature"
    OTHER = "other", "Other"


class DocumentState(models.TextChoices):
    MISSING = "missing", "Missing"
    WITH_FORM = "with_form", "With a form"  # a traveller sent it; it counts once the form is taken over
    RECEIVED = "received", "Received"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    WAIVED = "waived", "Waived"


# What each traveller hands in before departure, and which states settle one of them.
REQUIRED_DOCUMENTS = (
    DocumentKind.PASSPORT_SCAN,
    DocumentKind.RESERVATION,
    DocumentKind.MOU,
    DocumentKind.AFFIDAVIT,
    DocumentKind.SIGNATURE,
)
HANDED_IN = (DocumentState.RECEIVED, DocumentState.APPROVED, DocumentState.WAIVED)
# What is made here from a template that staff edit.
PAPER_KINDS = (DocumentKind.RESERVATION, DocumentKind.MOU, DocumentKind.AFFIDAVIT)
# Of these only the signed copy counts as handed in; what was made here is the sheet to be signed.
TO_BE_SIGNED = (DocumentKind.MOU, DocumentKind.AFFIDAVIT)


class PaymentKind(models.TextChoices):
    PAYMENT = "payment", "Payment"
    REFUND = "refund", "Refund"


class PaymentMethod(models.TextChoices):
    CARD = "card", "Card"
    TRANSFER = "transfer", "Bank transfer"
    CHEQUE = "cheque", "Cheque"
    CASH = "cash", "Cash"
    OTHER = "other", "Other"


class BatchKind(models.TextChoices):
    IMPORT = "import", "Import"
    STAGE = "stage", "Stage move"
    ARCHIVE = "archive", "Archive"
    ASSIGN = "assign", "Assignment"
    TAG = "tag", "Tags"
    MERGE = "merge", "Merge"
    CHANGE = "change", "Change"


class BatchVerb(models.TextChoices):
    MADE = "made", "Made"
    CHANGED = "changed", "Changed"


class BatchOutcome(models.TextChoices):
    """What an undo came to; empty before one was tried."""

    UNDONE = "undone", "Undone"
    PARTLY = "partly", "Partly undone"
    KEPT = "kept", "Kept"


class CostBasis(models.TextChoices):
    PER_PERSON = "per_person", "Per person"
    GROUP = "group", "For the group"


class Leg(models.TextChoices):
    """The way of a flight or transfer, as the destination sees it."""

    ARRIVAL = "arrival", "Arrival"
    DEPARTURE = "departure", "Departure"


class FormState(models.TextChoices):
    """Of a traveller's own form."""

    OPEN = "open", "Open"
    SENT_IN = "sent_in", "Sent in"
    ACCEPTED = "accepted", "Reviewed"
    WITHDRAWN = "withdrawn", "Withdrawn"


# A traveller has one such form at a time.
LIVE_FORMS = (FormState.OPEN, FormState.SENT_IN)


class FormStep(models.TextChoices):
    """What a traveller's form may ask for, in the order of asking."""

    DETAILS = "details", "Details"
    PASSPORT = "passport", "Passport"
    HEALTH = "health", "Health and diet"
    EMERGENCY = "emergency", "Emergency contacts"
    DOCUMENTS = "documents", "Documents"


class FormSigner(models.TextChoices):
    TRAVELLER = "traveller", "The traveller"
    GUARDIAN = "guardian", "Parent or guardian"


class ReadKind(models.TextChoices):
    """How somebody came to read what is sensitive."""

    RECORD = "record", "Opened on their page"
    CARD = "card", "Emergency card"
    REVIEW = "review", "Review"
    FILE = "file", "File"
    REPORT = "report", "Report"
    EXPORT = "export", "Export"
    IMPORT = "import", "Preview of an import"
    SEARCH = "search", "Search"
    PERSON = "person", "All that is kept of a person"


class ReadReason(models.TextChoices):
    """What for. Chosen, not typed: a typed reason would carry what it speaks of into the log."""

    BOOKING = "booking", "Booking flights, hotels or visas"
    CHECKING = "checking", "Checking it against papers"
    CORRECTING = "correcting", "Correcting it"
    ASKED = "asked", "The traveller asks"
    EMERGENCY = "emergency", "An emergency"
    DOCTOR = "doctor", "A doctor or hospital asks"
    GUIDE = "guide", "The guide on site asks"
