"""For whom and when a file was made; stands on every sheet."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.utils import formats, timezone

from trips.accounts import name_of


@dataclass(frozen=True, slots=True)
class Stamp:
    name: str
    at: dt.datetime

    @classmethod
    def of(cls, user: Any) -> Stamp:
        """What this account makes now."""
        return cls(name_of(user), timezone.now())

    def __str__(self) -> str:
        here = timezone.localtime(self.at)
        return f"{self.name}, {formats.date_format(here, 'j M Y, H:i')} {here.tzname()}"
