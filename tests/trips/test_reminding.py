"""Reminders by e-mail: who is written to and of what, who is held back and why, and that each mail leaves once."""

from __future__ import annotations

import datetime as dt
import smtplib

import pytest
from django.contrib.messages import get_messages
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests import factories
from trips.models import Passenger, Reminder
from trips.services import reminding

pytestmark = pytest.mark.django_db
GAPS = reverse("admin:trips_passenger_remind", args=["gaps"])


@pytest.fixture
def trip(db):
    return factories.TripFactory(
        name="Baracoa",
        start_date=dt.date(2027, 3, 1),
        price_per_person=1000,
        deposit_amount=200,
        deposit_due=dt.date(2026, 10, 1),
        final_payment_due=dt.date(2099, 1, 1),
    )


@pytest.fixture
def greta(trip):
    contact = factories.ContactFactory(first_name="Greta", last_name="Ortiz", email="greta@example.com")
    passenger = factories.PassengerFactory(contact=contact, trip=trip, sex="F")
    factories.PassportFactory(passenger=passenger)
    factories.HealthRecordFactory(passenger=passenger)
    return passenger


def planned(kind=Reminder.Kind.GAPS, *, may=lambda permission: True, insist=False, wording=None):
    ready, held = reminding.drafts(
        passengers=Passenger.objects.order_by("pk"),
        kind=kind,
        wording=wording or reminding.WORDINGS[kind],
        today=dt.date(2026, 11, 1),
        may_know=may,
        insist=insist,
    )
    return ready, {str(one.passenger): one.reason for one in held}


def told(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_a_mail_names_what_this_one_traveller_lacks_and_nothing_else(greta):
    ((mail_,), held) = planned()

    assert held == {}
    assert (mail_.recipient, mail_.subject, mail_.asked_for) == (
        "greta@example.com", "What we still need for Baracoa", ("documents", "emergency"),
    )  # fmt: skip
    assert mail_.body == (
        "Dear Greta,\n\nfor Baracoa, which leaves on 1 March 2027, we still need:\n\n"
        "- documents that we have not received yet\n"
        "- somebody to call in an emergency, with a telephone number\n\n"
        "Please reply to this message, or call us. Thank you!"
    )


def test_what_the_sender_may_not_see_is_not_asked_for(greta):
    ((mail_,), _held) = planned(may=lambda permission: permission != "trips.view_document")

    assert mail_.asked_for == ("emergency",)


def test_who_gets_no_mail_is_named_with_the_reason(trip):
    def person(name, **facts):
        contact = factories.ContactFactory(first_name=name, last_name="Lind", email=f"{name.lower()}@example.com")
        for key in ("email", "do_not_contact"):
            if key in facts:
                setattr(contact, key, facts.pop(key))
        contact.save()
        return factories.PassengerFactory(**{"contact": contact, "trip": trip, **facts})

    person("Ana", email="")
    person("Bea", do_not_contact=True)
    person("Cleo", attendance="cancelled")
    person("Dora", trip=None)
    person("Ines", trip=factories.TripFactory(start_date=None, end_date=None))
    asked = person("Hugo")
    Reminder.objects.create(
        passenger=asked, kind="gaps", recipient="hugo@example.com", subject="", body="", state="sent"
    )
    day = timezone.localdate()

    ready, held = planned()

    assert ready == []
    assert held == {
        "Ana Lind": "No e-mail address.",
        "Bea Lind": "Does not want to be contacted.",
        "Cleo Lind": "Cancelled.",
        "Dora Lind": "On no trip.",
        "Ines Lind": "Nothing is known for the day of departure.",
        "Hugo Lind": f"Asked on {day.day} {day:%b %Y} already.",
    }
    assert [str(one.passenger) for one in planned(insist=True)[0]] == ["Hugo Lind"]


def test_a_minor_s_mail_goes_to_the_guardian(greta):
    guardian = factories.ContactFactory(email="guardian@example.com")
    Passenger.objects.filter(pk=greta.pk).update(date_of_birth=dt.date(2015, 1, 1), guardian=guardian)

    assert planned()[0][0].recipient == "guardian@example.com"


def test_payment_asks_for_what_is_due_by_when(greta, trip):
    ((deposit,), _held) = planned(Reminder.Kind.MONEY)
    factories.PaymentFactory(passenger=greta, amount=200)
    ((rest,), _held) = planned(Reminder.Kind.MONEY)
    factories.PaymentFactory(passenger=greta, amount=800)

    assert "- 200.00 USD, by 1 October 2026" in deposit.body
    assert "- 800.00 USD, by 1 January 2099" in rest.body
    assert planned(Reminder.Kind.MONEY)[1] == {"Greta Ortiz": "Lacks nothing that you may see."}


def test_a_mail_is_shown_sent_once_and_on_record(admin_client, admin_user, greta):
    page = admin_client.post(GAPS, {"ids": greta.pk})
    sending = {"ids": greta.pk, "send": "1", "shown": page.context["shown"], **page.context["form"].initial}
    first = told(admin_client.post(GAPS, sending))
    again = told(admin_client.post(GAPS, {**sending, "insist": "on"}))

    assert first == ["1 reminder sent."]
    assert again[-1].startswith("Nothing was sent: the words have changed")
    assert [(one.to, one.subject) for one in mail.outbox] == [(["greta@example.com"], "What we still need for Baracoa")]
    (row,) = Reminder.objects.all()
    assert (row.passenger, row.state, row.by, row.asked_for, row.body) == (
        greta, "sent", admin_user, ["documents", "emergency"], mail.outbox[0].body,
    )  # fmt: skip
    listed = admin_client.get(reverse("admin:trips_passenger_changelist")).content.decode()
    assert "field-asked" in listed
    log = admin_client.get(reverse("admin:trips_reminder_change", args=[row.pk])).content.decode()
    assert "somebody to call in an emergency" in log


def test_two_who_press_at_once_send_one_mail(greta):
    (ready, _held) = planned()

    counts = [reminding.send(drafts=ready, kind="gaps", by=None, seconds=5) for _press in range(2)]

    assert [one.count for one in counts] == [1, 0]
    assert [one.reason for one in counts[1].held] == ["Somebody has just written to them."]
    assert len(mail.outbox) == 1


def test_what_the_mail_server_refuses_is_named_and_may_be_tried_again(greta, monkeypatch):
    def refuse(*_what):
        raise smtplib.SMTPServerDisconnected("greta@example.com is unknown here")

    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", refuse)
        refused = reminding.send(drafts=planned()[0], kind="gaps", by=None, seconds=5)
    sent = reminding.send(drafts=planned()[0], kind="gaps", by=None, seconds=5)

    assert [one.reason for one in refused.held] == [
        "The mail server did not take it (SMTPServerDisconnected). Check EMAIL_URL, then try again."
    ]
    assert (refused.count, sent.count) == (0, 1)
    assert sorted(Reminder.objects.values_list("state", flat=True)) == ["failed", "sent"]


def test_an_unknown_field_is_refused_with_those_there_are(admin_client, greta):
    page = admin_client.post(GAPS, {"ids": greta.pk, "subject": "Hi {nmae}", "message": "x", "send": "1"})

    assert page.context["form"].errors == {
        "subject": ["There is no field {nmae}. The fields are {name}, {trip}, {departure}, {list}."]
    }
    assert mail.outbox == []


def test_who_may_not_remind_or_see_money_is_refused(client, greta):
    may = ["trips.view_passenger", "trips.view_contact", "trips.add_reminder"]
    client.force_login(factories.StaffFactory(permissions=may))
    assert client.post(GAPS, {"ids": greta.pk}).status_code == 200
    assert client.post(reverse("admin:trips_passenger_remind", args=["money"]), {"ids": greta.pk}).status_code == 403
    client.force_login(factories.StaffFactory(permissions=may[:2]))
    assert client.post(GAPS, {"ids": greta.pk}).status_code == 403


@pytest.mark.parametrize("kind", Reminder.Kind.values)
def test_planning_asks_as_much_for_three_as_for_one(greta, trip, kind):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            planned(kind)
        return len(asked)

    once = queries()
    for _number in range(2):
        factories.PassengerFactory(trip=trip)

    assert queries() == once
