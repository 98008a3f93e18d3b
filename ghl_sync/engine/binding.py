"""Which database speaks for the account, and whether it slept.

The first database that is used with an account is bound to it. Another one, a restored backup or a copy for a
try, would send yesterday's values and deletes over today's: it only compares until a person says that it takes over.
A database put back in place bears the same marks; there the heartbeat tells, which is too old: then GoHighLevel is
read in full before anything is sent.

PostgreSQL is known by its cluster's system identifier and the database's number; where a role may not ask for the
former, by number and name alone. SQLite is known by its path and its machine, or by the file's number where a machine
has no id. A machine cloned whole, disk and id, cannot be told apart.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Min

from ghl_sync.engine import state
from ghl_sync.models import Link, Location

ASLEEP = dt.timedelta(minutes=15)
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
CATCHING_UP = (
    "TripBuilder was not at work for a while. It catches up first: GoHighLevel is read in full before anything is sent."
)
_known: dict[tuple[Any, ...], str] = {}


def identity() -> str:
    """The mark of the database that this process works on; asked for once per database."""
    found = connection.settings_dict
    asked = (connection.vendor, found["NAME"], found.get("HOST"), found.get("PORT"))
    if asked not in _known:
        _known[asked] = _postgresql() if connection.vendor == "postgresql" else _sqlite(str(found["NAME"]))
    return _known[asked]


def _postgresql() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid, datname FROM pg_database WHERE datname = current_database()")
        number, name = cursor.fetchone()
        cursor.execute("SELECT has_function_privilege('pg_control_system()', 'execute')")
        if not cursor.fetchone()[0]:
            return f"postgresql:{name}:{number}"[:128]
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        return f"postgresql:{cursor.fetchone()[0]}:{number}"


def _sqlite(name: str) -> str:
    path = Path(name)
    return f"sqlite:{_machine(path)}:{path.absolute()}"[:128]


def _machine(path: Path) -> str:
    for place in MACHINE_IDS:
        try:
            found = place.read_text().strip()
        except OSError:
            continue
        if found:
            return found
    return f"file {path.stat().st_ino}" if path.exists() else "memory"


def bind(location: Location) -> None:
    """Bind an account that no database was used with so far; one that another account's records fill is not bound."""
    if not location.bound_to and not _of_another(location):
        state.bind(location, identity())


def _of_another(location: Location) -> str:
    """The id of another account whose records this database mirrors, if any."""
    # Asked on every page: the two ends of an index tell it without a look at each link.
    ends = Link.objects.exclude(remote_id="").aggregate(Min("location_id"), Max("location_id"))
    return next((one for one in ends.values() if one not in {None, location.location_id}), "")


def words(location: Location | None) -> str:
    """Why this database must not write for the account, for people; empty where it may."""
    if location is None or location.bound_to == identity():
        return ""
    if location.bound_to:
        return (
            "This database is a copy, or was restored elsewhere: another one was used with this GoHighLevel account. "
            "Nothing is sent or taken in before an administrator lets this one take over."
        )
    other = _of_another(location)
    if not other:
        return ""
    return (
        f"This database mirrors the GoHighLevel account {other}, and the settings name another one. Nothing is sent or "
        "taken in before an administrator lets it take over."
    )


def take_over(location: Location, user: Any = None) -> None:
    """A person's word: this database speaks for the account from now on. It reads everything before it sends."""
    with transaction.atomic():
        state.take_over(location, identity(), user)


def note_sleep(location: Location) -> None:
    """At the beginning of a piece of work: whoever finds the heartbeat too old has a whole pull made first."""
    state.note_sleep(location, ASLEEP)


def catching_up(location: Location | None) -> str:
    """Why nothing is sent although nobody paused it; empty where it is."""
    return CATCHING_UP if location is not None and location.pull_first_since is not None else ""
