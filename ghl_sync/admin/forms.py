"""Our forms, knowing who else may have changed a field while somebody had it open."""

from __future__ import annotations

from typing import Any

from ghl_sync.admin.fields import is_mirrored
from trips.forms import (
    ContactForm,
    EmergencyContactForm,
    HealthRecordForm,
    PassengerForm,
    PassportForm,
    RenderedValues,
    TripForm,
)

SOURCE = " in GoHighLevel"


class NamesSource(RenderedValues):
    """Says who changed a field meanwhile: a colleague where history knows one, else GoHighLevel if it has the field."""

    def _words(self, name: str) -> str:
        return super()._words(name) + self._by_whom(name)

    def _by_whom(self, name: str) -> str:
        meta = self.instance._meta
        colleague = self._colleague(meta.get_field(name).attname)
        if colleague is not None:
            return f" by {colleague.get_short_name() or colleague.get_username()}"
        return SOURCE if is_mirrored(str(meta.model_name), name) else ""

    def _colleague(self, column: str) -> Any:
        """Whoever made the last recorded change, if that left the value that stands here now."""
        history: Any = getattr(self.instance, "history", None)
        last = history.select_related("history_user").first() if history is not None else None
        missing = object()
        if last is None or getattr(last, column, missing) != getattr(self._stored, column):
            return None
        return last.history_user


class MirroredTripForm(NamesSource, TripForm):
    pass


class MirroredContactForm(NamesSource, ContactForm):
    pass


class MirroredPassengerForm(NamesSource, PassengerForm):
    pass


class MirroredPassportForm(NamesSource, PassportForm):
    pass


class MirroredHealthRecordForm(NamesSource, HealthRecordForm):
    pass


class MirroredEmergencyContactForm(NamesSource, EmergencyContactForm):
    pass
