"""The one place that knows both vocabularies; push, pull, provisioning, checks and the documentation read it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping

from ghl_sync.mapping.converters import (
    BIGINT,
    SMALLINT,
    Choice,
    Converter,
    CountryCode,
    Date,
    Email,
    Files,
    Flag,
    Integer,
    LongText,
    Money,
    Option,
    Phone,
    Status,
    Tags,
    Text,
    YesNo,
)
from ghl_sync.mapping.fields import FieldMap, ObjectMap, Way
from trips.countries import country_code

STATUSES = {"open": "open", "won": "won", "lost": "lost", "abandoned": "abandoned"}
TRIP_STAGES = {
    "form_submit": "FormSubmit",
    "trip_finalized": "TripFinalized",
    "travelers_added": "TravelersAdded",
    "trip_scheduled": "TripScheduled",
    "trip_complete": "TripComplete",
}
PASSENGER_STAGES = {
    "added_to_trip": "AddedToTrip",
    "details_submitted": "DetailsSubmitted",
    "trip_details_sent": "TripDetailsSent",
    "trip_ready": "TripReady",
    "trip_in_progress": "TripInProgress",
    "trip_complete": "TripComplete",
}
TRAVEL_CATEGORIES = {
    "people_to_people": "People To People",
    "support_cuban_people": "Support For The Cuban People",
    "other": "Other",
}
OCCUPANCIES = {"single": "Single Occupancy", "double": "Double Occupancy"}

KEY_FIELD = "opportunity.tripbuilder_key"
TRIP_KEY_FIELD = "opportunity.tripbuilder_trip"
CONTACT_KEY_FIELD = "contact.tripbuilder_key"

TEXT = Text()
LONG = LongText()
DATE = Date()
NUMBER = Integer()
# A phone in a custom field is free text over there, so only trimming and E.164 where it parses.
CALL = Phone(length=255)


def _custom(name: str, key: str, converter: Converter = TEXT, way: Way = Way.BOTH, group: str = "") -> FieldMap:
    return FieldMap(name, f"opportunity.{key}", converter, way, group)


def _key(remote: str, name: str = "key", label: str = "TripBuilder key") -> FieldMap:
    return FieldMap(name, remote, TEXT, Way.UP, provision="TEXT", label=label)


TRIP = ObjectMap(
    kind="trip",
    remote_kind="opportunity",
    fields=(
        FieldMap("name", "name", TEXT),
        FieldMap("stage", "pipelineStageId", Choice(length=64, codes=TRIP_STAGES, free=True)),
        FieldMap("status", "status", Status(length=16, codes=STATUSES)),
        FieldMap("organiser", "contactId", TEXT, Way.CREATE, reference=True),
        _key(KEY_FIELD),
        _custom("trip_name", "trip_name", Option(), Way.UP),
        _custom("legacy_trip_id", "trip_id", Integer(BIGINT)),
        _custom("description", "trip_description", LONG),
        _custom("internal_notes", "internal_trip_details", LONG),
        _custom("start_date", "start_date", DATE),
        _custom("end_date", "end_date", DATE),
        _custom("arrival_date", "arrival_date", DATE),
        _custom("return_date", "return_date", DATE),
        _custom("nights_override", "nights_total", NUMBER),
        _custom("deposit_due", "deposit_date", DATE),
        _custom("final_payment_due", "final_payment", DATE),
        _custom("capacity", "max_passengers", NUMBER),
        _custom("enrolled_count", "passenger_count", NUMBER, Way.UP),
        _custom("price_per_person", "trip_standard_level_pricing", Money()),
        FieldMap("vendor", "opportunity.trip_vendor", Option(length=200), reference=True),
        _custom("vendor_terms", "vendor_terms", LONG),
        _custom("travel_business", "travel_business_used", Option(length=120)),
        _custom("lodging", "lodging", Option(length=120)),
        _custom("travel_category", "travel_category", Choice(length=120, codes=TRAVEL_CATEGORIES, free=True)),
        _custom("lodging_notes", "lodging_notes", LONG),
        _custom("documents.reservation", "reservation", Files(), Way.DOWN, "document"),
        _custom("documents.mou", "mou", Files(), Way.DOWN, "document"),
        _custom("documents.affidavit", "affidavit", Files(), Way.DOWN, "document"),
    ),
)

PASSENGER = ObjectMap(
    kind="passenger",
    remote_kind="opportunity",
    fields=(
        FieldMap("title", "name", Text(length=120), Way.CREATE),
        FieldMap("stage", "pipelineStageId", Choice(length=64, codes=PASSENGER_STAGES, free=True)),
        FieldMap("status", "status", Status(length=16, codes=STATUSES)),
        FieldMap("contact", "contactId", TEXT, Way.CREATE, reference=True),
        _key(KEY_FIELD),
        _key(TRIP_KEY_FIELD, "trip_key", "TripBuilder trip"),
        FieldMap("trip_name", "opportunity.trip_name", Option(), reference=True),
        FieldMap("trip_id", "opportunity.trip_id", Integer(BIGINT), reference=True),
        _custom("legal_first_name", "passenger_first_name", Text(length=100)),
        _custom("legal_last_name", "passenger_last_name", Text(length=100)),
        _custom("legacy_passenger_id", "passenger_id", Text(length=64), Way.DOWN),
        _custom("number", "passenger_number", Integer(SMALLINT)),
        _custom("is_child", "is_child", YesNo()),
        _custom("birth_country", "birth_country", Option(length=120)),
        _custom("details_submitted_on", "form_submitted_date", DATE),
        _custom("occupancy", "room_occupancy", Choice(length=16, codes=OCCUPANCIES)),
        _custom("roommate_request", "user_roomate", TEXT),
        _custom("licence", "travel_category_license", Option()),
        _custom("passport.number", "passport_number", TEXT, group="passport"),
        _custom("passport.expires_on", "passport_expire", DATE, group="passport"),
        _custom("passport.country", "passport_country", Option(length=120), group="passport"),
        _custom("health.general_health", "health_state", LONG, group="health"),
        _custom("health.medical_notes", "health_medical_info", LONG, group="health"),
        _custom("health.medications", "medication_list", LONG, group="health"),
        _custom("health.physician_name", "primary_phy", LONG, group="health"),
        _custom("health.physician_phone", "physician_phone", LONG, group="health"),
        _custom("emergency.first_name", "contact1_ufirst_name"),
        _custom("emergency.last_name", "contact1_ulast_name"),
        _custom("emergency.relationship", "contact1_urelationship"),
        _custom("emergency.address", "contact1_umailing_address"),
        _custom("emergency.city", "contact1_ucity"),
        _custom("emergency.state", "contact1_ustate", Option(length=120)),
        _custom("emergency.postal_code", "contact1_uzip"),
        _custom("emergency.email", "contact1_uemail"),
        _custom("emergency.phone", "contact1_uphone", CALL),
        _custom("emergency.mobile", "contact1_umob_number", CALL),
        _custom("documents.passport_scan", "passport_file", Files(), Way.DOWN, "document"),
        _custom("documents.reservation", "reservation", Files(), Way.DOWN, "document"),
        _custom("documents.mou", "mou", Files(), Way.DOWN, "document"),
        _custom("documents.affidavit", "affidavit", Files(), Way.DOWN, "document"),
        _custom("documents.signature", "passenger_signature", Files(), Way.DOWN, "document"),
    ),
)

CONTACT = ObjectMap(
    kind="contact",
    remote_kind="contact",
    fields=(
        FieldMap("first_name", "firstName", Text(length=100)),
        FieldMap("last_name", "lastName", Text(length=100)),
        FieldMap("email", "email", Email()),
        FieldMap("phone", "phone", Phone()),
        FieldMap("address_line1", "address1", TEXT),
        FieldMap("city", "city", Text(length=120)),
        FieldMap("state", "state", Text(length=120)),
        FieldMap("postal_code", "postalCode", Text(length=32)),
        FieldMap("country", "country", CountryCode(country_code)),
        FieldMap("website", "website", TEXT),
        FieldMap("tags", "tags", Tags()),
        FieldMap("company_name", "companyName", Text(length=200), Way.CREATE),
        FieldMap("source", "source", TEXT, Way.DOWN),
        FieldMap("do_not_contact", "dnd", Flag(), Way.DOWN),
        FieldMap("key", CONTACT_KEY_FIELD, TEXT, Way.UP, provision="TEXT", label="TripBuilder key"),
    ),
)

MAPS: Mapping[str, ObjectMap] = {table.kind: table for table in (TRIP, PASSENGER, CONTACT)}
# Stages that have a code of ours, by kind: code → the name it goes by over there.
STAGES: Mapping[str, Mapping[str, str]] = {"trip": TRIP_STAGES, "passenger": PASSENGER_STAGES}

# Which agreements this code can carry on; `LOADED_AT` tells of two codes which is the newer one.
FINGERPRINTS: Mapping[str, Mapping[str, str]] = {kind: table.fingerprints for kind, table in MAPS.items()}
FINGERPRINT = hashlib.blake2b(json.dumps(FINGERPRINTS, sort_keys=True).encode(), digest_size=8).hexdigest()
LOADED_AT = dt.datetime.now(dt.UTC)
