"""System checks: a wrong row of the mapping, or settings that contradict each other, are found at start-up.

Each message is a sentence with a hint. Rows that make no sense are errors; settings with which the product still
works, if not as meant, are warnings, so that the site stays up while somebody corrects them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.validators import validate_email
from django.db import models
from django.db.backends.base.operations import BaseDatabaseOperations

from ghl_sync import conf
from ghl_sync.engine.local import MODELS, PARTS
from ghl_sync.mapping import converters as c
from ghl_sync.mapping import kinds
from ghl_sync.mapping.fields import FieldMap, ObjectMap, Way
from ghl_sync.mapping.table import MAPS
from trips.enums import DocumentKind

TABLE = "ghl_sync/mapping/table.py"
# Rows whose value the engine computes from other records (`engine.local.Local.values`), so that no column holds them.
COMPUTED: Mapping[str, frozenset[str]] = {
    "trip": frozenset({"key", "trip_name", "enrolled_count"}),
    "passenger": frozenset({"key", "title", "trip_key", "trip_name", "trip_id"}),
    "contact": frozenset({"key"}),
}


def mapping_is_sound(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Every row names a real field, and its converter can neither overflow nor lose what the field holds."""
    return [message for table in MAPS.values() for message in check_table(table)]


def settings_agree(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """The settings of the sync make sense together."""
    return list(_settings())


def register() -> None:
    """Called once at start-up."""
    checks.register(mapping_is_sound, "ghl_sync")
    checks.register(settings_agree, "ghl_sync")


# The mapping


def check_table(table: ObjectMap) -> Iterator[checks.CheckMessage]:
    """What is wrong with the rows of one kind of object."""
    for row in table.fields:
        words = _row_itself(table, row) or _field_of(table, row)
        if words is not None:
            yield checks.Error(
                f"The mapping's row {table.kind}.{row.name}: {words[0]}", hint=words[1], id="ghl_sync.E001"
            )
    yield from _doubles(table)


Words = tuple[str, str]


def _row_itself(table: ObjectMap, row: FieldMap) -> Words | None:
    """What can be said of a row without looking at the model."""
    if row.custom and not row.remote.startswith(f"{table.remote_kind}."):
        return f"{row.remote} is no field of its {table.remote_kind}.", f"Begin its key with {table.remote_kind}."
    if row.custom and not kinds.data_types(row):
        return "its converter reads a field of GoHighLevel's own.", "Give it a converter that custom fields have."
    if row.provision and not row.label:
        return "a field that we create needs a name.", "Give it a label."
    return None


def _field_of(table: ObjectMap, row: FieldMap) -> Words | None:
    """What is wrong between a row and the column it names."""
    if row.name in COMPUTED[table.kind]:
        return None
    if row.part == "documents":
        return _document(row)
    model = PARTS.get(row.part) if row.part else MODELS[table.kind]
    if model is None:
        return f"there is no part {row.part!r}.", f"Use one of {', '.join((*PARTS, 'documents'))}."
    try:
        column = model._meta.get_field(row.attribute)
    except FieldDoesNotExist:
        return f"{model.__name__} has no field {row.attribute!r}.", f"Correct the name in {TABLE}."
    if not isinstance(column, models.Field):
        return f"{model.__name__}.{row.attribute} is no column.", f"Correct the name in {TABLE}."
    if row.reference:
        return None if column.is_relation else ("it is no reference to another record.", "Drop `reference`.")
    return _fits(row, column)


def _document(row: FieldMap) -> Words | None:
    if row.attribute not in DocumentKind.values:
        return f"there is no kind of document {row.attribute!r}.", f"Use one of {', '.join(DocumentKind.values)}."
    if row.way is not Way.DOWN:
        return "links to files can only be read.", "Set its direction to Way.DOWN."
    return None


def _fits(row: FieldMap, column: models.Field[Any, Any]) -> Words | None:
    converter = row.converter
    wanted, test = next(FITTING[cls] for cls in type(converter).__mro__ if cls in FITTING)
    if not isinstance(column, wanted):
        names = " or ".join(cls.__name__ for cls in wanted)
        return (
            f"{type(converter).__name__} does not fit a {type(column).__name__}.",
            f"Use a {names}, or another converter.",
        )
    return test(converter, column)


def _text_fits(converter: Any, column: models.Field[Any, Any]) -> Words | None:
    room = column.max_length
    if room is not None and converter.length > room:
        return (
            f"it lets {converter.length} characters in, the column holds {room}.",
            f"Set the converter's length to {room} at most.",
        )
    return None


def _long_text_fits(converter: Any, column: models.Field[Any, Any]) -> Words | None:
    if column.max_length is not None:
        return (
            f"text of any length does not fit {column.max_length} characters.",
            "Use Text with the column's length.",
        )
    return None


def _choice_fits(converter: c.Choice, column: models.Field[Any, Any]) -> Words | None:
    codes = {str(code) for code, _label in column.flatchoices}
    if strange := sorted(set(converter.codes) - codes):
        return f"{', '.join(strange)} is no choice of the field.", "Add it to the choices, or drop its code."
    if forgotten := sorted(codes - set(converter.codes)):
        return f"the choice {', '.join(forgotten)} has no word over there.", "Add its code and GoHighLevel's word."
    return _text_fits(converter, column)


def _integer_fits(converter: c.Integer, column: models.Field[Any, Any]) -> Words | None:
    low, high = BaseDatabaseOperations.integer_field_ranges[column.get_internal_type()]
    if converter.bounds[0] < low or converter.bounds[1] > high:
        bounds = f"{converter.bounds[0]} to {converter.bounds[1]}"
        return f"it lets {bounds} in, the column holds {low} to {high}.", "Narrow the converter's bounds."
    return None


def _money_fits(converter: c.Money, column: models.Field[Any, Any]) -> Words | None:
    digits, places = getattr(column, "max_digits", 0), getattr(column, "decimal_places", 0)
    if places != 2 or converter.digits > digits:
        return (
            f"it lets {converter.digits} digits with 2 decimals in, the column holds {digits} with {places}.",
            "Make the two equal.",
        )
    return None


def _any(converter: Any, column: models.Field[Any, Any]) -> Words | None:
    return None


def _country_fits(converter: Any, column: models.Field[Any, Any]) -> Words | None:
    if column.max_length is None or column.max_length < 2:
        return "a country's code has 2 letters.", "Make the column long enough."
    return None


def _yes_no_fits(converter: Any, column: models.Field[Any, Any]) -> Words | None:
    return None if column.null else ("the column cannot hold “not answered”.", "Allow NULL, or use Flag.")


Test = Callable[[Any, "models.Field[Any, Any]"], Words | None]
CHARS: tuple[type[models.Field[Any, Any]], ...] = (models.CharField, models.TextField)
# What column a converter needs, and what else must hold; looked up by the converter's nearest class.
FITTING: Mapping[type[c.Converter], tuple[tuple[type[models.Field[Any, Any]], ...], Test]] = {
    c.Text: (CHARS, _text_fits),
    c.LongText: (CHARS, _long_text_fits),
    c.Choice: (CHARS, _choice_fits),
    c.CountryCode: (CHARS, _country_fits),
    c.Date: ((models.DateField,), _any),
    c.Integer: ((models.IntegerField,), _integer_fits),
    c.Money: ((models.DecimalField,), _money_fits),
    c.YesNo: ((models.BooleanField,), _yes_no_fits),
    c.Flag: ((models.BooleanField,), _any),
    c.Tags: ((models.JSONField,), _any),
}


def _doubles(table: ObjectMap) -> Iterator[checks.CheckMessage]:
    """Two rows that write one field would undo each other for ever."""
    for side, names in (
        ("here", [row.name for row in table.fields]),
        ("there", [row.remote for row in table.fields]),
    ):
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield checks.Error(
                f"The mapping of {table.kind} names the field {name} ({side}) twice.",
                hint=f"Keep one of the rows in {TABLE}.",
                id="ghl_sync.E002",
            )


# The settings


def _settings() -> Iterator[checks.CheckMessage]:
    config = conf.config()
    trip, passenger = config.pipelines["trip"], config.pipelines["passenger"]
    if trip == passenger:
        yield checks.Error(
            f"Trips and passengers have one pipeline, {trip}; their records could not be told apart.",
            hint="Set GHL_TRIP_PIPELINE and GHL_PASSENGER_PIPELINE to two different names.",
            id="ghl_sync.E003",
        )
    yield from _account(config)
    yield from _waits(config)
    if config.fallback_email:
        try:
            validate_email(config.fallback_email)
        except ValidationError:
            yield checks.Warning(
                f"GHL_FALLBACK_CONTACT_EMAIL is no e-mail address: {config.fallback_email!r}.",
                hint="Name the contact that owns trips without a lead organiser, or leave it empty.",
                id="ghl_sync.W004",
            )


def _account(config: conf.Config) -> Iterator[checks.CheckMessage]:
    if bool(config.token) != bool(config.location_id):
        given, missing = ("GHL_API_TOKEN", "GHL_LOCATION_ID") if config.token else ("GHL_LOCATION_ID", "GHL_API_TOKEN")
        yield checks.Warning(
            f"{given} is set and {missing} is not, so nothing is sent or fetched.",
            hint=f"Set {missing} in .env too, or leave both empty.",
            id="ghl_sync.W001",
        )
    if config.base_url.startswith("http://") and not config.loopback:
        yield checks.Error(
            "GHL_API_BASE_URL begins with http://: the token would travel in the open.",
            hint=f"Use https://; GoHighLevel's own address is {settings.GHL_LIVE_URL}.",
            id="ghl_sync.E004",
        )


def _waits(config: conf.Config) -> Iterator[checks.CheckMessage]:
    if config.scale != 1 and not config.loopback:
        yield checks.Warning(
            f"GHL_WAIT_SCALE is {config.scale:g} for an account that is not on this machine.",
            hint="Leave it empty: shorter waits can make a record twice when an answer is lost.",
            id="ghl_sync.W002",
        )
    if config.timeout > settings.GHL_SETTLE_SECONDS:
        yield checks.Warning(
            f"GHL_SETTLE_SECONDS ({settings.GHL_SETTLE_SECONDS:g}) is shorter than GHL_TIMEOUT_SECONDS "
            f"({config.timeout:g}).",
            hint="A create may still be under way when it is repeated; 180 seconds are safe.",
            id="ghl_sync.W003",
        )
