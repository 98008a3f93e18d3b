"""The doctor: is the account what the mapping needs? And the creation of what is ours and missing there.

`look` asks GoHighLevel, `diagnose` is a pure function of what was seen, `apply` creates. Pipelines, stages and the
location's settings have no API to change them (API notes §5.1, §5.12), so those come out as steps for a person.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ghl_sync.client.errors import MissingScope, NeedsAttention, Refused, TryLater
from ghl_sync.client.types import FieldDef, LocationInfo, PipelineDef
from ghl_sync.conf import Config
from ghl_sync.engine import options
from ghl_sync.engine.definitions import DROP_DOWNS, NEVER, as_it_was, gone_fields
from ghl_sync.engine.rehearsal import TRIP_NAMES
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.mapping import kinds
from ghl_sync.mapping.converters import Choice, YesNo, option_label
from ghl_sync.mapping.fields import FieldMap
from ghl_sync.mapping.table import MAPS, STAGES
from ghl_sync.models import Change, Kind, Link, Location, Stage, WantedOption
from trips.models import Passenger, Trip, Vendor
from trips.text import fold_name

APPLY = "Run `manage.py ghl_setup --apply`."
# An id in the form of theirs that no record has: a write to it is judged for its scope and then finds nothing.
NOBODY = "TripBuilderProbe0000"
SHOWN = 5

T = TypeVar("T")


class Level(enum.StrEnum):
    OK = "ok"
    NOTE = "note"  # worth knowing, nothing to do for the sync to work
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis. `fix` says what to do, `items` names all that the text only counts."""

    level: Level
    about: str
    text: str
    fix: str = ""
    items: tuple[str, ...] = ()


@dataclass
class Seen:
    """What GoHighLevel answered; None where the token may not ask."""

    info: LocationInfo | None = None
    pipelines: tuple[PipelineDef, ...] | None = None
    fields: tuple[FieldDef, ...] | None = None
    scopes: dict[str, str] = field(default_factory=dict)  # scope → "" when there, else what was said
    unclear: dict[str, str] = field(default_factory=dict)  # scope → why it could not be tried
    codes: dict[str, str] = field(default_factory=dict)  # stage id → our code, whatever it is called today
    gone: dict[str, FieldDef] = field(default_factory=dict)  # mapped fields that were there once, by key

    @property
    def whole(self) -> bool:
        """Whether every definition could be read."""
        return self.info is not None and self.pipelines is not None and self.fields is not None


@dataclass(frozen=True)
class Names:
    """Names of our records that are options over there."""

    trips: frozenset[str] = frozenset()
    vendors: frozenset[str] = frozenset()
    received: frozenset[str] = frozenset()  # trip names that passengers came with
    coming: frozenset[str] = frozenset()  # those of trips and vendors that are on their way: they become options yet

    def of(self, key: str) -> frozenset[str]:
        return self.vendors if key == options.VENDOR_FIELD else self.trips

    def used(self, key: str) -> frozenset[str]:
        return self.vendors if key == options.VENDOR_FIELD else self.trips | self.received


def local_names() -> Names:
    raw = Passenger.objects.exclude(trip_name_raw="").values_list("trip_name_raw", flat=True)
    return Names(
        trips=frozenset(Trip.objects.exclude(name="").values_list("name", flat=True)),
        vendors=frozenset(Vendor.objects.exclude(name="").values_list("name", flat=True)),
        received=frozenset(raw),
        coming=_coming_names(),
    )


def _coming_names() -> frozenset[str]:
    trips = Link.objects.due().filter(kind=Kind.TRIP).values("object_id")
    vendors = Change.objects.filter(kind=Kind.VENDOR).values("object_id")
    named: Any = Trip.objects.filter(pk__in=trips).order_by().values_list("name")
    named = named.union(
        Vendor.objects.filter(pk__in=vendors).order_by().values_list("name"),
        WantedOption.objects.order_by().values_list("label"),
        all=True,
    )
    return frozenset(name for (name,) in named)


# Asking


def look(session: Session) -> Seen:
    """Read the definitions and try every scope. Raises GHLError when the token is wrong or nothing answers."""
    client, seen = session.client, Seen()
    seen.info = _read(seen, "locations.readonly", client.get_location)
    seen.pipelines = _read(seen, "opportunities.readonly", client.list_pipelines)
    seen.fields = _read(seen, "locations/customFields.readonly", client.list_custom_fields)
    _read(seen, "contacts.readonly", lambda: client.contact_page(limit=1))
    if not session.stranger:  # who must not write has no use for these scopes
        _try(seen, "opportunities.write", lambda: client.update_opportunity(NOBODY, {}))
        _try(seen, "contacts.write", lambda: client.update_contact(NOBODY, {}))
        _try(
            seen,
            "locations/customFields.write",
            lambda: client.write_options(NOBODY, name="TripBuilder probe", options=[]),
        )
    if seen.whole:
        session.refresh_definitions()
        seen.codes = dict(Stage.objects.filter(gone_at__isnull=True).exclude(code="").values_list("remote_id", "code"))
        seen.gone = gone_fields(session.config.location_id)
    session.limiter.flush()
    session.location.refresh_from_db()
    return seen


def _read(seen: Seen, scope: str, call: Callable[[], T]) -> T | None:
    try:
        found = call()
    except MissingScope as error:
        seen.scopes[scope] = error.words
        return None
    seen.scopes[scope] = ""
    return found


def _try(seen: Seen, scope: str, call: Callable[[], Any]) -> None:
    """A write to a record that does not exist: refused for want of the scope, or because there is no such record."""
    try:
        call()
    except MissingScope as error:
        seen.scopes[scope] = error.words
        return
    except TryLater as error:
        seen.unclear[scope] = error.words
        return
    except (Refused, NeedsAttention):
        # The token and the location are good by now; what is refused is the record.
        seen.scopes[scope] = ""
        return
    seen.scopes[scope] = ""


# Judging


def diagnose(seen: Seen, *, config: Config, location: Location, names: Names, sensitive: str) -> list[Finding]:
    """Every line of the diagnosis, in the order in which one would mend things."""
    found = [Finding(Level.OK, "token", f"GoHighLevel accepts the token for the location {config.location_id}.")]
    found += _scopes(seen)
    found += _location(seen.info)
    if seen.pipelines is not None:
        found += [line for kind in STAGES for line in _pipeline(kind, seen, config)]
    if seen.fields is not None:
        found += _fields(seen.fields, seen.gone)
        found += _options(seen.fields, names)
    found += _clearing(location)
    found.append(_limits(location))
    found.append(_sensitive(sensitive))
    return found


def _scopes(seen: Seen) -> Iterator[Finding]:
    missing = [scope for scope, words in seen.scopes.items() if words]
    for scope in missing:
        fix = (
            f"In GoHighLevel open Settings → Private Integrations, edit the integration and tick {scope}; "
            "the token stays the same."
        )
        yield Finding(Level.PROBLEM, "scope", f"The token lacks the scope {scope}.", fix)
    for scope, words in seen.unclear.items():
        yield Finding(Level.NOTE, "scope", f"Whether the token has the scope {scope} could not be tried: {words}")
    there = len(seen.scopes) - len(missing)
    yield Finding(Level.OK, "scope", f"{there} of {len(seen.scopes) + len(seen.unclear)} scopes are there.")


def _location(info: LocationInfo | None) -> Iterator[Finding]:
    if info is None:
        return
    yield Finding(Level.OK, "location", f"{info.name or info.id}, time zone {info.timezone or 'not said'}.")
    about = "duplicate opportunities"
    if info.allow_duplicate_opportunity is False:
        fix = "In GoHighLevel's settings switch on “Allow Duplicate Opportunities” (Settings → Business Profile)."
        text = "Not allowed: a contact could have one trip or booking only, and the next one would be refused."
        yield Finding(Level.PROBLEM, about, text, fix)
    elif info.allow_duplicate_opportunity is None:
        yield Finding(Level.NOTE, about, "GoHighLevel does not say whether they are allowed; they must be.")
    else:
        yield Finding(Level.OK, about, "Allowed, as they must be.")
    yield _contact_setting(info)


def _contact_setting(info: LocationInfo) -> Finding:
    about = "duplicate contacts"
    if info.allow_duplicate_contact is False:
        by = " and ".join(info.contact_unique_identifiers) or "its own rules"
        return Finding(Level.OK, about, f"Not allowed; GoHighLevel itself knows people again by {by}.")
    said = "Allowed" if info.allow_duplicate_contact else "Not said"
    return Finding(
        Level.NOTE, about, f"{said}; TripBuilder looks for a person by e-mail, phone and key before it makes a contact."
    )


def _pipeline(kind: str, seen: Seen, config: Config) -> Iterator[Finding]:
    name, about, pipelines = config.pipelines[kind], f"{kind} pipeline", seen.pipelines or ()
    variable = f"GHL_{kind.upper()}_PIPELINE"
    named = [pipeline for pipeline in pipelines if pipeline.name == name]
    if not named:
        have = _some([pipeline.name for pipeline in pipelines]) or "none at all"
        fix = f"Create it in GoHighLevel (Opportunities → Pipelines), or set {variable} to one that is there: {have}."
        yield Finding(Level.PROBLEM, about, f"There is no pipeline named {name}.", fix)
        return
    if len(named) > 1:
        fix = "Rename all but one of them in GoHighLevel (Opportunities → Pipelines)."
        yield Finding(Level.PROBLEM, about, f"{len(named)} pipelines are named {name}.", fix)
        return
    yield from _stages(about, named[0], STAGES[kind], seen.codes)


def _stages(
    about: str, pipeline: PipelineDef, wanted: Mapping[str, str], known: Mapping[str, str]
) -> Iterator[Finding]:
    """Stages are known by their id once met, so another name is no trouble; before that by a name that looks alike."""
    by_code = {known[stage.id]: stage.name for stage in pipeline.stages if stage.id in known}
    by_fold = {fold_name(stage.name) for stage in pipeline.stages}
    missing = [label for code, label in wanted.items() if code not in by_code and fold_name(label) not in by_fold]
    for label in missing:
        fix = f"In GoHighLevel (Opportunities → Pipelines → {pipeline.name}) add a stage named exactly {label}."
        yield Finding(Level.PROBLEM, about, f"{pipeline.name} has no stage named {label}.", fix)
    for code, name in by_code.items():
        label = wanted.get(code, name)
        if fold_name(name) != fold_name(label):
            text = f"{pipeline.name}'s stage {label} is called {name} there; TripBuilder knows it by its id."
            yield Finding(Level.NOTE, about, text, "Nothing to do, unless it has come to mean something else.")
    if not missing:
        yield Finding(Level.OK, about, f"{pipeline.name}, with all {len(wanted)} stages.")


def mapped_fields() -> dict[str, FieldMap]:
    """The mapped custom fields by key, each once."""
    rows: dict[str, FieldMap] = {}
    for table in MAPS.values():
        for row in table.customs:
            rows.setdefault(row.remote, row)
    return rows


def _fields(fields: Sequence[FieldDef], gone: Mapping[str, FieldDef]) -> Iterator[Finding]:
    by_key, rows = {definition.key: definition for definition in fields}, mapped_fields()
    good = 0
    for key, row in rows.items():
        definition = by_key.get(key)
        if definition is None:
            yield _missing_field(row, fields, gone)
        elif definition.data_type not in kinds.data_types(row):
            wanted = " or ".join(kinds.data_types(row))
            fix = (
                f"A field's type cannot be changed: make a new {wanted} field in GoHighLevel (Settings → Custom "
                f"Fields) and name its key in ghl_sync/mapping/table.py."
            )
            text = f"{key} is of the type {definition.data_type}, {wanted} is needed."
            yield Finding(Level.PROBLEM, "field", text, fix)
        else:
            good += 1
    yield Finding(Level.OK, "field", f"{good} of {len(rows)} mapped custom fields are there with a fitting type.")


def _missing_field(row: FieldMap, fields: Sequence[FieldDef], gone: Mapping[str, FieldDef]) -> Finding:
    text = f"There is no custom field {row.remote}."
    if row.remote in gone and _namesake_of(gone[row.remote].name, row, fields) is None:
        text = f"The custom field {row.remote} is gone; it was there before. TripBuilder keeps its values."
        return Finding(Level.PROBLEM, "field", text, f"{APPLY} It makes the field again, and the values follow.")
    if not row.provision:
        kind = kinds.data_types(row)[0]
        model, _, key = row.remote.partition(".")
        fix = (
            f"Create it in GoHighLevel (Settings → Custom Fields) for the object {model}, of the type {kind}, and "
            f"set its key to {key}."
        )
        return Finding(Level.PROBLEM, "field", text, fix)
    namesake = _namesake(row, fields)
    if namesake is not None:
        fix = f"Delete the field {namesake.name!r} with the key {namesake.key} in GoHighLevel, then run this again."
        return Finding(Level.PROBLEM, "field", f"{text} One of its name has another key.", fix)
    return Finding(Level.PROBLEM, "field", text, APPLY)


def _model(row: FieldMap) -> str:
    return row.remote.partition(".")[0]


def _namesake(row: FieldMap, fields: Iterable[FieldDef]) -> FieldDef | None:
    """A field of this name under another key, which a second try would only double."""
    return _namesake_of(row.label, row, fields)


def _namesake_of(name: str, row: FieldMap, fields: Iterable[FieldDef]) -> FieldDef | None:
    return next((one for one in fields if one.model == _model(row) and one.name == name), None)


def _options(fields: Sequence[FieldDef], names: Names) -> Iterator[Finding]:
    by_key = {definition.key: definition for definition in fields}
    for key, row in mapped_fields().items():
        definition = by_key.get(key)
        if definition is None or definition.data_type not in DROP_DOWNS:
            continue
        yield from _known_options(row, definition)
        if key in {TRIP_NAMES, options.VENDOR_FIELD}:
            yield from _growing_options(definition, names)
        yield from _look_alikes(definition)


def _known_options(row: FieldMap, definition: FieldDef) -> Iterator[Finding]:
    """Options that a code of ours stands for."""
    labels: Sequence[str] = ()
    if isinstance(row.converter, Choice):
        labels = tuple(row.converter.codes.values())
    elif isinstance(row.converter, YesNo):
        labels = ("True", "False")
    for label in labels:
        if option_label(definition, label) is None:
            fix = f"Add it to that field in GoHighLevel (Settings → Custom Fields), spelt exactly {label}."
            yield Finding(Level.PROBLEM, "option", f"{definition.name} has no option {label!r}.", fix)


def _growing_options(definition: FieldDef, names: Names) -> Iterator[Finding]:
    what = "vendors'" if definition.key == options.VENDOR_FIELD else "trips'"
    missing = sorted(name for name in names.of(definition.key) if option_label(definition, name) is None)
    coming = [name for name in missing if name in names.coming]
    lacking = [name for name in missing if name not in names.coming]
    if lacking:
        text = f"{definition.name} lacks {len(lacking)} of the {what} names: {_some(lacking)}."
        yield Finding(Level.PROBLEM, "option", text, APPLY, tuple(lacking))
    if coming:
        text = f"{definition.name} gets {len(coming)} of the {what} names as soon as they are sent: {_some(coming)}."
        yield Finding(Level.NOTE, "option", text, "", tuple(coming))
    used = {fold_name(name) for name in names.used(definition.key)}
    unused = [option for option in definition.options if fold_name(option) not in used]
    if unused:
        text = f"No record here uses these options of {definition.name}: {_some(unused)}."
        fix = "You may remove them in GoHighLevel, once nothing there uses them either; TripBuilder never does."
        yield Finding(Level.NOTE, "option", text, fix, tuple(unused))


def _look_alikes(definition: FieldDef) -> Iterator[Finding]:
    """Options that differ from an earlier one only by dashes, spaces or case."""
    first: dict[str, str] = {}
    pairs = []
    for option in definition.options:
        folded = fold_name(option)
        if folded in first:
            pairs.append(f"“{first[folded]}” and “{option}”")
        first.setdefault(folded, option)
    if pairs:
        text = f"Options of {definition.name} that look alike: {_some(pairs)}."
        fix = "Keep one of each in GoHighLevel: give the records of the other the one to keep, then remove the other."
        yield Finding(Level.NOTE, "option", text, fix, tuple(pairs))


def _clearing(location: Location) -> Iterator[Finding]:
    """Types that nothing emptied when `manage.py ghl_selftest` tried."""
    stubborn = sorted(data_type for data_type, wire in location.clearing.items() if wire == NEVER)
    if stubborn:
        text = f"GoHighLevel does not empty fields of the type {', '.join(stubborn)} from outside."
        fix = "Clear such a value in GoHighLevel itself; each record says so. `manage.py ghl_selftest` tries again."
        yield Finding(Level.NOTE, "clearing", text, fix)


def _limits(location: Location) -> Finding:
    calls = f"{location.rate_max:,} calls in {location.rate_interval_ms / 1000:g} s"
    if location.daily_limit is None:
        return Finding(Level.NOTE, "limit", f"GoHighLevel's answers state no daily limit; counting on {calls}.")
    left = f"{location.daily_remaining:,}" if location.daily_remaining is not None else "not said how many"
    return Finding(Level.OK, "limit", f"{calls} and {location.daily_limit:,} a day, {left} left today.")


def _sensitive(direction: str) -> Finding:
    text = {
        "pull": "Passports and health records are only read until an administrator confirms that they may be written.",
        "both": "Passports and health records go both ways: whoever sees opportunities in GoHighLevel reads them.",
        "push": "Passports and health records are written, never read: GoHighLevel's users can read them.",
        "off": "Passports and health records stay here.",
    }[direction]
    return Finding(Level.NOTE if direction in {"both", "push"} else Level.OK, "sensitive data", text)


def _some(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    shown = "; ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def stopped(session: Session) -> Finding | None:
    """Whether all traffic rests although the token works; looking may end that."""
    try:
        session.check_running(at_once=True)
    except CannotRun as error:
        words = str(error).rstrip(".") + "."
        return Finding(Level.PROBLEM, "traffic", words, "It tries again by itself once a minute; wait, then look.")
    return None


def examine(session: Session) -> tuple[Seen, list[Finding]]:
    """The whole diagnosis. Raises GHLError when the token is wrong or nothing answers."""
    seen = look(session)
    found = diagnose(
        seen,
        config=session.config,
        location=session.location,
        names=local_names(),
        sensitive=session.sensitive_direction(),
    )
    if session.stranger:
        fix = "Run `manage.py ghl_setup --bind` if this is the one to go on with; if it is a copy for a try, leave it."
        found = [*found, Finding(Level.PROBLEM, "database", session.stranger, fix)]
    rest = stopped(session)
    return seen, found if rest is None else [*found, rest]


# Creating


def can_apply(seen: Seen) -> bool:
    """Whether the token allows what `apply` does."""
    return seen.whole and seen.scopes.get("locations/customFields.write") == ""


def apply(session: Session) -> list[str]:
    """Create our fields and add the names that are no options yet; a sentence for each thing done."""
    done = _create_fields(session)
    if done:
        session.refresh_definitions()
    return done + _add_options(session)


def _create_fields(session: Session) -> list[str]:
    # Read again, not from the cache: a second field of one key would get another key, and nobody would find it.
    fields = list(session.client.list_custom_fields())
    have = {definition.key for definition in fields}
    gone, done = gone_fields(session.config.location_id), []
    for key, row in mapped_fields().items():
        name, data_type = row.label, row.provision
        choices: tuple[str, ...] = ()
        if key in gone:
            was = as_it_was(gone[key], row)
            name, data_type, choices = was.name, was.data_type, was.options
        if not data_type or key in have or _namesake_of(name, row, fields) is not None:
            continue
        made = session.client.create_custom_field(
            name=name, key=key, data_type=data_type, model=_model(row), options=choices
        )
        done.append(f"Created the custom field {made.key} ({made.name}).")
    return done


def _add_options(session: Session) -> list[str]:
    """Ask the engine for the missing names; it adds them in one write per drop-down."""
    before = {key: _options_of(session, key) for key in (TRIP_NAMES, options.VENDOR_FIELD)}
    for kind, key, rows in (
        (Kind.TRIP, TRIP_NAMES, Trip.objects.exclude(name="")),
        (Kind.VENDOR, options.VENDOR_FIELD, Vendor.objects.exclude(name="")),
    ):
        definition = session.definitions.fields.get(key)
        if definition is None:
            continue
        for pk, name in rows.order_by("pk").values_list("pk", "name"):
            if option_label(definition, name) is None:
                options.want(session, definition.id, name, kind, pk)
    options.serve(session)
    done = []
    for key, old in before.items():
        added = [option for option in _options_of(session, key) if option not in old]
        if added:
            done.append(f"Added to {session.definitions.fields[key].name}: {_some(added)}.")
    return done


def _options_of(session: Session, key: str) -> tuple[str, ...]:
    definition = session.definitions.fields.get(key)
    return definition.options if definition is not None else ()
