"""Many papers at once: what is asked for, a worker that is killed, the stage move, and who takes the ZIP."""

from __future__ import annotations

import datetime as dt
import io
import uuid
from zipfile import ZipFile

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from tests import factories
from trips.models import Batch, Document, PaperRun, PaperRunRow, Passenger
from trips.services import batches, paper_runs
from trips.services import documents as services

pytestmark = pytest.mark.django_db
APPROVE_QUERIES = 4


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


def said(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


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


@pytest.mark.parametrize(("born", "offered"), [(dt.date(1980, 5, 17), True), (None, False)])
def test_papers_are_offered_only_where_one_can_be_made(admin_client, trip, born, offered):
    traveller(trip, date_of_birth=born)
    Passenger.objects.update(legal_first_name="Ada" if born else "", legal_last_name="Ek" if born else "")

    page = admin_client.get(reverse("admin:trips_paperrun_ask"), {"trip": trip.pk}).content.decode()

    assert ('name="confirm"' in page, "There is nothing to make yet" in page) == (offered, not offered)


@pytest.mark.parametrize("count", [1, 3])
def test_preview_asks_the_same_number_of_queries(admin_client, trip, count, django_assert_num_queries):
    for _each in range(count):
        traveller(trip)
    admin_client.get("/trips/paperrun/")

    with django_assert_num_queries(8):
        admin_client.get(reverse("admin:trips_paperrun_ask"), {"trip": trip.pk})


@pytest.mark.parametrize("count", [1, 3])
def test_page_of_a_run_asks_the_same_number_of_queries(
    admin_client, admin_user, trip, count, django_assert_num_queries
):
    run = asked([traveller(trip) for _each in range(count)], admin_user)
    paper_runs.work(run.pk)

    with django_assert_num_queries(6):
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
    assert client.get(url).status_code == 403  # somebody else's run


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


# Approving all that a run made


def approving(run):
    return reverse("admin:trips_paperrun_approve", args=[run.pk])


def states():
    return list(Document.objects.order_by("pk").values_list("kind", "state"))


def made_run(trip, by, count=1, kinds=("mou", "affidavit")):
    run = asked([traveller(trip) for _each in range(count)], by, kinds=kinds)
    paper_runs.work(run.pk)
    return run


def test_approving_all_asks_first_and_each_is_approved_with_its_history(admin_client, admin_user, trip, caplog):
    run = made_run(trip, admin_user, count=2)
    page = admin_client.get(reverse("admin:trips_paperrun_change", args=[run.pk])).content.decode()

    asking = admin_client.get(approving(run))
    before = states()
    with caplog.at_level("INFO", logger="trips.documents"):
        answer = admin_client.post(approving(run), {"ids": asking.context["ids"]})

    assert ("Approve all (4)" in page, asking.context["count"]) == (True, 4)
    assert asking.context["kinds"] == [("Memorandum of understanding", 2), ("Affidavit", 2)]
    assert {state for _kind, state in before} == {"received"}
    assert {state for _kind, state in states()} == {"approved"}
    for document in Document.objects.all():
        newest = document.history.first()
        assert (newest.state, newest.history_user, document.history.count()) == ("approved", admin_user, 2)
    assert said(answer) == ["4 papers approved."]
    assert [record.getMessage() for record in caplog.records] == [
        f"user {admin_user.pk} approved 4 papers of run {run.pk}"
    ]
    after = admin_client.get(reverse("admin:trips_paperrun_change", args=[run.pk])).content.decode()
    assert ("Approve all" in after, after.count("APPROVED") + after.count("Approved")) == (False, 4)


def test_papers_that_somebody_decided_meanwhile_are_told_and_left_as_they_are(admin_client, admin_user, trip):
    run = made_run(trip, admin_user, count=2)
    first, second, third, _fourth = Document.objects.order_by("pk")
    ids = admin_client.get(approving(run)).context["ids"]
    services.reject(document=first, reason="Not signed", by=admin_user)
    services.approve(document=second, by=admin_user)
    third.delete()

    answer = admin_client.post(approving(run), {"ids": ids})
    Document.objects.filter(pk=first.pk).delete()
    again = admin_client.post(approving(run), {"ids": str(first.pk)}, follow=True)

    label = {one.pk: one.get_kind_display() for one in (first, second)}
    assert said(answer)[:3] == [
        "1 paper approved.",
        f"Somebody was quicker. {label[first.pk]} no. {first.pk} is rejected already. "
        f"{label[second.pk]} no. {second.pk} is approved already.",
        "1 paper was deleted meanwhile.",
    ]
    assert [str(one) for one in again.context["messages"]][-1] == "1 paper was deleted meanwhile."
    assert [state for _kind, state in states()] == ["approved", "approved"]


def test_only_papers_of_the_run_that_were_shown_are_approved(admin_client, admin_user, trip):
    run, other = made_run(trip, admin_user, kinds=("mou",)), made_run(trip, admin_user, kinds=("mou",))
    foreign = other.rows.get().document_id

    for ids in (str(foreign), "x,9" + "9" * 40, ""):
        answer = admin_client.post(approving(run), {"ids": ids}, follow=True)
        assert [str(one) for one in answer.context["messages"]] == ["Nothing was approved: no paper was chosen."]

    assert [state for _kind, state in states()] == ["received", "received"]


def test_a_run_with_nothing_to_approve_says_so(admin_client, admin_user, trip):
    run = made_run(trip, admin_user)
    admin_client.post(approving(run), {"ids": admin_client.get(approving(run)).context["ids"]})

    page = admin_client.get(approving(run))

    assert (page.context["count"], "Nothing of this run waits" in page.content.decode()) == (0, True)


def test_a_run_that_is_not_finished_cannot_be_approved(admin_client, admin_user, trip):
    run = asked([traveller(trip)], admin_user)

    page = admin_client.get(reverse("admin:trips_paperrun_change", args=[run.pk])).content.decode()

    assert "Approve all" not in page
    assert admin_client.get(approving(run)).status_code == 404


def test_approving_takes_the_permission_to_change_documents_and_to_open_each(client, admin_user, trip):
    run = made_run(trip, admin_user)
    url, page = approving(run), reverse("admin:trips_paperrun_change", args=[run.pk])
    rights = ["trips.view_paperrun", "trips.view_document", "trips.view_passenger"]
    client.force_login(factories.StaffFactory(permissions=rights))
    looking = (
        client.get(url).status_code,
        client.post(url).status_code,
        "Approve all" in client.get(page).content.decode(),
    )

    client.force_login(factories.StaffFactory(permissions=[*rights, "trips.change_document"]))
    asking = client.get(url)
    everything = ",".join(str(pk) for pk in Document.objects.values_list("pk", flat=True))
    client.post(url, {"ids": everything})

    assert looking == (403, 403, False)
    assert asking.context["kinds"] == [("Memorandum of understanding", 1)]  # the affidavit shows a passport
    assert sorted(states()) == [("affidavit", "received"), ("mou", "approved")]


@pytest.mark.parametrize("count", [1, 3])
def test_asking_to_approve_costs_the_same_for_any_number(
    admin_client, admin_user, trip, count, django_assert_num_queries
):
    run = made_run(trip, admin_user, count=count)
    admin_client.get("/trips/paperrun/")

    with django_assert_num_queries(APPROVE_QUERIES):
        admin_client.get(approving(run))


def test_more_than_can_be_approved_at_once_are_approved_in_turns(admin_client, admin_user, trip, monkeypatch):
    monkeypatch.setattr("trips.admin.paper_runs.MOST_APPROVED", 3)
    run = made_run(trip, admin_user, count=2)

    asking = admin_client.get(approving(run))
    admin_client.post(approving(run), {"ids": asking.context["ids"]})

    assert (asking.context["count"], asking.context["later"]) == (3, 1)
    assert admin_client.get(approving(run)).context["count"] == 1
