"""Contacts and passengers as rows of a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from trips import rules
from trips.enums import SEATED, Attendance, Occupancy, PassengerStage, Sex, Status
from trips.models import Contact, EmergencyContact, HealthRecord, Passenger, Passport
from trips.resources.base import Change, Column, RowResource, TagsColumn, every_field
from trips.resources.lookups import ContactReader, TripReader, key_of
from trips.resources.matching import Ambiguous, People, Person
from trips.resources.readers import Choice, Day, EMail, Phone, Reader, Tags, Whole, YesNo
from trips.services import enrolment
from trips.services.batches import Recorder
from trips.text import fold_name

_EMAIL_NAMES = ("email", "email address", "mail", "e-mail address", "contact email")
_PHONE_NAMES = ("phone number", "telephone", "tel", "mobile phone", "cell", "cell phone", "contact phone")


def _told(reader: Reader, text: Any) -> Any:
    """What a cell holds, for matching; what cannot be read is reported when its column is."""
    try:
        return reader.clean(text) if str(text).strip() else None
    except ValueError:
        return None


class Country(Reader):
    def read(self, text: str) -> str:
        return super().read(text).upper() if len(text) == 2 else super().read(text)


class ContactResource(RowResource):
    key = Column("Key", "uid", match=True, also=("contact key", "uid"))
    first_name = Column("First name", "first_name", also=("first", "given name", "forename"))
    last_name = Column("Last name", "last_name", also=("last", "surname", "family name"))
    company_name = Column("Company", "company_name", also=("company name", "organisation", "organization"))
    email = Column("E-mail", "email", EMail(), also=_EMAIL_NAMES)
    phone = Column("Phone", "phone", Phone(), also=_PHONE_NAMES)
    address_line1 = Column("Address", "address_line1", also=("street", "address line 1", "address 1"))
    city = Column("City", "city", also=("town",))
    state = Column("State", "state", also=("region", "province"))
    postal_code = Column("Postal code", "postal_code", also=("zip", "zip code", "postcode"))
    country = Column("Country", "country", Country(), also=("country code",))
    website = Column("Website", "website", also=("web", "url"))
    tags = TagsColumn("Tags", "tags", Tags(), help_text="Added to those a contact has.")
    do_not_contact = Column("Do not contact", "do_not_contact", YesNo(), also=("dnd",))
    notes = Column("Notes", "notes", also=("note", "comments"))
    source = Column("Source", "source", readonly=True)

    class Meta:
        model = Contact
        exclude = every_field(Contact)
        clean_model_instances = True
        skip_unchanged = report_skipped = True
        skip_diff = store_instance = True

    def before_import(self, dataset: Any, **kwargs: Any) -> None:
        self.people = People(self._person(dict(zip(dataset.headers, row, strict=True))) for row in dataset)

    def _person(self, row: dict[str, Any]) -> Person:
        return Person(
            str(row.get("First name", "")).strip(),
            str(row.get("Last name", "")).strip(),
            _told(EMail(), row.get("E-mail", "")) or "",
            _told(Phone(), row.get("Phone", "")) or "",
        )

    def find(self, row: Any) -> Contact | None:
        if text := str(row.get("Key", "")).strip():
            return _contact_by_key(text)
        person = self._person(row)
        found, by = _matched(self.people, person)
        self._now["known"] = f"Known by {by}" if found else ""
        if found is None:
            self._now["twin"] = self.people.twin(person)
        elif found.pk is None:
            raise ValidationError("The same as an earlier row of this file.")
        elif "phone" in by or fold_name(found.last_name) != person.name[1]:
            self._doubt(found, person)
        return found

    def _doubt(self, found: Contact, person: Person) -> None:
        """A family shares an address: another name under it may be another person, not a new name of this one."""
        if person.name != ("", "") and person.name != (fold_name(found.first_name), fold_name(found.last_name)):
            self._now["twin"] = f"The same address as {found} (no. {found.pk}), whose name would change."

    def identity(self, instance: Contact) -> Any:
        return instance.email or instance.phone or (fold_name(str(instance)),), fold_name(instance.full_name)

    def noted(self, instance: Contact) -> None:
        self.people.add(instance)


def _by_key(rows: Any, text: str, what: str) -> Any:
    key = key_of(text)
    return _there(rows.filter(uid=key).first() if key else None, text, what)


def _contact_by_key(text: str) -> Any:
    """A file made before a merge names the duplicate: the contact that stands for it is meant."""
    key = key_of(text)
    return _there(Contact.objects.of_key(key) if key else None, text, "contact")


def _there(found: Any, text: str, what: str) -> Any:
    if found is None:
        raise ValidationError(f"There is no {what} with the key {text!r}. Leave the key empty for a new one.")
    return found


def _matched(people: People, person: Person) -> tuple[Contact | None, str]:
    try:
        return people.find(person)
    except Ambiguous as error:
        raise ValidationError(str(error)) from None


class PartColumn(Column):
    """A column of a passenger's passport, health record or first emergency contact."""

    models: ClassVar[dict[str, Any]] = {
        "passport": Passport,
        "healthrecord": HealthRecord,
        "emergencycontact": EmergencyContact,
    }

    def holder(self, instance: Passenger) -> Any:
        parts = instance.__dict__.setdefault("imported_parts", {})
        if self.part not in parts:
            parts[self.part] = self._stored(instance) or self.models[self.part](passenger=instance)
        return parts[self.part]

    def _stored(self, passenger: Passenger) -> Any:
        if passenger.pk is None:
            return None
        if self.part == "emergencycontact":
            return next(iter(passenger.emergency_contacts.all()), None)
        return getattr(passenger, {"passport": "passport", "healthrecord": "health"}[self.part], None)


def _passport(label: str, attribute: str, reader: Reader | None = None, *also: str, secret: bool = False) -> PartColumn:
    shown_to = "trips.change_passport" if secret else "trips.view_passport"
    return PartColumn(label, attribute, reader, also=also, part="passport", shown_to=shown_to)


def _health(label: str, attribute: str, *also: str, reader: Reader | None = None) -> PartColumn:
    return PartColumn(label, attribute, reader, also=also, part="healthrecord", shown_to="trips.view_healthrecord")


def _emergency(label: str, attribute: str, *also: str, reader: Reader | None = None) -> PartColumn:
    title = f"Emergency contact {label}"
    names = (f"emergency {label}", *also)
    shown_to = "trips.view_emergencycontact"
    return PartColumn(title, attribute, reader, also=names, part="emergencycontact", shown_to=shown_to)


class ViaContact(Column):
    """An address of a passenger's contact: finds the person, and is given to a contact that is made."""

    def value_of(self, instance: Passenger) -> Any:
        return getattr(instance.contact, str(self.attribute)) if instance.contact_id else ""


class PassengerResource(RowResource):
    """People on trips. The contact is found or made; a passenger of the same name on the trip is changed."""

    own_checks = frozenset({"trip_is_full"})

    key = Column("Key", "uid", match=True, also=("passenger key", "uid"))
    legal_first_name = Column(
        "Legal first name", "legal_first_name", also=("first name", "first", "given name", "forename", "given names")
    )
    legal_middle_name = Column("Legal middle name", "legal_middle_name", also=("middle name", "middle"))
    legal_last_name = Column("Legal last name", "legal_last_name", also=("last name", "last", "surname", "family name"))
    preferred_name = Column("Preferred name", "preferred_name", also=("nickname", "known as"))
    email = ViaContact("E-mail", "email", EMail(), match=True, also=_EMAIL_NAMES)
    phone = ViaContact("Phone", "phone", Phone(), match=True, also=(*_PHONE_NAMES, "mobile"))
    contact_key = ViaContact("Contact key", "uid", match=True)
    trip = Column("Trip", "trip", TripReader(), also=("trip name", "tour", "departure"))
    number = Column("Number", "number", Whole(least=1), also=("no", "passenger number"))
    attendance = Column("Attendance", "attendance", Choice(Attendance.choices))
    stage = Column("Stage", "stage", Choice(PassengerStage.choices, open_to=True))
    status = Column("Status", "status", Choice(Status.choices))
    date_of_birth = Column("Date of birth", "date_of_birth", Day(), also=("dob", "birth date", "birthday", "born"))
    sex = Column("Sex", "sex", Choice(Sex.choices), also=("gender",))
    is_child = Column("Is a child", "is_child", YesNo(), also=("child", "minor"))
    guardian = Column("Guardian", "guardian", ContactReader(), also=("parent",))
    birth_country = Column("Birth country", "birth_country", also=("country of birth", "place of birth"))
    details_submitted_on = Column("Details submitted on", "details_submitted_on", Day(), also=("form submitted",))
    occupancy = Column(
        "Occupancy", "occupancy", Choice(Occupancy.choices), also=("room", "room type", "room occupancy")
    )
    roommate_request = Column("Roommate request", "roommate_request", also=("roommate", "sharing with"))
    licence = Column("Travel licence", "licence", also=("licence", "license", "travel license"))
    legacy_passenger_id = Column("Legacy passenger ID", "legacy_passenger_id", readonly=True)

    passport_number = _passport("Passport number", "number", None, "passport", "passport no", secret=True)
    passport_expires = _passport("Passport expires", "expires_on", Day(), "passport expiry", "passport expiration")
    passport_country = _passport("Passport country", "country", None, "nationality", "issuing country")
    nothing_to_declare = _health("Nothing to declare", "nothing_to_declare", reader=YesNo())
    allergies = _health("Allergies", "allergies", "allergy")
    diet = _health("Diet", "diet", "dietary", "dietary requirements")
    medical_notes = _health("Medical notes", "medical_notes", "medical", "medical conditions")
    medications = _health("Medications", "medications", "medication")
    general_health = _health("General health", "general_health", "health")
    physician_name = _health("Physician name", "physician_name", "physician", "doctor")
    physician_phone = _health("Physician phone", "physician_phone", reader=Phone())
    emergency_first_name = _emergency("first name", "first_name", "emergency contact", "emergency name")
    emergency_last_name = _emergency("last name", "last_name")
    emergency_relationship = _emergency("relationship", "relationship", "relationship")
    emergency_phone = _emergency("phone", "phone", reader=Phone())
    emergency_mobile = _emergency("mobile", "mobile", reader=Phone())
    emergency_email = _emergency("e-mail", "email", "emergency email", reader=EMail())

    class Meta:
        model = Passenger
        exclude = every_field(Passenger)
        clean_model_instances = True
        skip_unchanged = report_skipped = True
        skip_diff = store_instance = True

    # Whom a row means

    def before_import(self, dataset: Any, **kwargs: Any) -> None:
        rows = [dict(zip(dataset.headers, row, strict=True)) for row in dataset]
        self.people = People(self._person(row) for row in rows)
        self._trips: dict[int, dict[Any, Passenger]] = {}
        self._booked: dict[int, int] = {}

    def _person(self, row: dict[str, Any]) -> Person:
        return Person(
            str(row.get("Legal first name", "")).strip(),
            str(row.get("Legal last name", "")).strip(),
            _told(EMail(), row.get("E-mail", "")) or "",
            _told(Phone(), row.get("Phone", "")) or "",
            _told(Day(), row.get("Date of birth", "")),
        )

    def find(self, row: Any) -> Passenger | None:
        if text := str(row.get("Key", "")).strip():
            found = _by_key(self._whole(Passenger.objects), text, "passenger")
            self._now |= {"contact": found.contact, "trip": found.trip, "known": "Known by key"}
            return found
        for column in self.columns:
            if isinstance(column, ViaContact) and str(row.get(column.label, "")).strip():
                try:
                    column.widget.clean(row[column.label])
                except ValueError as error:
                    raise ValidationError(f"{column.label}: {error}") from None
        trip, person = self._trip_of(row), self._person(row)
        contact, by = self._contact_of(row, person)
        self._now |= {"contact": contact, "trip": trip, "person": person, "known": f"Known by {by}" if by else ""}
        if contact is None:
            self._now["twin"] = self.people.twin(person)
        if contact is None or contact.pk is None or trip is None:
            return None
        there = self._on(trip)
        found = there.get((contact.pk, *person.name))
        if found is None and person.born:
            for other in there.values():
                if (other.contact_id, other.date_of_birth) == (contact.pk, person.born):
                    self._now["twin"] = f"The same birthday and contact as {other}, who is on this trip."
        return found

    def _contact_of(self, row: Any, person: Person) -> tuple[Contact | None, str]:
        if text := str(row.get("Contact key", "")).strip():
            return _contact_by_key(text), "the contact’s key"
        return _matched(self.people, person)

    def _trip_of(self, row: Any) -> Any:
        text = str(row.get("Trip", "")).strip()
        if not text:
            return self.trip
        column: Any = self.fields["trip"]
        try:
            found = column.widget.clean(text)
        except ValueError as error:
            raise ValidationError(f"Trip: {error}") from None
        if self.trip is not None and found != self.trip:
            raise ValidationError(f"This import is for {self.trip}; the row names {found}.")
        return found

    def _whole(self, rows: Any) -> Any:
        """Passengers with whatever parts the columns write, in a fixed number of queries."""
        return rows.select_related("contact", "trip", "guardian", "passport", "health").prefetch_related(
            "emergency_contacts"
        )

    def _on(self, trip: Any) -> dict[Any, Passenger]:
        """Who is on the trip, by contact and name; read once a file."""
        if trip.pk not in self._trips:
            people = self._whole(trip.passengers).order_by("-pk")
            self._trips[trip.pk] = {
                (one.contact_id, fold_name(one.legal_first_name), fold_name(one.legal_last_name)): one for one in people
            }
        return self._trips[trip.pk]

    def after_init_instance(self, instance: Any, new: bool, row: Any, **kwargs: Any) -> None:
        if new:
            instance.trip = self._now["trip"]
            instance.contact = self._now["contact"] or self._newcomer(self._now["person"])
        super().after_init_instance(instance, new, row, **kwargs)

    def _newcomer(self, person: Person) -> Contact:
        return Contact(
            first_name=person.first_name[:100],
            last_name=person.last_name[:100],
            email=person.email,
            phone=person.phone,
        )

    # Its checks

    def check(self, obj: Any, given: set[str], errors: dict[str, Any]) -> None:
        if obj.pk is None and obj.contact.pk is None and not self.user.has_perm("trips.add_contact"):
            raise ValidationError("Nobody here has this address, and you may not add contacts. Ask who may.")
        if self.recorder is not None and obj.trip_id is not None:
            enrolment.hold(obj.trip_id)
        super().check(obj, given, errors)
        if not obj.pk and obj.contact.pk is None:
            for violation in rules.violations(obj.contact):
                if violation.blocking:
                    errors.setdefault("contact", []).append(ValidationError(violation.sentence))
        for name, part in obj.__dict__.get("imported_parts", {}).items():
            columns = {str(one.attribute) for one in self._now["given"] if one.part == name}
            if columns:
                found: dict[str, Any] = {}
                super().check(part, columns, found)
                errors |= {f"{name}.{field}": texts for field, texts in found.items()}
        self._check_seats(obj, errors)

    def skipped_rules(self, obj: Any) -> frozenset[str]:
        # Whom a preview found new is not on the trip: that was read once for the file. Saving asks again, locked.
        looked_up = {"on_this_trip_already"} if self.recorder is None and not obj.pk else set()
        return self.own_checks | looked_up

    def _check_seats(self, obj: Passenger, errors: dict[str, Any]) -> None:
        """The seats that earlier rows of this file take count, too, and a preview has saved none of them."""
        trip: Any = obj.trip
        if errors or obj.pk or trip is None or trip.capacity is None or obj.attendance not in SEATED:
            return
        if trip.pk not in self._booked or self.recorder is not None:
            self._booked[trip.pk] = trip.passengers.filter(attendance__in=SEATED).count()
        if self._booked[trip.pk] < trip.capacity:
            return
        told = f"{trip} has {trip.capacity} seats, and they are taken."
        if self.user.has_perm("trips.overbook_trip"):
            self._now["warnings"].append(told)
        else:
            hint = "Set the attendance to “waitlisted”, or ask who may overbook."
            errors.setdefault("attendance", []).append(ValidationError(f"{told} {hint}"))

    def identity(self, instance: Passenger) -> Any:
        contact = instance.contact
        address = contact.pk or contact.email or contact.phone or instance.date_of_birth
        names = (fold_name(instance.legal_first_name), fold_name(instance.legal_last_name))
        return (instance.trip_id, address, *names)

    def skip_row(self, instance: Any, original: Any, row: Any, import_validation_errors: Any = None) -> bool:
        skipped = super().skip_row(instance, original, row, import_validation_errors)
        if not instance.pk and instance.contact.pk is None:
            made = ((name, getattr(instance.contact, name)) for name in ("email", "phone"))
            labels = {"email": "E-mail", "phone": "Phone"}
            self._now["changes"] += [Change(labels[name], "", value) for name, value in made if value]
        return skipped

    # Saving

    def store(self, recorder: Recorder, instance: Any) -> None:
        if not instance.pk:
            if instance.contact.pk is None:
                instance.contact = recorder.make(instance.contact)
            recorder.make(instance, save=lambda row: enrolment.enrol(passenger=row))
        elif values := self.values_of(instance):
            recorder.change(instance, save=_save_passenger, **values)
        for name, part in instance.__dict__.get("imported_parts", {}).items():
            columns = [one for one in self._now["given"] if one.part == name]
            if columns and part.pk is None:
                part.passenger = instance
                recorder.make(part)
            elif columns:
                recorder.change(part, **{str(one.attribute): one.value_of(instance) for one in columns})

    def noted(self, instance: Passenger) -> None:
        self.people.add(instance.contact)
        self.people.add_traveller(instance)
        if self._now["new"] and instance.trip_id in self._booked and instance.attendance in SEATED:
            self._booked[instance.trip_id] += 1

    # Export

    def filter_export(self, queryset: QuerySet[Any], **kwargs: Any) -> QuerySet[Any]:
        return self._whole(queryset.defer(None))  # the list defers what is encrypted: a query a row here


def _save_passenger(row: Passenger, fields: Iterable[str]) -> None:
    if {"trip", "number"} & {*fields}:
        enrolment.reseat(passenger=row, columns={*fields})
    else:
        row.save(update_fields={*fields})
