"""Contacts and passengers. A passenger's sensitive parts are inlines, seen by whoever may view their models."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display

from trips.admin.base import (
    DepartureFilter,
    Instead,
    LookFilter,
    StaffAdmin,
    StaffInline,
    badge,
    day,
    flag_badges,
)
from trips.admin.board_cards import PassengerBoard
from trips.admin.bulk_verbs import ContactBulk, PassengerBulk
from trips.admin.contact_history import ContactHistory
from trips.admin.emergency import EmergencyCard
from trips.admin.exporting import ExportPages
from trips.admin.filing import FilingPages, RequiredSet
from trips.admin.importing import ImportPages
from trips.admin.licences import LicenceShown
from trips.admin.lists import FoldedSearch
from trips.admin.making import MakingPages
from trips.admin.merging import MergePages
from trips.admin.money import PassengerMoney
from trips.admin.ofac import OfacPages
from trips.admin.privacy import PrivacyPages
from trips.admin.read_log import NotedSearch, ReadLogLink
from trips.admin.reminders import PassengerReminders
from trips.admin.reveal import RevealPages, is_revealed, reveal_link
from trips.admin.timeline import TimelinePage
from trips.admin.traveller_forms import TravellerFormPage
from trips.enums import Attendance
from trips.forms import ContactForm, EmergencyContactForm, HealthRecordForm, PassengerForm, PassportForm
from trips.gaps import GAPS, lacking
from trips.models import Contact, EmergencyContact, HealthRecord, Passenger, Passport
from trips.querysets import flagged
from trips.rules import e164
from trips.services import enrolment
from trips.services.reminding import with_last_asked

_COLOURS = {"ok": "good", "short": "doubt", "expired": "bad", "missing": "bad"}


def validity_badge(passenger: Passenger) -> SafeString:
    """Green, amber or red, with the rule in words."""
    passport = getattr(passenger, "passport", None) or Passport(passenger=passenger)
    until = passport.needed_until
    need = f"needs {day(until)}" if until else "the trip has no end date"
    label = f"{passport.validity.label}, {need}" if passport.validity == "short" else str(passport.validity.label)
    title = f"expires {day(passport.expires_on)}, {need}" if passport.expires_on else need
    return badge(label, _COLOURS[passport.validity], title)


@admin.register(Contact)
class ContactAdmin(
    NotedSearch,
    PrivacyPages,
    MergePages,
    ContactHistory,
    ContactBulk,
    FoldedSearch,
    ImportPages,
    ExportPages,
    StaffAdmin,
):
    actions = ("tag_selected", "delete_selected")
    actions_list = ("to_duplicates", "import_rows", "export_rows")
    actions_detail = ("merge_with", "export_person", "erase_person")
    form = ContactForm
    empty_title = "No contacts here"
    needed_by = ("passenger, trip or merged contact needs it", "passengers, trips and merged contacts need it")
    list_display = ("name", "company_name", "email", "phone", "city", "country", "look")
    list_filter = (LookFilter,)
    search_fields = ("search_key",)
    search_help_text = "Name, company, e-mail or phone"
    readonly_fields = ("source",)

    def layout(self, request: HttpRequest, obj: Any = None) -> Any:
        person = (("first_name", "last_name"), "company_name", "email", "phone", "tags", "do_not_contact")
        place = ("address_line1", ("city", "state"), ("postal_code", "country"), "website")
        return [
            (None, {"fields": person}),
            ("Address", {"classes": ("tab",), "fields": place}),
            ("Notes", {"classes": ("tab",), "fields": ("notes", "source")}),
        ]

    def ways_of_term(self, term: str) -> list[Q]:
        digits = "".join(char for char in term if char.isdigit())
        if len(digits) < 4 or any(char.isalpha() for char in term):
            return []
        number = e164(term)
        return [Q(phone__contains=digits), *([Q(phone=number)] if number else [])]

    @display(description="name", ordering="last_name")
    def name(self, contact: Contact) -> str:
        return str(contact)

    @display(description="look at")
    def look(self, contact: Contact) -> SafeString:
        return flag_badges(contact)


class PassengerPart(StaffInline):
    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        """One empty form where there is no row yet: it can be typed into at once and, left empty, is not saved."""
        return 0 if obj is not None and self.model._base_manager.filter(passenger=obj).exists() else 1

    def was_shown(self, request: HttpRequest, passenger: Any) -> bool:
        """Whether the page that is saved now had the row of this part: it may have been made since."""
        name = self.model._meta.get_field("passenger").remote_field.get_accessor_name()
        none_there = request.method == "POST" and request.POST.get(f"{name}-INITIAL_FORMS") == "0"
        return isinstance(passenger, Passenger) and hasattr(passenger, name) and not none_there


class PassportInline(PassengerPart):
    """The number is typed where there is none, or where somebody said what they need the one for that is there."""

    model = Passport
    form = PassportForm
    max_num = 1

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        number = "number" if self._may_type_number(request, obj) else "masked_number"
        return (number, "expires_on", "country", "validity_shown")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = self.get_fields(request, obj)
        return ("masked_number", "validity_shown") if self._may_type(request, obj) else (*fields,)

    def _may_type(self, request: HttpRequest, passenger: Any) -> bool:
        """Whoever may only add one types it where there is none yet, and reads it masked ever after."""
        recorded = passenger is not None and hasattr(passenger, "passport")
        allowed = self.has_change_permission if recorded else self.has_add_permission
        return allowed(request, passenger)

    def _may_type_number(self, request: HttpRequest, passenger: Any) -> bool:
        hidden = self.was_shown(request, passenger) and passenger.passport.number
        shown = not hidden or is_revealed(request, "passport", passenger.pk)
        return shown and self._may_type(request, passenger)

    @display(description="number")
    def masked_number(self, passport: Passport) -> SafeString | str:
        if not passport.number:
            return ""
        link = reveal_link("passport", passport.passenger_id, "Show the number")
        return format_html("{} &nbsp; {}", passport.masked_number, link)

    @display(description="validity")
    def validity_shown(self, passport: Passport) -> SafeString | str:
        return validity_badge(passport.passenger) if passport.pk else ""


class HealthRecordInline(PassengerPart):
    """What is there is shown to who said what for; what is not there yet is simply typed."""

    model = HealthRecord
    form = HealthRecordForm
    max_num = 1

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return _HEALTH_FIELDS if self._is_open(request, obj) else ("out_of_sight",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if self._is_open(request, obj) else ("out_of_sight",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_open(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_open(request, obj)

    def _is_open(self, request: HttpRequest, passenger: Any) -> bool:
        return not self.was_shown(request, passenger) or is_revealed(request, "health", passenger.pk)

    @display(description="health record")
    def out_of_sight(self, record: HealthRecord) -> SafeString | str:
        if record.pk is None:
            return ""
        return format_html("There is one. {}", reveal_link("health", record.passenger_id, "Show it"))


_HEALTH_FIELDS = (
    "nothing_to_declare",
    "allergies",
    "diet",
    "medical_notes",
    "medications",
    "general_health",
    ("physician_name", "physician_phone"),
)


class EmergencyContactInline(PassengerPart):
    model = EmergencyContact
    form = EmergencyContactForm
    fields = (
        ("first_name", "last_name"),
        ("relationship", "position"),
        ("phone", "mobile"),
        "email",
        "address",
        ("city", "state"),
        "postal_code",
    )


class PassengerLookFilter(LookFilter):
    """What breaks a rule, and what the booked ones still lack, as far as the user may know of it."""

    questions = {
        "flagged": ("Breaks a rule", flagged),
        "no_trip": ("Without a trip", lambda passengers: passengers.filter(trip__isnull=True)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        self.gaps = {gap.code: gap for gap in GAPS if request.user.has_perm(gap.permission)}
        return [*super().lookups(request, model_admin), *((gap.code, gap.lacking) for gap in self.gaps.values())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in self.gaps:
            return lacking(queryset, str(self.value()), timezone.localdate())
        return super().queryset(request, queryset)


@admin.register(Passenger)
class PassengerAdmin(
    NotedSearch,
    RevealPages,
    ReadLogLink,
    EmergencyCard,
    TravellerFormPage,
    PassengerReminders,
    PassengerBoard,
    TimelinePage,
    MakingPages,
    FilingPages,
    OfacPages,
    RequiredSet,
    LicenceShown,
    PassengerBulk,
    FoldedSearch,
    ImportPages,
    ExportPages,
    PassengerMoney,
    StaffAdmin,
):
    actions_detail = (
        *PassengerMoney.actions_detail,
        "documents",
        "traveller_form",
        "emergency_card",
        "to_timeline",
        "readers",
    )
    actions_list = ("to_board", "import_rows", "export_rows")
    form = PassengerForm
    inlines = (PassportInline, HealthRecordInline, EmergencyContactInline)
    empty_title = "No passengers here"
    needed_by = ("payment is recorded for them", "payments are recorded for them")
    instead_of_delete = Instead(
        "cancel_selected", "Cancel the booking instead", "The seat becomes free; payments and papers stay."
    )
    actions = (
        "stage_selected",
        "papers_selected",
        "remind_selected",
        "move_selected",
        "remind_payment_selected",
        "cancel_selected",
        "delete_selected",
    )
    list_display = ("name", "trip", "attendance", "stage", "passport_validity", "asked", "look")
    list_filter = (
        ("stage", ChoicesCheckboxFilter),
        ("attendance", ChoicesCheckboxFilter),
        PassengerLookFilter,
        DepartureFilter,
    )
    list_select_related = ("trip", "contact")
    search_fields = ("search_key",)
    search_help_text = "Legal name, contact's e-mail, number or legacy ID"
    autocomplete_fields = ("contact", "trip", "guardian")
    readonly_fields = ("legacy_passenger_id", "trip_name_raw", "trip_id_raw")

    def layout(self, request: HttpRequest, obj: Any = None) -> Any:
        names = (("legal_first_name", "legal_middle_name"), ("legal_last_name", "preferred_name"))
        profile = (*names, "contact", "trip", ("attendance", "number"))
        person = (("date_of_birth", "sex"), "birth_country", ("is_child", "guardian"))
        room = (("stage", "status"), "details_submitted_on", "occupancy", "roommate_request")
        received = ("legacy_passenger_id", "trip_name_raw", "trip_id_raw")
        tabs = [
            (None, {"fields": profile}),
            ("Person", {"classes": ("tab",), "fields": person}),
            ("Trip & room", {"classes": ("tab",), "fields": (*room, self.licence_line(request, obj))}),
        ]
        return tabs if obj is None else [*tabs, ("Record", {"classes": ("tab",), "fields": received})]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if request.user.has_perm("trips.overbook_trip"):
            form.forbidden = form.forbidden - {"trip_is_full"}
        return form

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in ("trip__id__exact", "trip__organiser__id__exact") or super().lookup_allowed(
            lookup, value, request
        )

    def create_model(self, request: HttpRequest, obj: Any, form: Any) -> None:
        enrolment.enrol(passenger=obj)

    def change_model(self, request: HttpRequest, obj: Any, form: Any) -> None:
        columns = form.columns()
        if not {"trip", "number"} & {*columns}:
            super().change_model(request, obj, form)
            return
        enrolment.reseat(passenger=obj, columns=columns)
        if "number" not in columns and obj.number is not None:
            self.message_user(request, f"{obj} has number {obj.number} on {obj.trip}.", messages.INFO)

    def instead_helps(self, obj: Passenger) -> bool:
        return obj.attendance != Attendance.CANCELLED

    def response_add(self, request: HttpRequest, obj: Passenger, post_url_continue: Any = None) -> Any:
        answer = super().response_add(request, obj, post_url_continue)
        if "_addanother" in request.POST and obj.trip_id is not None:
            # The next one is most likely on the same trip.
            url = urlsplit(answer["Location"])
            answer["Location"] = url._replace(query=f"{url.query}&trip={obj.trip_id}".lstrip("&")).geturl()
        return answer

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if request.user.has_perm("trips.view_passport"):
            return columns
        return [column for column in columns if column != "passport_validity"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Passenger]:
        # The number stays encrypted: a list has no use for it, and a wrong key must not break the list.
        rows = super().get_queryset(request).select_related("passport", "trip")
        return with_last_asked(rows.defer("passport__number"))

    def ways_of_word(self, word: str) -> list[Q]:
        # "ana" is in thousands of addresses, and nobody who types it means them.
        is_address = any(char in "@._" or char.isdigit() for char in word)
        return [*super().ways_of_word(word), *([Q(contact__email__contains=word)] if is_address else [])]

    def ways_of_term(self, term: str) -> list[Q]:
        ways = [Q(legacy_passenger_id=term)] if term else []
        if term.isascii() and term.isdigit() and len(term) <= 5 and int(term) < 32768:
            ways.append(Q(number=int(term)))
        return ways

    @display(description="name", ordering="legal_last_name")
    def name(self, passenger: Passenger) -> str:
        return str(passenger)

    @display(description="passport")
    def passport_validity(self, passenger: Passenger) -> SafeString:
        return validity_badge(passenger)

    @display(description="last asked", ordering="last_asked")
    def asked(self, passenger: Any) -> str | None:
        return day(timezone.localtime(passenger.last_asked).date()) if passenger.last_asked else None

    @display(description="look at")
    def look(self, passenger: Passenger) -> SafeString:
        return flag_badges(passenger)
