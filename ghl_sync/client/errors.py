"""Every failure of a call, classed by what to do next. Texts carry GoHighLevel's own words, never a person's data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_EMAIL = re.compile(r"[^\s\"'<>@]+@[^\s\"'<>@]+")
_PHONE = re.compile(r"\+?\d[\d\s().-]{6,}\d")

UNSAID = "(value)"


def clean(words: str) -> str:
    """GoHighLevel's words without addresses and numbers that may be a person's."""
    return _PHONE.sub("(number)", _EMAIL.sub("(address)", words))[:500]


class GHLError(Exception):
    """A call that did not do what was asked."""

    def __init__(self, message: str, *, status: int | None = None, endpoint: str = "", trace_id: str = "") -> None:
        super().__init__(clean(message))
        self.status = status
        self.endpoint = endpoint
        self.trace_id = trace_id

    @property
    def words(self) -> str:
        return str(self.args[0])

    def unsay(self, values: Iterable[str]) -> None:
        """Take values out of the words: a refusal may repeat what it refuses, whole or cut off at the words' end."""
        words = self.words
        for value in sorted({one for given in values for one in (given, clean(given)) if one}, key=len, reverse=True):
            words = words.replace(value, UNSAID)
            cut = next((length for length in range(len(value) - 1, 3, -1) if words.endswith(value[:length])), 0)
            words = words[: len(words) - cut] + UNSAID if cut else words
        self.args = (words,)


class TryLater(GHLError):
    """Limit, outage or time-out: the same call may work later. `retry_after` in seconds where known."""

    def __init__(self, message: str, *, retry_after: float | None = None, **context: object) -> None:
        super().__init__(message, **context)  # type: ignore[arg-type]
        self.retry_after = retry_after


class RateLimited(TryLater):
    """429: the call was not carried out."""


class NotSent(TryLater):
    """The request provably never left this machine."""


class OutcomeUnknown(TryLater):
    """A write may or may not have been carried out: look before doing it again."""


class Refused(GHLError):
    """GoHighLevel will not take this data; sending it again cannot help.

    `fields` names the properties a 422 complained of; `code` is GoHighLevel's, or `page_size`.
    """

    def __init__(self, message: str, *, fields: Sequence[str] = (), code: str = "", **context: object) -> None:
        super().__init__(message, **context)  # type: ignore[arg-type]
        self.fields = tuple(fields)
        self.code = code


class NotFound(Refused):
    """The record does not exist there, said in a shape that means just that."""


class DuplicateOpportunity(Refused):
    """The contact has an opportunity in this pipeline already, and the location allows one (API notes §4)."""

    def __init__(self, message: str, *, existing_id: str, **context: object) -> None:
        super().__init__(message, code="OPPORTUNITY_NO_DUPLICATE", **context)  # type: ignore[arg-type]
        self.existing_id = existing_id


class DuplicateContact(Refused):
    """The location allows no second contact with this e-mail or phone (API notes §4)."""

    def __init__(self, message: str, *, contact_id: str, matching_field: str, **context: object) -> None:
        super().__init__(message, code="CONTACT_DUPLICATE", **context)  # type: ignore[arg-type]
        self.contact_id = contact_id
        self.matching_field = matching_field


class NeedsAttention(GHLError):
    """Token or location is wrong: nothing works until a person acts."""


class MissingScope(NeedsAttention):
    """The token may not use this endpoint; others still work."""

    def __init__(self, message: str, *, scope: str, **context: object) -> None:
        super().__init__(message, **context)  # type: ignore[arg-type]
        self.scope = scope
