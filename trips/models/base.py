"""What every table of the business shares."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import models, transaction

from trips import rules


class Stamped(models.Model):
    """Times of making and last change (UTC), and a save that is one transaction with its signals.

    Django commits a row before `post_save` runs unless the caller opened a transaction. What listens to
    saves (history, the list of changes to mirror) must commit or vanish together with the row, so `save`
    and `delete` open one themselves.
    """

    created_at = models.DateTimeField("created", auto_now_add=True)
    updated_at = models.DateTimeField("last changed", auto_now=True)

    # Columns computed from the others; written whenever anything is.
    derived: ClassVar[tuple[str, ...]] = ()
    # Columns that follow from other tables' rows and are written there; `save` leaves them as they are in the database.
    kept: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    def derive(self) -> None:
        """Fill the `derived` columns from the others; bulk writers call it before they write."""

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        self.derive()
        if update_fields is not None:
            update_fields = {*update_fields, *self.derived, "updated_at"}
        elif self.kept and not self._state.adding:
            update_fields = self._all_but_kept()
        with transaction.atomic(using=kwargs.get("using")):
            super().save(*args, update_fields=update_fields, **kwargs)

    def _all_but_kept(self) -> set[str]:
        deferred = self.get_deferred_fields()
        fields = [field for field in self._meta.concrete_fields if not field.primary_key]
        return {field.name for field in fields if field.attname not in deferred} - {*self.kept}

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=kwargs.get("using")):
            return super().delete(*args, **kwargs)


class Keyed(models.Model):
    """A stable key of our own that survives exports, restores and other systems' ids."""

    uid = models.UUIDField("key", default=uuid.uuid4, unique=True, editable=False)

    class Meta:
        abstract = True


class Flagged(Stamped):
    """Rows that may come from outside and break staff rules: which ones, for lists and filters."""

    derived: ClassVar[tuple[str, ...]] = ("flags",)

    flags = models.CharField(max_length=255, blank=True, default="", editable=False)

    class Meta:
        abstract = True

    def derive(self) -> None:
        super().derive()
        self.flags = rules.flags_of(self)
