"""Many papers at once: what is asked for, a worker that is killed, the stage move, and who takes the ZIP."""

from __future__ import annotations

import datetime as dt
import io
import uuid
from zipfile import ZipFile

import pytest
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from tests import factories
from trips.models import Batch, Document, PaperRun, PaperRunRow, Passenger
from trips.services import batches, paper_runs

pytestmark = pytest.mark.django_db


def traveller(trip, **more):
    passenger = factories.PassengerFactory(trip=trip, birth_country="Canada", licence="§ 515.574", **more)
    return factories.PassportFactory(passenger=passenger).passenger


@pytest.fixture
def trip():
    return factories.TripFactory(
        name="Havana", lodging="Casa", final_payment_due=dt.date(2027, 1, 15), organiser=factories.ContactFactory()
    )


def asked(people, by, kinds=("mou", "affidavit"), to_stage="", key=None):
    return paper_runs.start(
        passengers=people, kinds=kinds, to_stage=to_stage, title="Papers of Havana", by=by, key=key or uuid.uuid4()
    )


def outcomes(run):
    return [(row.kind, row.outcome, row.reason) for row in run.rows.order_by("passenger_id", "kind")]


def documents():
    return list(Document.objects.order_by("pk").values_list("passenger_id", "kind", "paper_version"))


def test_run_makes_what_can_be_final_and_lists_the_rest(trip, admin_user):
    whole, lacking = traveller(trip), traveller(trip, date_of_birth=None)

    run = asked([whole, lacking], admin_user)
    paper_runs.work(run.pk)

    run.refresh_from_db()
    assert outcomes(run) == [
        ("affidavit", "made", ""),
        ("mou", "made", ""),
        ("affidavit", "blocked", "MISSING: date of birth."),
        ("mou", "blocked", "MISSING: date of birth."),
    ]
    assert run.finished_at is not None
    assert run.leased_until is None
    assert Document.objects.filter(made_by=admin_user).count() == 2


def test_asking_twice_with_one_key_is_one_run_and_the_queue_holds_numbers_only(
    trip, admin_user, django_capture_on_commit_callbacks
):
    people, key = [traveller(trip)], uuid.uuid4()
    OrmQ.objects.all().delete()

    with django_capture_on_commit_callbacks(execute=True):
        first, second = (asked(people, admin_user, key=key) for _time in range(2))

    assert (first, PaperRunRow.objects.count()) == (second, 2)
    (task,) = [row.task for row in OrmQ.objects.all()]
    assert (task["func"], task["args"]) == ("trips.services.paper_runs.work", (first.pk,))


def test_killed_worker_costs_nothing_and_makes_nothing_twice(trip, admin_user, monkeypatch):
    run = asked([traveller(trip) for _each in range(3)], admin_user, kinds=("mou",))
    settle = paper_runs._settle

    def killed_at_the_second(row, outcome, reason, document=None):
        if run.rows.filter(outcome="made").exists():
            raise SystemExit
        settle(row, outcome, reason, document)

    monkeypatch.setattr(paper_runs, "_settle", killed_at_the_second)
    with pytest.raises(SystemExit):
        paper_runs.work(run.pk)
    monkeypatch.setattr(paper_runs, "_settle", settle)
    after_kill = len(documents())
    paper_runs.work(run.pk)  # too early: the dead one still has its lease
    held = len(documents())
    PaperRun.objects.update(leased_until=timezone.now() - dt.timedelta(seconds=1))

    resumed = paper_runs.resume()
    paper_runs.work(OrmQ.objects.latest("pk").task["args"][0])

    assert (after_kill, held, resumed) == (1, 1, 1)
    assert [version for _passenger, _kind, version in documents()] == [1, 1, 1]
    assert {outcome for _kind, outcome, _reason in outcomes(run)} == {"made"}
    assert Schedule.objects.get(func="trips.services.paper_runs.resume").minutes == 1


def test_row_that_another_worker_made_is_not_made_twice(trip, admin_user):
    run = asked([traveller(trip)], admin_user, kinds=("mou",))
    row = run.rows.get()
    PaperRunRow.objects.filter(pk=row.pk).update(outcome="made")
    template = paper_runs.papers.templates()[1]
    passenger = paper_runs.passengers_for_papers([row.passenger_id]).get()

    run.by = admin_user
    paper_runs._make(run, row, template, passenger)

    assert documents() == []


def test_turn_that_ends_goes_on_in_the_next_task(trip, admin_user, monkeypatch):
    run = asked([traveller(trip)], admin_user)
    monkeypatch.setattr(paper_runs, "TURN_SECONDS", -1.0)
    OrmQ.objects.all().delete()

    paper_runs.work(run.pk)

    run.refresh_from_db()
    assert (run.finished_at, run.leased_until, OrmQ.objects.count()) == (None, None, 1)
    assert documents() == []


def test_account_that_lost_its_rights_makes_nothing_more(trip):
    by = factories.StaffFactory()
    run = asked([traveller(trip)], by, kinds=("mou",))

    paper_runs.work(run.pk)

    assert outcomes(run) == [("mou", "blocked", "Whoever asked for it may not make papers any more.")]


@pytest.mark.django_db(transaction=True)
def test_those_with_all_papers_move_and_the_move_is_undone(trip, admin_user):
    whole, lacking = traveller(trip), traveller(trip, date_of_birth=None)
    further = traveller(trip, stage="trip_ready")
    run = asked([whole, lacking, further], admin_user, to_stage="trip_details_sent")

    paper_runs.work(run.pk)

    run.refresh_from_db()
    stages = lambda: list(Passenger.objects.order_by("pk").values_list("stage", flat=True))  # noqa: E731
    assert stages() == ["trip_details_sent", "added_to_trip", "trip_ready"]
    batches.undo(batch=Batch.objects.get(pk=run.batch_id), by=admin_user)
    assert stages() == ["added_to_trip", "added_to_trip", "trip_ready"]


# The pages


def test_trip_leads_to_a_preview_with_what_is_missing_first(admin_client, trip):
    traveller(trip)
    lacking = traveller(trip, legal_last_name="Zzz", date_of_birth=None)
    traveller(trip, attendance="cancelled")

    answer = admin_client.get(reverse("admin:trips_paperrun_ask"), {"trip": trip.pk})

    lines = answer.context["lines"]
    assert [line.passenger.pk for line in lines][:1] == [lacking.pk]
    assert (len(lines), dict(lines[0].cells)["Affidavit"]) == (2, "MISSING: date of birth.")
    assert [ready for _kind, _label, ready in answer.context["kinds"]][2] == 1


@pytest.mark.parametrize("count", [1, 3])
def test_preview_asks_the_same_number_of_queries(admin_client, trip, count, django_assert_num_queries):
    for _each in range(count):
        traveller(trip)
    admin_client.get("/trips/paperrun/")

    with django_assert_num_queries(7):
        admin_client.get(reverse("admin:trips_paperrun_ask"), {"trip": trip.pk})


@pytest.mark.parametrize("count", [1, 3])
def test_page_of_a_run_asks_the_same_number_of_queries(
    admin_client, admin_user, trip, count, django_assert_num_queries
):
    run = asked([traveller(trip) for _each in range(count)], admin_user)
    paper_runs.work(run.pk)

    with django_assert_num_queries(5):
        admin_client.get(reverse("admin:trips_paperrun_change", args=[run.pk]))


def test_zip_has_a_folder_a_passenger_and_only_what_the_account_may_open(client, admin_client, admin_user, trip):
    run = asked([traveller(trip), traveller(trip)], admin_user)
    paper_runs.work(run.pk)
    url = reverse("admin:trips_paperrun_zip", args=[run.pk])

    whole = ZipFile(io.BytesIO(b"".join(admin_client.get(url).streaming_content)))
    client.force_login(factories.StaffFactory(permissions=["trips.view_paperrun", "trips.view_document"]))
    less = ZipFile(io.BytesIO(b"".join(client.get(url).streaming_content)))

    assert len(whole.namelist()) == 4
    assert {name.rpartition("/")[2] for name in whole.namelist()} == {"mou-v1.pdf", "affidavit-v1.pdf"}
    assert {name.rpartition("/")[2] for name in less.namelist()} == {"mou-v1.pdf"}  # the affidavit shows a passport
    client.force_login(factories.StaffFactory(permissions=["trips.view_document"]))
    assert client.get(url).status_code == 404  # somebody else's run


def test_run_that_nobody_took_up_can_be_put_into_the_queue_again(admin_client, admin_user, trip):
    run = asked([traveller(trip)], admin_user)
    url = reverse("admin:trips_paperrun_change", args=[run.pk])
    fresh = admin_client.get(f"{url}?part").content.decode()
    PaperRun.objects.update(updated_at=timezone.now() - dt.timedelta(seconds=60))
    OrmQ.objects.all().delete()

    stopped = admin_client.get(f"{url}?part").content.decode()
    admin_client.post(reverse("admin:trips_paperrun_go_on", args=[run.pk]))

    assert ("Go on" in fresh, "Go on" in stopped) == (False, True)
    assert OrmQ.objects.count() == 1


def test_asking_takes_the_permission_to_add_documents_and_the_move_that_to_change(client, trip):
    passenger = traveller(trip)
    rights = ["trips.view_passenger", "trips.view_document", "trips.view_trip"]
    posted = {"ids": str(passenger.pk), "kinds": ["mou"], "confirm": "1", "move": "1"}
    client.force_login(factories.StaffFactory(permissions=rights))
    refused = client.post(reverse("admin:trips_paperrun_ask"), posted)
    client.force_login(factories.StaffFactory(permissions=[*rights, "trips.add_document"]))
    started = client.post(reverse("admin:trips_paperrun_ask"), posted)

    assert (refused.status_code, started.status_code) == (403, 302)
    assert PaperRun.objects.get().to_stage == ""
