"""What is asked before anything starts: whether the keys at hand are those that this database was encrypted with."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage
from django.db import Error, connection, connections

from trips.services import keys

LOG = logging.getLogger("trips.keys")


def register() -> None:
    """Called once at start-up."""
    checks.register(keys_fit)


def keys_fit(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Stops every command but those without checks. Raises ImproperlyConfigured, which `manage.py` ends with code 2.

    A list of errors would name this one among others and end with 1, "a record failed".
    """
    if _is_new():
        return []
    try:
        keys.check()
    except Error:
        LOG.debug("the keys could not be compared: the database does not answer, or is not migrated yet")
    return []


def at_start() -> None:
    """For servers, before the first request. Raises ImproperlyConfigured."""
    try:
        keys.check()
        keys.remember()
    except Error as error:
        LOG.warning("the keys could not be compared with those of the database (%s)", type(error).__name__)
    finally:
        connections.close_all()  # a server may fork from here


def _is_new() -> bool:
    """Whether a look would make the database."""
    name = str(connection.settings_dict["NAME"])
    return connection.vendor == "sqlite" and not name.startswith((":memory:", "file:")) and not Path(name).exists()
