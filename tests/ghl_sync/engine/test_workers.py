"""Several workers at once: each record is handled by one at a time and made once."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from django.db import connection

from ghl_sync.engine import due
from ghl_sync.engine.pull import pull
from ghl_sync.engine.session import CannotRun, Session
from ghl_sync.models import Change, Conflict, Link, Write
from ghl_sync.sandbox.server import Sandbox
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
