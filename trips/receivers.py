"""What follows from saves and deletes, and what runs by the clock."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from django.apps import apps as django_apps
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django_q.models import Schedule

from trips.models import DiscardedFile, Document, PaperTemplate, Payment
from trips.services import documents, keys, ledger, papers

_REMOVE = "Papers: remove files of deleted documents"
_RESUME = "Papers: go on with runs that stopped"
_RETENTION = "Privacy: take away what is kept long enough"
_NIGHT_HOUR = 2  # before the full pull, which then finds both sides at rest


def document_deleted(instance: Document, **_signal: Any) -> None:
    """After the commit its file goes, unless somebody can still bring the row back."""
    if not instance.file:
        return
    DiscardedFile.objects.get_or_create(name=instance.file.name)
    transaction.on_commit(partial(documents.remove_discarded), robust=True)


def payment_saving(instance: Payment, **_signal: Any) -> None:
    """Whose it was so far: it may be given to somebody else."""
    before = Payment._base_manager.filter(pk=instance.pk).values_list("passenger_id", flat=True) if instance.pk else ()
    instance._payers = {*before, instance.passenger_id}  # type: ignore[attr-defined]


def payment_written(instance: Any, **_signal: Any) -> None:
    ledger.keep(getattr(instance, "_payers", {instance.passenger_id}))


def install_schedules(**_signal: Any) -> None:
    """What could not be done at once is tried again by the clock; an administrator may switch it off."""
    Schedule.objects.get_or_create(
        name=_REMOVE,
        defaults={"func": "trips.services.documents.remove_discarded", "schedule_type": Schedule.HOURLY},
    )
    Schedule.objects.get_or_create(
        name=_RESUME,
        defaults={"func": "trips.services.paper_runs.resume", "schedule_type": Schedule.MINUTES, "minutes": 1},
    )
    Schedule.objects.get_or_create(
        name=_RETENTION,
        defaults={
            "func": "trips.services.retention.nightly",
            "schedule_type": Schedule.DAILY,
            "next_run": _tonight(),
        },
    )


def _tonight() -> dt.datetime:
    tonight = timezone.localtime().replace(hour=_NIGHT_HOUR, minute=10, second=0, microsecond=0)
    return tonight if tonight > timezone.localtime() else tonight + dt.timedelta(days=1)


def install_templates(apps: Any = django_apps, **_signal: Any) -> None:
    """The templates of papers, once their table is as this code knows it: one may migrate to a state before.

    `flush` sends no `apps`.
    """
    there = apps.all_models["trips"].get("papertemplate")
    if there is not None and _columns(there) == _columns(PaperTemplate):
        papers.install_samples()


def remember_keys(apps: Any = django_apps, **_signal: Any) -> None:
    """A canary of each key, once all tables are as this code knows them: their columns are looked at."""
    if "encryptionkey" in apps.all_models["trips"] and not _unapplied():
        keys.check()
        keys.remember()


def _unapplied() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _columns(model: Any) -> set[str]:
    return {field.column for field in model._meta.concrete_fields}
