"""Private files in a bucket that speaks S3 (Amazon, MinIO, R2 …) instead of a folder, where settings name one."""

from __future__ import annotations

from typing import Any, NoReturn

from botocore.config import Config
from storages.backends.s3 import S3Storage

from trips.storage import NO_ADDRESS


class PrivateBucket(S3Storage):
    """Nobody but our own account reads it; a file has no address here either."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # A page waits for it: by its own defaults it would wait for minutes.
        patience = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3})
        made: Any = self  # the library tells no type of it
        made.client_config = made.client_config.merge(patience)

    def url(self, name: str | None, *_what: object, **_how: object) -> NoReturn:
        raise ValueError(NO_ADDRESS)
