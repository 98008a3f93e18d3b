"""For whom and when a file was made; stands on every sheet."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.utils import formats, timezone


@dataclass(frozen=True, slots=True)
class Stamp:
    name: str
    at: dt.datetime

    def __str__(self) -> str:
        here = timezone.localtime(self.at)
        return f"{self.name}, {formats.date_format(here, 'j M Y, H:i')} {here.tzname()}"
