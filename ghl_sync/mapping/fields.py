"""The shape of the mapping table: a row is our field, their field, a converter pair and who may write."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

from ghl_sync.mapping.converters import Converter


class Way(enum.Enum):
    BOTH = "both"
    UP = "up"  # only written, and never by itself a reason to write
    DOWN = "down"  # only read
    CREATE = "create"  # written when the record is made, only read after that


class Policy(enum.StrEnum):
    """What happens when both sides changed a field."""

    NEWEST = "newest"
    OURS = "ours"
    THEIRS = "theirs"
    ASK = "ask"


@dataclass(frozen=True)
class FieldMap:
    """`name` is the path on our side (`passport.number`), `remote` the native or full custom-field key.

    `group` marks sensitive fields. `provision` is the data type of a field that we create over there, with
    `label` as its name. `reference` says that the value names another record and that linking decides about it.
    """

    name: str
    remote: str
    converter: Converter
    way: Way = Way.BOTH
    group: str = ""
    policy: Policy = Policy.NEWEST
    reference: bool = False
    provision: str = ""
    label: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """What decides how its values are read and written, as a short text: another one means another agreement."""
        text = "\0".join((self.name, self.remote, repr_of(self.converter), self.group, str(self.reference)))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @cached_property
    def custom(self) -> bool:
        """Whether it lives in a custom field rather than in a native one."""
        return "." in self.remote

    @cached_property
    def part(self) -> str:
        """The part of the object it belongs to: empty for the object itself, else such as `passport`."""
        return self.name.rpartition(".")[0]

    @cached_property
    def direction(self) -> str:
        """Which way it goes unless a rule says otherwise: `both`, `pull` or `push`."""
        return {Way.UP: "push", Way.DOWN: "pull", Way.CREATE: "pull"}.get(self.way, "both")

    @cached_property
    def attribute(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class ObjectMap:
    """All rows of one kind of object. `remote_kind` is `opportunity` or `contact`."""

    kind: str
    remote_kind: str
    fields: tuple[FieldMap, ...]

    @cached_property
    def by_name(self) -> Mapping[str, FieldMap]:
        return {field.name: field for field in self.fields}

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        return {field.name: field.fingerprint for field in self.fields}

    @cached_property
    def sensitive(self) -> frozenset[str]:
        return frozenset(field.name for field in self.fields if field.group)

    @cached_property
    def natives(self) -> tuple[FieldMap, ...]:
        return tuple(field for field in self.fields if not field.custom)

    @cached_property
    def customs(self) -> tuple[FieldMap, ...]:
        return tuple(field for field in self.fields if field.custom)


def repr_of(value: object) -> str:
    """The same text in every process: a function by its name, a mapping by its sorted pairs, an object by its parts."""
    if isinstance(value, Mapping):
        return repr(sorted((str(key), repr_of(item)) for key, item in value.items()))
    if callable(value):
        return str(getattr(value, "__qualname__", type(value).__qualname__))
    if is_dataclass(value):
        return f"{type(value).__name__}({[(part.name, repr_of(getattr(value, part.name))) for part in fields(value)]})"
    return type(value).__name__ if isinstance(value, Converter) else repr(value)


Values = dict[str, Any]
