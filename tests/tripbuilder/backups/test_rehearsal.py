"""The rehearsed restore: into an empty database elsewhere, and the sync goes on as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from ghl_sync.engine.session import Session
from ghl_sync.models import Link
from ghl_sync.sandbox.server import Sandbox
from tests.chaos.rest import come_to_rest, names
from tests.factories import PassengerFactory
from tests.ghl_sync.conftest import connected as connected_to_sandbox
from tests.ghl_sync.conftest import sandbox as running_sandbox
from tests.ghl_sync.conftest import session as session_of_sandbox
from tests.ghl_sync.engine.mirror import a_trip, link_of
from tests.tripbuilder.backups.places import empty_database, environment, manage, python
from tests.trips.papers.conftest import private_folder as emptied_folder
from tripbuilder.backups.making import back_up
from trips.models import Passport

sandbox, connected, session = running_sandbox, connected_to_sandbox, session_of_sandbox
private_folder = emptied_folder

GOES_ON = """
import django, json
django.setup()
from contextlib import suppress
from django.core.files.storage import storages
from django.core.management import call_command
from ghl_sync.models import Link
from trips.models import Passenger, Passport, Trip
quiet = open("/dev/null", "w")
call_command("migrate", verbosity=0)
with suppress(SystemExit):  # what this account still lacks is not the question
    call_command("ghl_setup", "--bind", stdout=quiet, stderr=quiet)
call_command("pull_ghl", "--full", "--no-progress", stdout=quiet, stderr=quiet)
call_command("push_ghl", "--due", stdout=quiet, stderr=quiet)
print(json.dumps({
    "trips": sorted(Trip.objects.values_list("name", flat=True)),
    "passengers": Passenger.objects.count(),
    "links": Link.objects.count(),
    "numbers": [one.number for one in Passport.objects.all()],
    "paper": storages["private"].open("papers/note.txt").read().decode(),
}))
"""


@pytest.mark.django_db(transaction=True)
def test_a_restored_database_goes_on_without_twins(
    session: Session, connected: Sandbox, private_folder: Path, tmp_path: Path
) -> None:
    storages["private"].save("papers/note.txt", ContentFile(b"Bring the blue folder"))
    agreed = a_trip(name="Agreed before")
    traveller = PassengerFactory(trip=agreed)
    Passport.objects.create(passenger=traveller, number="X1234567")
    come_to_rest()
    a_trip(name="Not sent yet")

    archive, manifest = back_up(tmp_path / "backups")

    come_to_rest()  # what the backup does not know: it was sent,
    a_trip(name="Made afterwards")
    come_to_rest()  # something new came,
    connected.edit(link_of(agreed).remote_id, name="Renamed over there")  # and they went on working
    over_there = ["Made afterwards", "Not sent yet", "Renamed over there"]
    assert names(connected) == over_there
    people = len(connected.store.contacts_by_id)
    links = Link.objects.count()

    with empty_database(tmp_path) as address:
        env = environment(address, tmp_path / "elsewhere")
        restored = manage(env, "restore", str(archive))
        assert (restored.returncode, restored.stderr) == (0, ""), restored.stdout
        assert f"{sum(manifest.rows.values()):,} rows and 1 files" in restored.stdout
        again = manage(env, "restore", str(archive))
        assert (again.returncode, "is not empty" in again.stderr) == (2, True)

        went_on = python({**env, "DJANGO_SETTINGS_MODULE": "tripbuilder.settings"}, GOES_ON)
        assert went_on.returncode == 0, went_on.stderr
        assert json.loads(went_on.stdout) == {
            "trips": over_there,
            "passengers": 1,
            "links": links,
            "numbers": ["X1234567"],
            "paper": "Bring the blue folder",
        }
    assert (names(connected), len(connected.store.contacts_by_id)) == (over_there, people)
    assert len(connected.opportunities("Passenger")) == 1
