"""The schedule rows: there after a migrate, put right when wrong, left alone when switched off."""

from __future__ import annotations

import pytest
from django_q.models import Schedule

from ghl_sync import schedules

pytestmark = pytest.mark.django_db


def rows() -> list[tuple[str, str, str, int | None, int]]:
    return sorted(
        Schedule.objects.exclude(name__regex="^(Papers|Privacy): ").values_list(
            "name", "func", "schedule_type", "minutes", "repeats"
        )
    )


WHOLE = [
    ("TripBuilder: compare everything", "ghl_sync.tasks.compare_everything", "D", None, -1),
    ("TripBuilder: copy linked files", "ghl_sync.tasks.copy_files", "I", 5, -1),
    ("TripBuilder: fetch changes", "ghl_sync.tasks.pull_changes", "I", 5, -1),
    ("TripBuilder: fetch everything", "ghl_sync.tasks.pull_everything", "D", None, -1),
    ("TripBuilder: forget old webhooks", "ghl_sync.tasks.forget_events", "D", None, -1),
    ("TripBuilder: refresh definitions", "ghl_sync.tasks.refresh_definitions", "I", 60, -1),
    ("TripBuilder: send what is due", "ghl_sync.tasks.sweep", "I", 1, -1),
]


def test_installing_twice_makes_each_once() -> None:
    Schedule.objects.all().delete()
    assert schedules.install() == 7
    assert schedules.install() == 0
    assert rows() == WHOLE


def test_a_row_that_was_bent_is_put_right_and_the_others_stay() -> None:
    schedules.install()
    Schedule.objects.create(name="Somebody's own", func="math.sqrt", schedule_type=Schedule.HOURLY)
    Schedule.objects.create(name="TripBuilder: of an older version", func="gone", schedule_type=Schedule.HOURLY)
    Schedule.objects.filter(name="TripBuilder: fetch changes").update(minutes=0, func="wrong", args="(")
    assert schedules.install() == 2
    assert rows() == [("Somebody's own", "math.sqrt", "H", None, -1), *WHOLE]


def test_switched_off_stays_off() -> None:
    schedules.install()
    Schedule.objects.filter(name="TripBuilder: fetch changes").update(repeats=0)
    schedules.install()
    assert Schedule.objects.get(name="TripBuilder: fetch changes").repeats == 0
