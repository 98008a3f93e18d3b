"""The read log: who opened which person's sensitive data, when, from where and what for."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.db import models

from trips.encryption import EncryptedTextField
from trips.enums import ReadKind, ReadReason


class AppendOnly(Exception):
    """Somebody tried to change or delete what only grows."""


class ReadLog(models.QuerySet[Any]):
    """Rows are added and read; only `purge` of old ones takes them away."""

    def update(self, **_values: Any) -> NoReturn:
        raise AppendOnly("The read log is not changed.")

    def delete(self) -> NoReturn:
        raise AppendOnly("The read log is not deleted by hand; retention takes away what is old.")

    def purge(self) -> int:
        """Retention takes these entries away; how many they were."""
        ids = list(self.order_by().values_list("pk", flat=True))
        ReadPerson.objects.filter(entry__in=ids).delete()
        return int(super().filter(pk__in=ids)._raw_delete(self.db))

    def covering(self, model: str) -> ReadLog:
        """Entries of readings that showed rows of `model` ("trips.passport")."""
        return self.filter(shows__contains=model)

    def of_passenger(self, pk: int) -> ReadLog:
        """Entries that this passenger was part of: opened by themselves, or in a list with others."""
        return self.filter(models.Exists(ReadPerson.objects.filter(entry=models.OuterRef("pk"), passenger_id=pk)))


class ReadEntry(models.Model):
    """One opening, search, export or download.

    It outlives the people it speaks of, so it holds their ids and no foreign keys; the account that read stays,
    switched off at most.
    """

    at = models.DateTimeField(auto_now_add=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    address = models.GenericIPAddressField(null=True, blank=True)
    kind = models.CharField(max_length=16, choices=ReadKind.choices)
    # Which guarded models were shown, "trips.passport trips.healthrecord"; the number is not here, nor any other value.
    shows = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=16, choices=ReadReason.choices, blank=True)
    # The report, the file's kind, the term of a search: what somebody types may be anything, so it is encrypted.
    what = EncryptedTextField(blank=True)
    people = models.PositiveIntegerField(default=0)

    objects = ReadLog.as_manager()

    class Meta:
        verbose_name = "read entry"
        verbose_name_plural = "read log entries"
        ordering = ["-at", "-pk"]
        indexes = [
            # Read: the log itself, newest first, and its retention.
            models.Index(fields=["-at", "-id"], name="read_entry_newest"),
            # Read: what one account has opened.
            models.Index(fields=["user", "-at"], name="read_entry_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} by {self.user}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("The read log is not changed.")
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnly("The read log is not deleted by hand; retention takes away what is old.")


class ReadPerson(models.Model):
    """A passenger whom an entry showed. By number, so that the log says it after they are gone."""

    entry = models.ForeignKey(ReadEntry, on_delete=models.CASCADE, related_name="persons")
    passenger_id = models.BigIntegerField()

    class Meta:
        indexes = [
            # Read: who has read of this passenger.
            models.Index(fields=["passenger_id", "entry"], name="read_person_entries"),
        ]

    def __str__(self) -> str:
        return str(self.passenger_id)
