"""Days as staff type them, read as an import reads them: no 03/04 and no year of two digits is guessed at."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from trips.resources.readers import Day


class DayField(forms.DateField):
    """A day; what is refused is named, with how to write it."""

    def to_python(self, value: Any) -> dt.date | None:
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            return super().to_python(value)
        try:
            return Day().read(text)
        except ValueError as refused:
            raise ValidationError(str(refused), code="invalid") from refused
