"""Private files in a bucket that speaks S3 (Amazon, MinIO, R2 …) instead of a folder, where settings name one."""

from __future__ import annotations

from typing import Any, NoReturn

from botocore.config import Config
from botocore.exceptions import ClientError
from django.core.files.base import File
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

from trips import sealing
from trips.storage import NO_ADDRESS, Sealed


class PrivateBucket(Sealed, S3Storage):
    """Nobody but our own account reads it; a file has no address here either."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # A page waits for it: by its own defaults it would wait for minutes.
        patience = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3})
        made: Any = self  # the library tells no type of it
        made.client_config = made.client_config.merge(patience)

    def url(self, name: str | None, *_what: object, **_how: object) -> NoReturn:
        raise ValueError(NO_ADDRESS)

    def key_id_of(self, name: str) -> str:
        """From the file's first bytes alone."""
        try:
            answer = self._object(name).get(Range=f"bytes=0-{sealing.HEAD - 1}")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise FileNotFoundError(name) from None
            raise
        return sealing.key_id_of(answer["Body"].read(sealing.HEAD))

    def _replace(self, name: str, ciphertext: File) -> None:
        """A bucket shows an object whole or as it was."""
        self._object(name).put(Body=ciphertext.file)

    def _object(self, name: str) -> Any:
        made: Any = self
        return made.bucket.Object(made._normalize_name(clean_name(name)))
