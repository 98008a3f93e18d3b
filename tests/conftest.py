"""What holds for every test: no traffic leaves this machine, and browser tests need a browser."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import factory
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.base.operations import BaseDatabaseOperations

from ghl_sync import schedules
from tests import factories
from trips.services import papers

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_HINT = "no chromium on PATH; install it with: apt-get install chromium"
# What asks the database for locks, transactions or search, or loses its server. Pushes, pulls, webhooks and kills come
# by in the random runs and beside clusters; what GoHighLevel answers ends alike on both. POSTGRESQL=all runs all of it.
MAY_DIFFER = (
    "chaos/test_faults_clusters",
    "chaos/test_faults_databases",
    "chaos/test_faults_restarts",
    "chaos/test_faults_slow",
    "chaos/test_random",
    "ghl_sync/engine/test_due",
    "ghl_sync/engine/test_limits",
    "ghl_sync/engine/test_races",
    "ghl_sync/engine/test_workers",
    "ghl_sync/test_enqueue",
    "ghl_sync/test_receivers",
    "ghl_sync/test_tasks",
    "ghl_sync/test_watchdog.py::test_it_survives_the_database_s_end",
    "tripbuilder/backups/test_rehearsal",
    "tripbuilder/test_moving",
    "trips/test_batches",
    "trips/test_deletion",
    "trips/test_duplicates",
    "trips/test_edit",
    "trips/test_models",
    "trips/test_querysets",
    "trips/test_search",
    "trips/test_services",
    "trips/test_traveller_form.py::test_a_form_changes_nothing",
    "trips/test_traveller_form.py::test_two_reviewers",
    "trips/test_traveller_form.py::test_a_new_link",
)
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "admin_client", "admin_user"}


def chromium_path() -> str | None:
    """The browser of the browser tests, or None."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


def is_loopback(host: str) -> bool:
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--may-differ", action="store_true", help="only what PostgreSQL may end otherwise than SQLite")


def pytest_configure(config: pytest.Config) -> None:
    host = urlsplit(settings.GHL_API_BASE_URL).hostname or ""
    if not is_loopback(host):
        raise pytest.UsageError(f"GHL_API_BASE_URL names {host}; the tests only ever talk to this machine.")
    if "chromium" in os.environ.get("TESTS_REQUIRE", "") and chromium_path() is None:
        raise pytest.UsageError(CHROMIUM_HINT)


def may_differ(item: pytest.Item) -> bool:
    """Whether PostgreSQL may end it otherwise than SQLite does."""
    path = item.path.relative_to(item.config.rootpath / "tests").as_posix()
    return (
        f"{path}::{item.name}".startswith(MAY_DIFFER) and not item.get_closest_marker("browser") and uses_database(item)
    )


def uses_database(item: pytest.Item) -> bool:
    marked = any(item.get_closest_marker(name) for name in ("django_db", "cluster"))
    return marked or bool(set(getattr(item, "fixturenames", ())) & DATABASE_FIXTURES)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if chromium_path() is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=CHROMIUM_HINT))
    if config.getoption("--may-differ"):
        chosen = [item for item in items if may_differ(item)]
        config.hook.pytest_deselected(items=[item for item in items if not may_differ(item)])
        items[:] = chosen


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Refuse every connection that would leave this machine, whatever address a test or setting names."""
    real = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not is_loopback(str(address[0])):
            raise AssertionError(f"a test tried to connect to {address[0]}; only this machine is allowed")
        real(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]
    yield
    socket.socket.connect = real  # type: ignore[method-assign]


# What `migrate` fills and no test empties: making these anew takes longer than most tests.
KEPT_TABLES = {"django_content_type", "auth_permission", "auth_group", "auth_group_permissions", "trips_installedrole"}


@pytest.fixture(autouse=True)
def numbers_from_zero() -> None:
    """The factories count anew, so that a test meets the same names whatever ran before it."""
    for made in vars(factories).values():
        if isinstance(made, type) and issubclass(made, factory.django.DjangoModelFactory):
            made.reset_sequence(0, force=True)


@pytest.fixture(autouse=True, scope="session")
def quick_flush() -> Iterator[None]:
    """Empty the tables after a test row by row, but those of KEPT_TABLES, and put back what `migrate` installs.

    PostgreSQL's TRUNCATE makes each table anew, 0.4 s for a few rows in all. Rows that a test changes in a kept table
    stay changed, so none may.
    """

    def flush(self: BaseDatabaseOperations, style: Any, tables: Sequence[str], **_how: Any) -> list[str]:
        return [f"delete from {self.quote_name(table)}" for table in tables if table not in KEPT_TABLES]

    def put_back(*_what: Any, **_how: Any) -> None:
        schedules.install()
        papers.install_samples()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(connection.ops), "sql_flush", flush)
        patch.setattr("django.core.management.commands.flush.emit_post_migrate_signal", put_back)
        yield


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; browser tests are skipped before they get here when there is none."""
    path = chromium_path()
    assert path is not None
    return path
