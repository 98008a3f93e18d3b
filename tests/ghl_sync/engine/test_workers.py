"""Several workers at once: each record is handled by one at a time and made once."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from django.db import connection, transaction

from ghl_sync.engine import due, state
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Change, Conflict, Link, Write
from ghl_sync.sandbox.server import Sandbox
from tests.clusters import eventually
from tests.factories import ContactFactory, PassengerFactory, TripFactory
from trips.models import Trip

pytestmark = pytest.mark.django_db(transaction=True)


def test_three_workers_and_a_pull_make_each_record_once(session: Session, connected: Sandbox) -> None:
    owner = ContactFactory()
    for _trip in range(3):
        trip = TripFactory(organiser=owner)
        for _seat in range(2):
            PassengerFactory(trip=trip)
    broken: list[BaseException] = []

    def work(job: str) -> None:
        try:
            for _round in range(3):
                mine = Session()
                if job == "pull":
                    pull(mine, full=True)
                else:
                    due.run_due(mine)
                    Trip.objects.order_by("?").first().save()  # type: ignore[union-attr]
        except CannotRun:
            pass
        except BaseException as error:  # noqa: BLE001 - a thread's error must fail the test
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(job,)) for job in ("push", "push", "push", "pull")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _round in range(3):
        Link.objects.update(next_attempt_at=None)
        Change.objects.update(due_at="2020-01-01T00:00:00Z")
        due.run_due(Session())

    assert broken == []
    assert (len(connected.opportunities("TripBooking")), len(connected.opportunities("Passenger"))) == (3, 6)
    creates = Counter(Write.objects.filter(action=Write.Action.CREATE).values_list("link", flat=True))
    assert set(creates.values()) == {1}
    assert not Link.objects.due().exists()
    assert not Conflict.objects.exists()


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite lets one writer in at a time")
def test_marks_and_a_pull_that_meet_on_the_same_links_wait_for_each_other(session: Session, connected: Sandbox) -> None:
    """The first link's row is written anew, so that a statement without an order finds it last."""
    links = [Link.objects.for_object(ContactFactory()) for _link in range(3)]
    ids = [link.pk for link in links if link is not None]
    Link.objects.filter(pk=ids[0]).update(label="Moved to the end")
    broken: list[BaseException] = []

    def mark() -> None:
        try:
            state.mark_dirty(ids)
        except BaseException as error:  # noqa: BLE001 - a thread's error must fail the test
            broken.append(error)
        finally:
            connection.close()

    marking = threading.Thread(target=mark)
    with transaction.atomic():
        Link.objects.select_for_update().get(pk=ids[0])
        marking.start()
        eventually(waits_for_a_lock, seconds=10)
        Link.objects.select_for_update().get(pk=ids[1])
    marking.join()
    assert (broken, Link.objects.filter(pk__in=ids, remote_dirty_at__isnull=False).count()) == ([], 3)


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees the first answer again and again
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])
