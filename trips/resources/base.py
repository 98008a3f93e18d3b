"""What all imports and exports share: columns, matching, the staff rules, what changes in a row, and how it is saved.

A resource is django-import-export's; what is ours is that a row goes the way of a form. Only the columns of the file
are touched, an empty cell changes nothing, every rule that binds a form binds a row, and saving goes through services
and a batch, so that it can be undone and whoever listens to saves hears of each row.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, transaction
from import_export.fields import Field
from import_export.resources import ModelResource
from import_export.results import RowResult

from trips import rules
from trips.cells import neutral
from trips.resources.readers import Reader
from trips.services.batches import Recorder
from trips.text import fold_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one field of a row."""

    label: str
    before: str
    after: str


class Column(Field):
    """A column of a file: its title, what it is called elsewhere, and who may read and write it.

    `part` names the model of a passenger's part it belongs to; `match` columns find rows and are never written.
    """

    def __init__(
        self,
        label: str,
        attribute: str,
        reader: Reader | None = None,
        *,
        also: Iterable[str] = (),
        part: str = "",
        match: bool = False,
        readonly: bool = False,
        shown_to: str = "",
        help_text: str = "",
    ) -> None:
        super().__init__(attribute=attribute, column_name=label, widget=reader or Reader(), readonly=readonly)
        self.label, self.also, self.part, self.match = label, tuple(also), part, match
        # The permission an export of this column asks for, besides viewing the model.
        self.shown_to = shown_to
        self.help_text = help_text

    def save(self, instance: Any, row: Any, is_m2m: bool = False, **kwargs: Any) -> None:
        text = row[self.column_name]
        if self.readonly or self.match or not str(text).strip():
            return
        self.put(instance, self.widget.clean(text, row=row, **kwargs))

    def put(self, instance: Any, value: Any) -> None:
        setattr(self.holder(instance), str(self.attribute), value)

    def holder(self, instance: Any) -> Any:
        """The row that holds the value: the instance or a part of it."""
        return instance

    def value_of(self, instance: Any) -> Any:
        return getattr(self.holder(instance), str(self.attribute), None)

    def export(self, instance: Any, **kwargs: Any) -> Any:
        return self.widget.render(self.value_of(instance), **kwargs)

    def shown(self, value: Any) -> str:
        return self.widget.shown(value)


class TagsColumn(Column):
    """Tags are added to those a row has; a list that leaves one out does not take it away."""

    def put(self, instance: Any, value: Any) -> None:
        super().put(instance, list(dict.fromkeys([*instance.tags, *value])))


class Row(RowResult):
    """What becomes of one row of a file, as its preview and result tell it."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        # For the preview: the line of the file, and what the row is about.
        self.line, self.name = 0, ""
        self.changes: list[Change] = []
        self.warnings: list[str] = []
        self.twin = ""
        self.known = ""

    @property
    def reasons(self) -> list[str]:
        """Why the row is not taken."""
        if self.errors:
            return [f"It could not be read ({type(error.error).__name__}). Check its cells." for error in self.errors]
        if self.validation_error is None:
            return []
        if not hasattr(self.validation_error, "error_dict"):
            return list(self.validation_error.messages)
        return [text for texts in self.validation_error.message_dict.values() for text in texts]

    @property
    def bad(self) -> bool:
        return bool(self.errors or self.validation_error)

    @property
    def state(self) -> str:
        if self.bad:
            return "error"
        if self.twin:
            return "twin"
        return {self.IMPORT_TYPE_NEW: "new", self.IMPORT_TYPE_UPDATE: "changed"}.get(self.import_type, "same")


def every_field(model: type[models.Model]) -> list[str]:
    """For `Meta.exclude`: only declared columns are imported and exported."""
    return [field.name for field in model._meta.get_fields()]


class RowResource(ModelResource):
    """`user` decides on columns; with `recorder` rows are saved, without they are only looked at."""

    # Fields whose choices grow elsewhere; the reader has checked them.
    open_choices: ClassVar[tuple[str, ...]] = ("stage", "travel_category")
    # Codes of rules that a resource checks itself, since a rule knows nothing of the other rows of the file.
    own_checks: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        user: Any,
        trip: Any = None,
        recorder: Recorder | None = None,
        twins: Iterable[int] = (),
        importing: bool = True,
        seconds: float | None = None,
    ) -> None:
        super().__init__()
        self.user, self.trip, self.recorder = user, trip, recorder
        # The numbers of the rows that a person ticked although they look like somebody else's.
        self.twins = frozenset(twins)
        # Rows that would be saved after so long are refused: a page that takes longer is cut off by the server.
        self.ends = None if seconds is None else time.monotonic() + seconds
        self.fields: dict[str, Any] = {
            name: column for name, column in self.fields.items() if self._allowed(column, importing)
        }
        self.seen: dict[Any, int] = {}
        self.row_number = 0
        self._now: dict[str, Any] = {}

    # Columns

    @property
    def columns(self) -> list[Column]:
        return list(self.fields.values())

    def _allowed(self, column: Column, importing: bool) -> bool:
        if not importing:
            return not column.shown_to or self.user.has_perm(column.shown_to)
        if column.readonly:
            return False
        name = column.part
        return not name or self.user.has_perms([f"trips.{verb}_{name}" for verb in ("view", "add", "change")])

    def guess(self, header: str) -> str:
        """The title of the column that a header of a file means; empty when none does."""
        word = _title(header)
        for column in self.columns:
            if word in {_title(name) for name in (column.label, str(column.attribute), *column.also)}:
                return column.label
        return ""

    # Reading a row; django-import-export calls these in this order

    def get_row_result_class(self) -> type[Row]:
        return Row

    def import_row(self, row: Any, instance_loader: Any, **kwargs: Any) -> Any:
        self.row_number = kwargs["row_number"]
        self._now = {"before": {}, "warnings": [], "twin": "", "known": "", "changes": []}
        if self.recorder is None:
            found = super().import_row(row, instance_loader, **kwargs)
        else:
            with transaction.atomic():  # what is counted while the row is checked holds until it is saved
                found = super().import_row(row, instance_loader, **kwargs)
        found.number = self.row_number
        for error in found.errors:
            logger.error("Row %s of an import of %s: %s", self.row_number, self._meta.model, type(error.error).__name__)
        for name in ("warnings", "twin", "known", "changes"):
            setattr(found, name, self._now[name])
        return found

    def get_instance(self, instance_loader: Any, row: Any) -> Any:
        if self.ends is not None and time.monotonic() >= self.ends:
            raise ValidationError("There was no time left for this row. Give it again.")
        return self.find(row)

    def find(self, row: Any) -> Any:
        """The row of the database that this row of the file means; None for a new one."""
        raise NotImplementedError

    def after_init_instance(self, instance: Any, new: bool, row: Any, **kwargs: Any) -> None:
        self._now["new"] = new
        if not new:
            self._once(("pk", instance.pk))
            self._now["before"] = {column.label: column.value_of(instance) for column in self._given(row)}

    def _once(self, key: Any) -> None:
        first = self.seen.setdefault(key, self.row_number)
        if first != self.row_number:
            raise ValidationError(f"The same as row {first} of this file.")

    def _given(self, row: Any) -> list[Column]:
        """The columns that this row may change."""
        return [
            column
            for column in self.columns
            if not column.match and column.column_name in row and str(row[column.column_name]).strip()
        ]

    def import_instance(self, instance: Any, row: Any, **kwargs: Any) -> None:
        self._now["given"] = self._given(row)
        errors: dict[str, list[ValidationError]] = {}
        for column in self._now["given"]:
            try:
                column.save(instance, row, **kwargs)
            except ValueError as error:
                errors[str(column.attribute)] = [ValidationError(f"{column.label}: {error}")]
        if errors:
            raise ValidationError(errors)

    def skip_row(self, instance: Any, original: Any, row: Any, import_validation_errors: Any = None) -> bool:
        before = self._now["before"]
        for column in self._now["given"]:
            old, new = before.get(column.label), column.value_of(instance)
            if old != new and not (old in (None, "") and new in (None, "")):
                self._now["changes"].append(Change(column.label, column.shown(old), column.shown(new)))
        return bool(instance.pk) and not self._now["changes"] and not import_validation_errors

    def validate_instance(
        self, instance: Any, import_validation_errors: Any = None, validate_unique: bool = True
    ) -> None:
        errors: dict[str, Any] = dict(import_validation_errors or {})
        given = {str(column.attribute) for column in self._now["given"] if column.holder(instance) is instance}
        self.check(instance, given, errors)
        if errors:
            raise ValidationError(errors)
        if not instance.pk:
            self._once(self.identity(instance))

    def check(self, obj: Any, given: set[str], errors: dict[str, Any]) -> None:
        """Add to `errors` what keeps `obj` from being saved: its model's own checks and the staff rules."""
        # References were looked up by the reader, and asking for each again is a query a row.
        skipped = {field.name for field in obj._meta.fields if field.name not in given or field.is_relation}
        try:
            obj.full_clean(exclude=skipped | {*errors} | set(self.open_choices), validate_constraints=False)
            obj.validate_constraints(exclude={*errors})
        except ValidationError as error:
            _add(errors, error, obj)
        changed = None if not obj.pk else self.changed_fields(obj, given)
        for violation in rules.violations(obj, changed, self.skipped_rules(obj)):
            if violation.field in errors:
                continue  # it speaks of a value that could not be read
            if violation.blocking:
                errors.setdefault(violation.field, []).append(ValidationError(violation.sentence))
            elif changed is None or violation.field in changed:
                self._now["warnings"].append(violation.sentence)

    def skipped_rules(self, obj: Any) -> frozenset[str]:
        return self.own_checks

    def changed_fields(self, obj: Any, given: set[str]) -> set[str]:
        labels = {change.label for change in self._now["changes"]}
        return given & {str(column.attribute) for column in self.columns if column.label in labels}

    def identity(self, instance: Any) -> Any:
        """What tells new rows of one file apart."""
        return object()

    # Saving

    def save_instance(self, instance: Any, is_create: bool, row: Any, **kwargs: Any) -> None:
        if self._now["twin"] and self.row_number not in self.twins:
            return  # left out until a person says that it is somebody else
        self._now["twin"] = ""
        if self.recorder is None:
            self.noted(instance)
            return
        with transaction.atomic():
            self.store(self.recorder, instance)
        self.noted(instance)

    def store(self, recorder: Recorder, instance: Any) -> None:
        """Save a row that passed its checks."""
        if not instance.pk:
            recorder.make(instance)
        else:
            recorder.change(instance, **self.values_of(instance))

    def values_of(self, instance: Any) -> dict[str, Any]:
        """The instance's own values that this row gives."""
        return {
            str(column.attribute): column.value_of(instance)
            for column in self._now["given"]
            if column.holder(instance) is instance
        }

    def noted(self, instance: Any) -> None:
        """A row was taken: what later rows of the file must know of it."""

    # Export

    def export_field(self, field: Any, instance: Any, **kwargs: Any) -> Any:
        return neutral(super().export_field(field, instance, **kwargs))

    def get_export_headers(self, selected_fields: Any = None) -> list[str]:
        return [neutral(header) for header in super().get_export_headers(selected_fields)]


def _title(text: str) -> str:
    return "".join(char for char in fold_name(text) if char.isalnum())


def _add(errors: dict[str, Any], error: ValidationError, obj: Any) -> None:
    """What the model itself says, with the name of the field, which its sentences leave out."""
    for name, found in error.update_error_dict({}).items():
        label = "" if name == NON_FIELD_ERRORS else f"{str(obj._meta.get_field(name).verbose_name).capitalize()}: "
        texts = [text for one in found for text in one.messages]
        errors.setdefault(name, []).extend(ValidationError(f"{label}{text}") for text in texts)
