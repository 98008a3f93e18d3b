"""What a bulk push will cost of GoHighLevel's limits, and whom it may write to. Reads only, and says "some": a record
whose answer must be asked for again takes a call more, one that turns out to be equal a call less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from ghl_sync.conf import config
from ghl_sync.engine.base import Base
from ghl_sync.engine.clock import database_now
from ghl_sync.engine.limits import MARGIN, RIGHTS
from ghl_sync.engine.local import MODELS
from ghl_sync.mapping.table import MAPS
from ghl_sync.models import Kind, Lane, Link, Location

# A record is looked at and written.
CALLS_EACH = 2
USUAL_ANSWER_SECONDS = 0.3
# Links read at once; SQLite takes a thousand parameters.
SOME = 500


@dataclass(frozen=True, slots=True)
class Forecast:
    """What sending so many records takes. `share_of_day` and `left_today` are None until GoHighLevel has told them."""

    records: int
    calls: int
    minutes: float
    share_of_day: float | None
    left_today: int | None
    goes_on_at: str = ""

    @property
    def text(self) -> str:
        """A sentence for whoever is about to send; nothing when nothing is sent."""
        if not self.calls:
            return ""
        share = "" if self.share_of_day is None else f", {_percent(self.share_of_day)} of GoHighLevel's limit for a day"
        calls = "1 call" if self.calls == 1 else f"some {self.calls:,} calls"
        words = f"Takes {calls}{share}, about {_duration(self.minutes)}."
        if self.left_today is not None and self.calls > self.left_today:
            words += (
                f" Today {self.left_today:,} calls are left for it; the rest goes on by itself at {self.goes_on_at}."
            )
        return words


def forecast(count_by_kind: Mapping[str, int], *, writes: int | None = None) -> Forecast:
    """For so many records of each kind; `writes` of them are written, or all of them, and the others only looked at."""
    records = sum(count_by_kind.values())
    calls = records * CALLS_EACH if writes is None else records + writes
    location = Location.objects.filter(location_id=config().location_id).first() or Location()
    limit, left, resets = location.daily_limit, location.daily_remaining, location.daily_reset_at
    known = limit and left is not None and resets is not None and resets > database_now()
    return Forecast(
        records=records,
        calls=calls,
        minutes=calls / _calls_a_second(location) / 60,
        share_of_day=calls / limit if limit else None,
        left_today=max(0, left - int(limit * RIGHTS[Lane.BULK.value].spares))
        if known and limit and left is not None
        else None,
        goes_on_at=f"{timezone.localtime(resets):%H:%M}" if known and resets else "",
    )


def stage_changes(link_ids: Collection[int]) -> int:
    """How many of these trips and passengers stand in another stage here than GoHighLevel was last told, or are new.

    Workflows over there may write to travellers when a card comes or moves.
    """
    ids, moved = sorted(link_ids), 0
    for start in range(0, len(ids), SOME):
        links = Link.objects.filter(pk__in=ids[start : start + SOME], deleted_at__isnull=True, gone_at__isnull=True)
        for kind in (Kind.TRIP, Kind.PASSENGER):
            fields = ("kind", "object_id", "uid", "remote_id", "base")
            moved += sum(_moved(kind, list(links.filter(kind=kind).only(*fields))))
    return moved


def stages_text(moved: int) -> str:
    """What to say of them; nothing when there are none."""
    if not moved:
        return ""
    cards = "1 card comes or moves" if moved == 1 else f"{moved:,} cards come or move"
    return f"{cards} to another stage, for which GoHighLevel's workflows may write to travellers."


def _moved(kind: str, links: list[Link]) -> Iterator[bool]:
    table = MAPS[kind]
    row = table.by_name["stage"]
    rows: Any = MODELS[kind]._base_manager.filter(pk__in=[link.object_id for link in links])
    stages = dict(rows.values_list("pk", row.attribute))
    for link in links:
        if link.object_id in stages:
            stage = stages[link.object_id]
            here = row.converter.from_local(stage) if stage else None
            yield not link.remote_id or Base.of(link).local.get("stage") != here


def _calls_a_second(location: Location) -> float:
    """What the limit allows, or what one run can have under way."""
    allowed = location.rate_max / (location.rate_interval_ms / 1000 * MARGIN)
    return min(allowed, config().in_flight / USUAL_ANSWER_SECONDS)


def _percent(share: float) -> str:
    return "less than 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")


def _duration(minutes: float) -> str:
    if minutes < 1:
        return "a minute"
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.0f} hours"
