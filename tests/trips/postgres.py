"""What only a database with row locks can show."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.conf import settings
from django.db import connection

Result = TypeVar("Result")

postgresql_only = pytest.mark.skipif(
    settings.DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql",
    reason="SQLite has one writer at a time",
)


def elsewhere(work: Callable[[], Result]) -> Result:
    """Do `work` on a connection of its own, as another process would."""

    def closing() -> Result:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(closing).result(timeout=30)
