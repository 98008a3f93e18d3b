"""The sync's settings as one typed object, read when asked, so that a test or a doctor can change them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

# A look at a record may be this old, in seconds, and still count as what GoHighLevel holds now (README, "two gaps").
FRESH_SECONDS = 2
INCREMENTAL_OVERLAP_SECONDS = 600
MAX_CLAIMS = 5


@dataclass(frozen=True, slots=True)
class Config:
    """Durations in seconds, already scaled by GHL_WAIT_SCALE where a wait is meant."""

    token: str
    location_id: str
    base_url: str
    pipelines: dict[str, str]
    fallback_email: str
    timeout: float
    in_flight: int
    mirror_sensitive: str
    settle: float
    lookup_gap: float
    delete_hold: float
    count_delay: float
    backoff_first: float
    backoff_most: float
    fresh: float
    scale: float

    @property
    def configured(self) -> bool:
        """Whether there is an account to talk to."""
        return bool(self.token and self.location_id)

    @property
    def loopback(self) -> bool:
        """Whether the account is a stand-in on this machine."""
        return (urlsplit(self.base_url).hostname or "") in {"127.0.0.1", "localhost", "::1"}

    @property
    def lease(self) -> float:
        """How long a worker may hold a record: a few exchanges of the longest length."""
        return self.timeout * 4 + 20

    def __repr__(self) -> str:
        # The token must never reach a log through a traceback's locals.
        return f"Config(location_id={self.location_id!r}, base_url={self.base_url!r})"


NOT_CONFIGURED = (
    "GoHighLevel is not connected: set GHL_API_TOKEN and GHL_LOCATION_ID in .env, then run `manage.py ghl_setup`."
)


def config() -> Config:
    """The settings of this moment."""
    scale = settings.GHL_WAIT_SCALE
    return Config(
        token=settings.GHL_API_TOKEN,
        location_id=settings.GHL_LOCATION_ID,
        base_url=settings.GHL_API_BASE_URL,
        pipelines={"trip": settings.GHL_TRIP_PIPELINE, "passenger": settings.GHL_PASSENGER_PIPELINE},
        fallback_email=settings.GHL_FALLBACK_CONTACT_EMAIL,
        timeout=settings.GHL_TIMEOUT_SECONDS,
        in_flight=settings.GHL_CALLS_IN_FLIGHT,
        mirror_sensitive=settings.GHL_MIRROR_SENSITIVE,
        settle=settings.GHL_SETTLE_SECONDS * scale,
        lookup_gap=60 * scale,
        delete_hold=settings.GHL_DELETE_HOLD_SECONDS * scale,
        count_delay=30 * scale,
        backoff_first=30 * scale,
        backoff_most=6 * 3600 * scale,
        fresh=FRESH_SECONDS * scale,
        scale=scale,
    )
