"""A traveller's own form: the link and its end, the steps, the signature, the review, and what nobody finds out."""

from __future__ import annotations

import datetime as dt
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import time_machine
from django.contrib.messages import get_messages
from django.core import mail
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories
from tests.trips.papers.conftest import PNG, pdf, private_folder, sheet  # noqa: F401 - the fixtures
from tests.trips.postgres import postgresql_only
from trips.enums import FormStep
from trips.gaps import with_documents
from trips.models import Batch, Document, EmergencyContact, HealthRecord, Passenger, Passport, Reminder, TravellerForm
from trips.services import batches, documents, reminding, traveller_answers, traveller_links, traveller_review
from trips.services.traveller_links import NoLink, Standing
from trips.services.traveller_review import NotTaken

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
START = reverse("traveller:start")
REVIEW = reverse("admin:trips_travellerform_review")
ALL = ["details", "passport", "health", "emergency"]
DETAILS = {
    "legal_first_name": "Greta",
    "legal_middle_name": "",
    "legal_last_name": "Ortiz",
    "preferred_name": "Gretl",
    "date_of_birth": "1980-05-17",
    "sex": "F",
    "birth_country": "Austria",
    "roommate_request": "",
}
PASSPORT = {"how": "new", "number": "k 7770 123", "expires_on": "2031-02-03", "country": "Austria"}
HEALTH = {"how": "new", "allergies": "Peanuts", "diet": "Vegan"}
EMERGENCY = {
    "how": "new",
    "one-first_name": "Kim",
    "one-last_name": "Lind",
    "one-relationship": "Sister",
    "one-mobile": "+12025550142",
}
STEPS = {"details": DETAILS, "passport": PASSPORT, "health": HEALTH, "emergency": EMERGENCY}


@pytest.fixture(autouse=True)
def _on(settings):
    settings.TRAVELLER_LINKS = True
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def greta():
    contact = factories.ContactFactory(first_name="Greta", last_name="Ortiz", email="greta@example.com")
    trip = factories.TripFactory(name="Baracoa", start_date=dt.date(2027, 3, 1), end_date=dt.date(2027, 3, 8))
    return factories.PassengerFactory(contact=contact, trip=trip)


class Phone:
    """A traveller's browser, without a script: what the script would post is posted here."""

    def __init__(self, token):
        self.client = Client(enforce_csrf_checks=True)
        self.opened = self.post(START, {"link": token}, at=START)
        self.here = self.opened.url if self.opened.status_code == 302 else START

    def get(self, step=""):
        return self.client.get(f"{self.here}{step}", follow=False)

    def post(self, address, data, at=""):
        page = self.client.get(at or address)
        token = page.context["csrf_token"] if page.context else ""
        return self.client.post(address, {**data, "csrfmiddlewaretoken": str(token)})

    def fill(self, step, **typed):
        return self.post(f"{self.here}{step}/", {**STEPS.get(step, {}), **typed})

    def fill_all(self, steps=ALL):
        for step in steps:
            assert self.fill(step).status_code == 302, step

    def sign(self, **typed):
        page = self.get("sign/")
        shown = page.context["typed"].initial["shown"]
        return self.fill("sign", **{"intent": "on", "name": "Greta Ortiz", "shown": shown, **typed})


def linked(passenger, steps=ALL):
    return traveller_links.make_link(passenger=passenger, steps=steps, by=None)


@pytest.fixture
def phone(greta):
    return Phone(linked(greta)[1])


def sent_in(passenger, **typed):
    form, token = linked(passenger)
    phone = Phone(token)
    phone.fill_all()
    assert phone.sign(**typed).status_code == 302
    form.refresh_from_db()
    return form


def everything(_permission):
    return True


def accepted(form, keys=None, may=everything, by=None):
    parts = traveller_review.compare(form, may)
    keys = [line.key for part in parts for line in part.lines if line.ticked] if keys is None else keys
    return traveller_review.accept(form=form, keys=keys, shown=traveller_review.shown_hash(form, parts), may=may, by=by)


def errors(answer):
    page = answer.context["page"]
    return {name: texts for _title, part in page.parts for name, texts in part.errors.items()}


def said_by(answer):
    """The page without its own token."""
    return answer.content.decode().replace(str(answer.context["csrf_token"]), "")


def told(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


# The whole way


def test_a_form_changes_nothing_until_staff_take_it_over_and_an_undo_takes_it_back(greta, admin_user):
    form = sent_in(greta)
    greta.refresh_from_db()

    assert (form.state, form.signer, form.signed_name, form.intent) == ("sent_in", "traveller", "Greta Ortiz", True)
    assert (form.sent_in_at, traveller_answers.signature_holds(form)) == (NOW, True)
    assert (greta.preferred_name, Passport.objects.count(), HealthRecord.objects.count()) == ("", 0, 0)

    batch = accepted(form, by=admin_user)

    greta.refresh_from_db()
    assert (greta.preferred_name, greta.sex, greta.birth_country_code) == ("Gretl", "F", "AT")
    assert (greta.stage, greta.details_submitted_on) == ("details_submitted", dt.date(2026, 12, 1))
    assert (greta.passport.number, greta.passport.expires_on, greta.passport.country_code) == (
        "K7770123", dt.date(2031, 2, 3), "AT",
    )  # fmt: skip
    assert (greta.health.allergies, greta.health.diet, greta.health.nothing_to_declare) == ("Peanuts", "Vegan", False)
    (kim,) = greta.emergency_contacts.all()
    assert (str(kim), kim.relationship, kim.mobile, kim.position) == ("Kim Lind", "Sister", "+12025550142", 1)
    assert (form.state, form.reviewed_by, sorted(form.reviewed)) == ("accepted", admin_user, sorted([*ALL, "record"]))
    assert greta.history.first().history_user == admin_user

    undone = batches.undo(batch=batch, by=admin_user)

    greta = Passenger.objects.get(pk=greta.pk)
    form.refresh_from_db()
    assert undone.kept == []
    assert (greta.preferred_name, greta.stage, Passport.objects.count(), EmergencyContact.objects.count()) == (
        "", "added_to_trip", 0, 0,
    )  # fmt: skip
    assert (form.state, form.reviewed) == ("sent_in", [])


def test_what_was_saved_is_there_when_the_traveller_comes_back(greta):
    _form, token = linked(greta)
    first = Phone(token)
    first.fill("details")
    first.fill("passport")

    again = Phone(token)

    assert again.get().url == f"{again.here}health/"
    shown = again.get("details/").content.decode()
    assert 'value="Gretl"' in shown
    assert "Step 1 of 5" in shown


# The link


def test_a_link_is_in_no_table_and_no_address(greta):
    form, token = linked(greta)
    secret = token.partition(".")[0]

    with connection.cursor() as cursor:
        cursor.execute("select * from trips_travellerform")
        stored = str(cursor.fetchall())
    phone = Phone(token)

    assert secret not in stored
    assert token not in phone.opened.url
    assert phone.opened.url == reverse("traveller:form", args=[form.uid])
    cookie = phone.opened.cookies[f"form_{form.uid.hex}"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (phone.opened.url, True, "Strict")


@pytest.mark.parametrize("change", [
    lambda token: token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
    lambda token: ("A" if token[0] != "A" else "B") + token[1:],
    lambda token: token.partition(".")[0],
    lambda token: "",
    lambda token: "x" * 5000,
    lambda token: "é.ñ\x00",
])  # fmt: skip
def test_a_forged_link_and_one_that_was_replaced_are_told_the_same(greta, change):
    _form, token = linked(greta)
    _same, newer = linked(greta)
    replaced = Phone(token).opened
    with CaptureQueriesContext(connection) as asked:
        forged = Phone(change(newer)).opened

    assert (forged.status_code, replaced.status_code) == (404, 404)
    assert said_by(forged) == said_by(replaced)
    assert b"Greta" not in forged.content
    assert b"ask your organiser for a new one" in forged.content
    assert len(asked) == 0
    assert Phone(newer).opened.status_code == 302


def test_a_link_that_is_over_says_so_and_nothing_else(greta, admin_user):
    form, token = linked(greta)
    told = {}

    def dead(name):
        page = Phone(token).opened
        assert b"Baracoa" not in page.content
        assert b"Greta" not in page.content
        told[name] = (page.status_code, page.context["title"])

    with time_machine.travel(NOW + dt.timedelta(days=14), tick=False):
        dead("expired")
    with time_machine.travel(dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC), tick=False):
        TravellerForm.objects.update(expires_at=dt.datetime(2028, 1, 1, tzinfo=dt.UTC))  # as after a change of dates
        dead("left")
    Passenger.objects.update(attendance="cancelled")
    dead("cancelled")
    Passenger.objects.update(attendance="booked")
    traveller_links.withdraw(form=form, by=admin_user)
    dead("withdrawn")

    assert told == {
        "expired": (410, "This link has expired"),
        "left": (410, "This form is closed"),
        "cancelled": (410, "This form is closed"),
        "withdrawn": (410, "This link was withdrawn"),
    }


def test_a_used_link_says_so_and_takes_nothing_more(greta):
    _form, token = linked(greta)
    phone = Phone(token)
    phone.fill_all()
    still_open = Phone(token)
    assert phone.sign().url == reverse("traveller:sent")

    again = Phone(token).opened
    late = still_open.post(f"{still_open.here}details/", {**DETAILS, "preferred_name": "Late"})

    assert (again.status_code, again.context["title"]) == (200, "This form was sent in")
    assert late.context["title"] == "This form was sent in"
    assert TravellerForm.objects.get().answered["details"]["values"]["preferred_name"] == "Gretl"
    accepted(TravellerForm.objects.get())
    assert Phone(token).opened.status_code == 410


def test_a_link_opens_no_other_form(greta, phone):
    other = factories.PassengerFactory(trip=greta.trip, legal_first_name="Hugo", legal_last_name="Berg")
    theirs, _token = linked(other)
    here = reverse("traveller:form", args=[theirs.uid])
    mine = next(iter(phone.client.cookies[key] for key in phone.client.cookies if key.startswith("form_")))
    phone.client.cookies[f"form_{theirs.uid.hex}"] = mine.value  # a cookie can be written by hand

    page = phone.client.get(f"{here}details/")
    sent = phone.post(f"{here}details/", DETAILS, at=START)

    assert b"Hugo" not in page.content
    assert page.context["told"] == "Please open your link once more."
    assert sent.context["told"] == "Please open your link once more."
    theirs.refresh_from_db()
    assert theirs.answers == ""


def test_a_link_ends_after_so_many_days_and_before_the_departure(greta):
    early, _token = linked(greta)
    greta.trip.start_date = dt.date(2026, 12, 9)
    late, _token = linked(greta)

    assert [one.expires_at for one in (early, late)] == [
        NOW + dt.timedelta(days=14), dt.datetime(2026, 12, 9, tzinfo=dt.UTC),
    ]  # fmt: skip


def test_a_new_link_keeps_what_was_typed_and_asks_for_what_is_ticked_now(greta):
    form, token = linked(greta)
    Phone(token).fill("details")

    same, newer = linked(greta, ["details", "health"])

    assert (same.pk, same.steps) == (form.pk, ["details", "health"])
    assert Phone(newer).get().url.endswith("/health/")


@pytest.mark.parametrize(("change", "sentence"), [
    ({"attendance": "cancelled"}, "The booking is cancelled."),
    ({"trip": None}, "The traveller is on no trip. Choose the trip first."),
])  # fmt: skip
def test_no_link_is_made_for_who_does_not_go(greta, change, sentence):
    for name, value in change.items():
        setattr(greta, name, value)
    greta.save()

    with pytest.raises(NoLink) as refused:
        linked(greta)

    assert str(refused.value) == sentence
    assert not TravellerForm.objects.exists()


def test_switched_off_there_is_no_such_page(admin_client, greta, phone, settings):
    settings.TRAVELLER_LINKS = False

    assert [
        Client().get(START).status_code,
        phone.get("details/").status_code,
        admin_client.get(REVIEW).status_code,
        admin_client.get(reverse("admin:trips_travellerform_changelist")).status_code,
        admin_client.get(reverse("admin:trips_passenger_own_form", args=[greta.pk])).status_code,
    ] == [404] * 5
    page = admin_client.get(reverse("admin:trips_passenger_change", args=[greta.pk])).content.decode()
    assert "Traveller form" not in page
    assert "Forms to review" not in admin_client.get(reverse("admin:index")).content.decode()


# The pages


def test_pages_are_kept_nowhere_and_load_nothing_from_elsewhere(phone):
    for page in (Client().get(START), phone.get("details/"), Phone("x").opened):
        assert page["Cache-Control"] == "no-store, private"
        assert page["X-Robots-Tag"] == "noindex, nofollow"
        assert page["Referrer-Policy"] == "same-origin"
        assert page["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert page["X-Frame-Options"] == "DENY"
        assert b"http" not in page.content.replace(b"http://www.w3.org", b"")


def test_looking_changes_nothing(greta):
    _form, token = linked(greta)
    phone = Phone(token)
    before = TravellerForm.objects.values().get()

    for step in ("", *(f"{code}/" for code in ALL), "sign/"):
        phone.get(step)
    Client().get(f"{START}?link={token}")

    assert TravellerForm.objects.values().get() == before


def test_a_post_without_the_page_s_own_token_is_refused(phone):
    assert phone.client.post(f"{phone.here}details/", DETAILS).status_code == 403


def test_what_is_on_file_is_told_only_as_far_as_to_know_it_again(greta):
    factories.PassportFactory(passenger=greta, number="X5559876", country="Canada")
    factories.HealthRecordFactory(passenger=greta, allergies="Shellfish")
    factories.EmergencyContactFactory(passenger=greta, first_name="Wilhelmina", last_name="Berg", phone="+12025550199")
    phone = Phone(linked(greta)[1])

    pages = {step: phone.get(f"{step}/").content.decode() for step in ALL}

    assert "On file and still right: Passport whose number ends 876" in pages["passport"]
    assert "On file and still right: Wilhelmina B, number ends 199" in pages["emergency"]
    assert "On file and still right: Answers about health and diet" in pages["health"]
    for secret in ("X5559876", "2031-01-01", "Shellfish", "Berg", "5550199"):
        assert all(secret not in page for page in pages.values()), secret


def test_what_was_typed_is_not_shown_again_either(phone):
    phone.fill_all()

    pages = [phone.get(f"{step}/").content.decode() for step in (*ALL, "sign")]

    assert "Leave it as I typed it: Passport whose number ends 123" in pages[1]
    assert "Kim L, number ends 142" in pages[4]
    for secret in ("K7770123", "Peanuts", "Vegan", "5550142"):
        assert all(secret not in page for page in pages), secret


def test_keeping_what_was_typed_keeps_it(phone):
    phone.fill_all()

    assert phone.fill("passport", how="keep", number="", expires_on="", country="").status_code == 302
    form = TravellerForm.objects.get()
    assert form.answered["passport"]["values"]["number"] == "K7770123"


@pytest.mark.parametrize(("step", "typed", "said"), [
    ("details", {"legal_last_name": ""}, {"legal_last_name": ["Please fill this in."]}),
    ("details", {"date_of_birth": "2031-01-01"}, {"date_of_birth": [
        "A date of birth of 1 Jan 2031 cannot be right; it must lie between 1 Jan 1900 and today."]}),
    ("details", {"date_of_birth": "1980-02-30"}, {"date_of_birth": ["'1980-02-30' is not a day of the calendar."]}),
    ("passport", {"expires_on": "2026-11-30"}, {"expires_on": [
        "This passport expired on 30 November 2026. Give the new one, or choose to send it later."]}),
    ("health", {"allergies": "", "diet": ""}, {"nothing_to_declare": [
        "Tick this when there is nothing to say, or fill in what there is."]}),
    ("health", {"allergies": "x" * 2001}, {"allergies": ["Keep this to 2000 characters; it has 2001."]}),
    ("passport", {"number": "1" * 41}, {"number": ["Keep this to 40 characters; it has 41."]}),
    ("health", {"nothing_to_declare": "on"}, {"nothing_to_declare": [
        "You have written something at “What do you not eat?”. Untick this, or empty that."]}),
    ("emergency", {"one-mobile": ""}, {"phone": ["Give a phone or a mobile number to call."]}),
    ("emergency", {"two-first_name": "Bo"}, {
        "last_name": ["Please fill this in."], "relationship": ["Please fill this in."],
        "phone": ["Give a phone or a mobile number to call."]}),
])  # fmt: skip
def test_a_mistake_is_told_at_its_field_and_the_rest_stays(phone, step, typed, said):
    answer = phone.fill(step, **typed)

    assert (answer.status_code, errors(answer)) == (200, said)
    assert TravellerForm.objects.get().answers == ""
    kept = {"details": "Gretl", "passport": typed.get("number", "k 7770 123"), "emergency": "Lind"}.get(step)
    assert kept is None or f'value="{kept}"' in answer.content.decode()


def test_a_passport_that_is_too_short_cannot_be_kept_and_may_come_later(greta):
    factories.PassportFactory(passenger=greta, expires_on=dt.date(2027, 4, 1))
    phone = Phone(linked(greta)[1])
    page = phone.get("passport/")

    assert [value for value, _label in page.context["page"].how.fields["how"].choices] == ["new", "later"]
    assert "For this trip it must be valid until 8 September 2027 or longer." in page.content.decode()
    assert phone.fill("passport", how="keep").status_code == 200
    assert phone.fill("passport", how="later", number="", expires_on="").status_code == 302


# Signing


def test_a_minor_s_form_is_signed_by_the_guardian(greta):
    Passenger.objects.update(date_of_birth=dt.date(2012, 1, 1))
    _form, token = linked(Passenger.objects.get())
    phone = Phone(token)
    phone.fill("details", date_of_birth="2012-01-01")
    phone.fill_all(ALL[1:])

    page = phone.get("sign/")
    own = phone.sign(name="Greta Ortiz", relationship="herself")
    signed = phone.sign(name="Olga Ortiz", relationship="mother")

    assert page.context["guardian"] is True
    assert "I am the parent or guardian of Greta Ortiz, who is under 18" in page.context["consent"]
    assert own.context["typed"].non_field_errors() == [
        "A parent or guardian signs for somebody under 18: type the parent’s or guardian’s own name."
    ]
    assert signed.status_code == 302
    form = TravellerForm.objects.get()
    assert (form.signer, form.signed_name, form.relationship) == ("guardian", "Olga Ortiz", "mother")


@pytest.mark.parametrize(("typed", "sentence"), [
    ({"intent": ""}, "Tick the box that says that your name is meant as a signature."),
    ({"name": "Somebody Else"}, "Sign with the name that you gave above: Greta Ortiz."),
    ({"shown": "made up"}, "Your answers have changed since this page was opened. Please read it once more."),
])  # fmt: skip
def test_what_is_no_signature_is_refused(phone, typed, sentence):
    phone.fill_all()

    answer = phone.sign(**typed)

    assert answer.context["typed"].non_field_errors() == [sentence]
    assert TravellerForm.objects.get().state == "open"


def test_a_signature_without_a_name_asks_for_it(phone):
    phone.fill_all()

    answer = phone.sign(name="", intent="")

    assert answer.context["typed"].errors == {"name": ["Please fill this in."]}


def test_nothing_is_signed_before_each_step_has_its_answer(phone):
    phone.fill_all(ALL[:2])

    assert phone.get("sign/").url == f"{phone.here}health/"


def test_a_name_is_signed_without_its_accents_and_middle_name(greta):
    phone = Phone(linked(greta)[1])
    phone.fill("details", legal_first_name="Gréta", legal_middle_name="María", legal_last_name="Ortíz")
    phone.fill_all(ALL[1:])

    assert phone.sign(name=" greta  ortiz ").status_code == 302


def test_a_changed_answer_breaks_the_seal(greta):
    form = sent_in(greta)

    form.answers = form.answers.replace("Peanuts", "Nothing")
    assert traveller_answers.signature_holds(form) is False


# The review


def test_what_the_office_changed_meanwhile_is_shown_and_not_overwritten(greta):
    passport = factories.PassportFactory(passenger=greta, number="X5559876")
    form = sent_in(greta)
    Passenger.objects.update(preferred_name="Gigi")
    passport.number = "X1111111"
    passport.save()

    parts = {part.code: part for part in traveller_review.compare(form, everything)}
    lines = {line.key: line for part in parts.values() for line in part.lines}
    accepted(form)

    assert [
        (line.now, line.answer, line.was, line.ticked)
        for line in (lines["details.preferred_name"], lines["passport.number"], lines["passport.country"])
    ] == [
        ("Gigi", "Gretl", "nothing", False),
        ("X1111111", "K7770123", "X5559876", False),
        ("Canada", "Austria", "", True),
    ]
    greta.refresh_from_db()
    assert (greta.preferred_name, Passport.objects.get().number, Passport.objects.get().country) == (
        "Gigi", "X1111111", "Austria",
    )  # fmt: skip


def test_what_would_empty_a_value_is_not_ticked(greta):
    factories.HealthRecordFactory(passenger=greta, general_health="", medications="Insulin")
    form = sent_in(greta)

    (line,) = [
        line
        for part in traveller_review.compare(form, everything)
        for line in part.lines
        if line.key == "health.medications"
    ]

    assert (line.now, line.answer, line.changed, line.emptied, line.ticked) == ("Insulin", "", True, True, False)


def test_a_value_that_changed_while_one_looked_stops_the_review(greta):
    form = sent_in(greta)
    parts = traveller_review.compare(form, everything)
    shown = traveller_review.shown_hash(form, parts)
    Passenger.objects.update(preferred_name="Gigi")

    with pytest.raises(NotTaken, match="Something has changed since you looked"):
        traveller_review.accept(form=form, keys=["details.preferred_name"], shown=shown, may=everything, by=None)

    assert (Passenger.objects.get().preferred_name, Batch.objects.count()) == ("Gigi", 0)


def test_a_rule_that_an_answer_breaks_is_told_and_nothing_is_taken(greta):
    form = sent_in(greta)
    parts = traveller_review.compare(form, everything)
    assert [part.changes for part in parts] == [3, 3, 2, 1, 2]
    Passenger.objects.update(date_of_birth=dt.date(2015, 1, 1))

    with pytest.raises(NotTaken, match="is under 18 on departure by the date of birth that would stand"):
        accepted(TravellerForm.objects.get(), keys=["passport.number"])

    assert (Passport.objects.count(), Batch.objects.count(), TravellerForm.objects.get().state) == (0, 0, "sent_in")


def test_a_minor_is_taken_over_once_a_guardian_is_chosen(greta):
    _form, token = linked(greta)
    phone = Phone(token)
    phone.fill("details", date_of_birth="2012-01-01")
    phone.fill_all(ALL[1:])
    phone.sign(name="Olga Ortiz", relationship="mother")

    with pytest.raises(NotTaken, match="A traveller under 18 on departure needs a guardian"):
        accepted(TravellerForm.objects.get())
    Passenger.objects.update(guardian=factories.ContactFactory(first_name="Olga", last_name="Ortiz"))
    accepted(TravellerForm.objects.get())

    assert (Passenger.objects.get().is_minor, TravellerForm.objects.get().state) == (True, "accepted")


def test_who_may_not_see_a_part_finds_it_hidden_and_leaves_it_to_others(greta):
    form = sent_in(greta)
    may = {"trips.view_passenger", "trips.change_passenger", "trips.change_travellerform"}
    clerk = may.__contains__

    parts = traveller_review.compare(form, clerk)
    with pytest.raises(NotTaken, match="You may not decide about this part"):
        accepted(form, keys=["health.diet"], may=clerk)
    accepted(form, may=clerk)

    assert [(part.code, part.told, len(part.lines)) for part in parts] == [
        ("details", "", 8),
        ("passport", "Answered, hidden: your account may not see it.", 0),
        ("health", "Answered, hidden: your account may not see it.", 0),
        ("emergency", "Answered, hidden: your account may not see it.", 0),
        ("record", "", 2),
    ]
    assert (form.state, form.reviewed) == ("sent_in", ["details", "record"])
    accepted(form)
    assert (form.state, HealthRecord.objects.get().diet) == ("accepted", "Vegan")


def test_the_timeline_tells_of_a_form_without_its_answers(admin_client, greta, admin_user):
    form = sent_in(greta)
    traveller_review.send_back(form=form, reason="Blurred", by=admin_user)

    body = admin_client.get(reverse("admin:trips_passenger_timeline", args=[greta.pk])).content.decode()

    for words in (
        "Traveller form made",
        "Traveller form sent in",
        "Signed by Greta Ortiz.",
        "Traveller form sent back",
    ):
        assert words in body, words
    assert "Peanuts" not in body


def test_who_may_look_at_a_passport_only_sees_its_number_masked(greta):
    form = sent_in(greta)

    (part,) = [
        one for one in traveller_review.compare(form, {"trips.view_passport"}.__contains__) if one.code == "passport"
    ]

    assert (part.open, part.lines[0].answer) == (False, "••0123")


def test_a_form_that_is_sent_back_opens_again_with_the_reason(greta, admin_user):
    form, token = linked(greta)
    phone = Phone(token)
    phone.fill_all()
    phone.sign()

    traveller_review.send_back(form=form, reason="The passport’s number has a digit too few", by=admin_user)
    again = Phone(token)

    assert "has a digit too few" in again.get("sign/").content.decode()
    assert again.fill("passport", number="K77701239").status_code == 302
    assert again.sign().status_code == 302
    form.refresh_from_db()
    assert (form.state, form.sent_back_reason) == ("sent_in", "")
    with pytest.raises(NotTaken, match="Say what is to be mended"):
        traveller_review.send_back(form=form, reason=" ", by=admin_user)


def test_nothing_to_declare_and_an_allergy_do_not_stand_side_by_side(greta):
    HealthRecord.objects.create(passenger=greta, allergies="Nuts", physician_name="Dr Lind")
    form, token = linked(greta, ["health"])
    phone = Phone(token)
    phone.fill("health", nothing_to_declare="on", allergies="", diet="")
    phone.sign()
    health = traveller_review.compare(form := TravellerForm.objects.get(pk=form.pk), everything)[0]
    refused = "“Nothing to declare” does not go with what stands at “Allergies”: take over both, or neither."

    assert [line.key for line in health.lines if line.ticked] == []
    with pytest.raises(NotTaken, match=refused):
        accepted(form, keys=["health.nothing_to_declare"])
    accepted(form, keys=["health.nothing_to_declare", "health.allergies"])

    record = HealthRecord.objects.get()
    assert (record.nothing_to_declare, record.allergies, record.physician_name) == (True, "", "Dr Lind")


def test_an_address_does_not_stay_with_who_takes_another_s_place(greta):
    there = {"relationship": "Father", "mobile": "+12025550177", "address": "1 Elm Street", "city": "Lund"}
    other = EmergencyContact.objects.create(passenger=greta, first_name="Bo", last_name="Ortiz", **there)
    batch = accepted(sent_in(greta))
    other.refresh_from_db()
    taken = (str(other), other.mobile, other.address, other.city)
    batches.undo(batch=batch, by=None)
    other.refresh_from_db()
    back = (str(other), other.mobile, other.address, other.city)
    EmergencyContact.objects.filter(pk=other.pk).update(first_name="KIM", last_name="Lind")
    traveller_review.send_back(form=TravellerForm.objects.get(), reason="x", by=None)
    accepted(sent_in(greta))
    other.refresh_from_db()

    assert taken == ("Kim Lind", "+12025550142", "", "")
    assert back == ("Bo Ortiz", "+12025550177", "1 Elm Street", "Lund")
    assert (str(other), other.address) == ("Kim Lind", "1 Elm Street")


@postgresql_only
@pytest.mark.django_db(transaction=True)
def test_two_reviewers_and_somebody_who_edits_do_not_overwrite_each_other(greta):
    Passenger.objects.filter(pk=greta.pk).update(preferred_name="Greti")
    form = sent_in(greta)
    shown = traveller_review.shown_hash(form, traveller_review.compare(form, everything))
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    def accept():
        keys = ["details.preferred_name"]
        try:
            traveller_review.accept(form=form, keys=keys, shown=shown, may=everything, by=None)
        except NotTaken as refused:
            return str(refused)
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic(), connection.cursor() as cursor:
            Passenger.objects.filter(pk=greta.pk).update(preferred_name="Margarete")
            end = thread.submit(accept)
            for _ in range(100):
                cursor.execute(waits)
                if cursor.fetchone()[0]:
                    break
                time.sleep(0.05)
        said = end.result(timeout=30)

    greta.refresh_from_db()
    assert said == "Something has changed since you looked. These are the values of now: look again."
    assert greta.preferred_name == "Margarete"


def test_two_reviewers_take_it_over_once(greta):
    form = sent_in(greta)
    accepted(form)

    with pytest.raises(NotTaken, match="The form is reviewed already; somebody was quicker"):
        accepted(form, keys=[])


# Secrets


def test_answers_are_unreadable_in_the_database_and_in_no_log(greta, caplog, admin_user):
    with caplog.at_level(logging.DEBUG):
        form, token = linked(greta)
        phone = Phone(token)
        phone.fill_all()
        phone.sign()
        form.refresh_from_db()
        accepted(form, by=admin_user)

    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        rows = []
        for table in tables:
            cursor.execute(f'select * from "{table}"')
            rows.append(str(cursor.fetchall()))
    stored = "".join(rows)
    lines = "".join(record.getMessage() for record in caplog.records if record.name != "django.db.backends")
    for secret in ("K7770123", "Peanuts", "Vegan", token.partition(".")[0]):
        assert secret not in stored, secret
        assert secret not in lines, secret


# The staff's pages


def test_a_link_is_shown_once_and_withdrawn(admin_client, greta):
    url = reverse("admin:trips_passenger_own_form", args=[greta.pk])
    made = admin_client.post(url, {"steps": ["details", "health"]})
    link = made.context["link"]
    form = TravellerForm.objects.get()

    assert link.startswith("http://testserver/form/#")
    assert form.steps == ["details", "health"]
    assert Phone(link).opened.status_code == 302
    assert urlsplit(link).fragment not in admin_client.get(url).content.decode()
    assert "no-store" in made["Cache-Control"]
    assert told(admin_client.post(url, {"withdraw": "1"})) == [
        "Withdrawn: the link leads nowhere any more; what was typed is forgotten, files sent with it are gone."
    ]
    assert told(admin_client.post(url, {"steps": []}))[-1:] == [
        "No link was made. Choose at least one thing to ask for."
    ]


def test_the_desk_takes_over_what_is_ticked_and_opens_the_next(admin_client, greta):
    form = sent_in(greta)
    page = admin_client.get(REVIEW)
    body = page.content.decode()

    answer = admin_client.post(
        REVIEW,
        {"form": form.pk, "shown": page.context["shown"], "verb": "approve", "take": ["details.preferred_name"]},
    )

    assert "K7770123" in body
    assert "what is kept is what was signed" in body
    assert told(answer)[0].startswith("Greta Ortiz: taken over.")
    assert answer.url == f"{REVIEW}?after={form.pk}"
    greta.refresh_from_db()
    assert (greta.preferred_name, greta.sex, Passport.objects.exists()) == ("Gretl", "", False)
    assert "No form waits for a review" in admin_client.get(REVIEW).content.decode()
    log = admin_client.get(reverse("admin:trips_travellerform_change", args=[form.pk])).content.decode()
    assert "K7770123" not in log
    assert "Reviewed" in log


def test_the_desk_sends_back_with_a_reason_only(admin_client, greta):
    form = sent_in(greta)

    without = admin_client.post(REVIEW, {"form": form.pk, "verb": "reject"})
    back = admin_client.post(REVIEW, {"form": form.pk, "verb": "reject", "other": "Blurred"})

    assert told(without) == ["Say what is to be mended; the traveller reads it."]
    assert told(back)[-1].startswith("Sent back to Greta Ortiz")
    form.refresh_from_db()
    assert (form.state, form.sent_back_reason) == ("open", "Blurred")


def test_a_form_that_is_sent_back_too_late_is_said_to_lead_nowhere(admin_client, greta):
    form = sent_in(greta)
    greta.trip.start_date = dt.date(2026, 12, 1)
    greta.trip.save()

    back = admin_client.post(REVIEW, {"form": form.pk, "verb": "reject", "other": "Blurred"})

    assert told(back) == ["Sent back, but Greta Ortiz cannot answer any more. The trip left on 1 Dec 2026."]


@pytest.mark.parametrize(("permissions", "codes"), [
    (["trips.view_passenger"], [403, 403, 403]),
    (["trips.view_passenger", "trips.view_travellerform"], [200, 200, 403]),
    (["trips.view_passenger", "trips.view_travellerform", "trips.change_travellerform"], [200, 200, 200]),
])  # fmt: skip
def test_pages_are_for_who_may(client, greta, permissions, codes):
    client.force_login(factories.StaffFactory(permissions=permissions))
    page = reverse("admin:trips_passenger_own_form", args=[greta.pk])

    addresses = (page, reverse("admin:trips_travellerform_changelist"), REVIEW)
    assert [client.get(address).status_code for address in addresses] == codes
    assert client.post(page, {"steps": ["details"]}).status_code == 403
    assert client.post(REVIEW, {"form": 1, "verb": "approve"}).status_code in (403, 404)


def test_home_counts_the_forms_that_wait_and_leads_to_them(admin_client, greta):
    sent_in(greta)

    numbers = {one.label: one for one in admin_client.get(reverse("admin:index")).context["numbers"]}

    tile = numbers["Forms to review"]
    assert tile.count == 1
    assert admin_client.get(tile.url).context["cl"].result_count == 1


def test_the_list_asks_as_much_for_three_as_for_one(admin_client, greta):
    url = reverse("admin:trips_travellerform_changelist")
    linked(greta)
    admin_client.get(url)

    def queries():
        with CaptureQueriesContext(connection) as asked:
            admin_client.get(url)
        return len(asked)

    once = queries()
    for _number in range(2):
        linked(factories.PassengerFactory(trip=greta.trip))

    assert queries() == once


# Files


@pytest.fixture
def uploads(settings):
    settings.TRAVELLER_UPLOADS = True


def files_sent_in(passenger, files):
    """A form that was sent in with these files, as (kind, file)."""
    form, token = linked(passenger, ["documents"])
    phone = Phone(token)
    for kind, file in files:
        assert phone.post(f"{phone.here}documents/", {"kind": kind, "file": file}).status_code == 302
    phone.post(f"{phone.here}documents/", {"done": "1"})
    assert phone.sign(name=str(passenger)).status_code == 302
    form.refresh_from_db()
    return form


def test_files_are_taken_only_where_they_are_switched_on(greta, settings, sheet):  # noqa: F811
    assert FormStep.DOCUMENTS not in traveller_links.steps_offered()
    settings.TRAVELLER_UPLOADS = True
    form, token = linked(greta, ["documents"])
    phone = Phone(token)
    here = f"{phone.here}documents/"

    refused = phone.post(here, {"kind": "passport_scan", "file": sheet("scan.pdf", b"MZ\x90\x00" + b"\x00" * 60)})
    kept = phone.post(here, {"kind": "passport_scan", "file": sheet("scan.png", PNG)})
    done = phone.post(here, {"done": "1"})

    assert refused.context["upload"].errors["file"][0].startswith("“scan.pdf” is no PDF, JPEG, PNG")
    assert (kept.status_code, done.url) == (302, f"{phone.here}sign/")
    document = Document.objects.get()
    assert (document.passenger, document.kind, document.state) == (greta, "passport_scan", "with_form")
    assert TravellerForm.objects.get(pk=form.pk).answered["documents"]["values"]["1"]["sha256"] == document.sha256
    settings.TRAVELLER_UPLOADS = False
    assert phone.get("documents/").status_code == 404
    assert phone.get("sign/").status_code == 200


def test_an_empty_file_is_named_and_none_at_all_asked_for(greta, uploads, sheet):  # noqa: F811
    _form, token = linked(greta, ["documents"])
    phone = Phone(token)

    empty = phone.post(f"{phone.here}documents/", {"kind": "passport_scan", "file": sheet("scan.pdf", b"")})
    none = phone.post(f"{phone.here}documents/", {"kind": "passport_scan"})

    assert empty.context["upload"].errors == {"file": ["“scan.pdf” is empty (0 bytes). Choose the file again."]}
    assert none.context["upload"].errors == {"file": ["Choose a file first."]}


def standing_of(passenger):
    """What counts as handed in, and what waits at the documents' own desk."""
    required = {one.kind: (str(one.state), one.reason) for one in documents.required_of(passenger)}
    held = with_documents(Passenger.objects.filter(pk=passenger.pk)).get().documents_held
    return required["passport_scan"], held, Document.objects.filter(state="received").count()


def test_files_count_once_the_form_is_taken_over_and_not_after_its_undo(greta, uploads, sheet):  # noqa: F811
    waits = ("missing", "One came with the traveller’s form and waits for its review.")
    form = files_sent_in(greta, [("passport_scan", sheet("scan.png", PNG)), ("mou", sheet("mou.pdf", pdf()))])
    scan, mou = Document.objects.order_by("pk")
    before = standing_of(greta)

    batch = accepted(form, keys=[f"documents.{scan.pk}"])

    after = standing_of(greta)
    mou.refresh_from_db()
    undone = batches.undo(batch=batch, by=None)
    form.refresh_from_db()

    assert (before, after) == ((waits, 0, 0), (("received", ""), 1, 1))
    assert (mou.state, mou.rejection_reason) == ("rejected", "Left out when the traveller’s form was reviewed.")
    assert (undone.kept, standing_of(greta), form.state) == ([], before, "sent_in")
    assert {(one.state, one.rejection_reason) for one in Document.objects.all()} == {("with_form", "")}


def test_files_wait_for_who_may_decide_about_documents(greta, uploads, sheet):  # noqa: F811
    form = files_sent_in(greta, [("passport_scan", sheet("scan.png", PNG))])
    (scan,) = Document.objects.all()
    key = f"documents.{scan.pk}"

    def without(*lacking):
        return lambda name: name not in lacking

    hidden = [
        traveller_review.compare(form, without(*lacking))[0].told
        for lacking in (
            ("trips.view_document", "trips.change_document"),
            ("trips.view_passport", "trips.change_passport"),
        )
    ]
    only_looks = traveller_review.compare(form, without("trips.change_document"))[0]
    with pytest.raises(NotTaken, match="You may not decide about this part"):
        accepted(form, keys=[key], may=without("trips.change_document"))
    accepted(form, keys=[], may=without("trips.change_document"))

    assert hidden == ["Answered, hidden: your account may not see it."] * 2
    assert ([line.key for line in only_looks.lines], only_looks.open) == ([key], False)
    scan.refresh_from_db()
    assert (form.state, scan.state) == ("sent_in", "with_form")

    accepted(form, keys=[key])

    scan.refresh_from_db()
    assert (form.state, scan.state) == ("accepted", "received")


def test_the_desk_shows_each_file_with_a_tick(admin_client, greta, uploads, sheet):  # noqa: F811
    form = files_sent_in(greta, [("passport_scan", sheet("scan.png", PNG))])
    (scan,) = Document.objects.all()

    page = admin_client.get(REVIEW)
    admin_client.post(
        REVIEW,
        {"form": form.pk, "verb": "approve", "take": f"documents.{scan.pk}", "shown": page.context["shown"]},
    )

    assert reverse("admin:trips_document_change", args=[scan.pk]) in page.content.decode()
    assert "What is ticked comes to Documents" in page.content.decode()
    scan.refresh_from_db()
    assert scan.state == "received"


def test_a_withdrawn_form_takes_its_files_and_its_signature_along(
    greta,
    uploads,
    sheet,  # noqa: F811
    private_folder,  # noqa: F811
    django_capture_on_commit_callbacks,
):
    form = files_sent_in(greta, [("passport_scan", sheet("scan.png", PNG))])
    documents.upload(owner=greta, files=[sheet("mou.pdf", pdf())], kind="mou", by=None)

    with django_capture_on_commit_callbacks(execute=True):
        traveller_links.withdraw(form=form, by=None)

    form = TravellerForm.objects.get(pk=form.pk)
    assert [one.kind for one in Document.objects.all()] == ["mou"]
    assert len([one for one in private_folder.rglob("*") if one.is_file()]) == 1
    assert (form.answers, form.base, form.signed_name, form.consent_text, form.signed_sha256) == ("", "", "", "", "")


# Reminders

GAPS = reverse("admin:trips_passenger_remind", args=["gaps"])
WITH_LINK = {"subject": "Your form for {trip}", "message": "Dear {name},\n\n{list}\n\nHere: {form}"}


def test_a_reminder_carries_each_one_s_own_link_which_is_in_no_record(admin_client, greta):
    other = factories.PassengerFactory(trip=greta.trip)
    ids = f"{greta.pk},{other.pk}"
    preview = admin_client.post(GAPS, {"ids": ids, **WITH_LINK})
    before = TravellerForm.objects.count()
    admin_client.post(GAPS, {"ids": ids, **WITH_LINK, "send": "1", "shown": preview.context["shown"]})

    assert reminding.OWN_LINK in preview.context["ready"][0].body
    assert before == 0
    links = [one.body.rpartition("Here: ")[2] for one in mail.outbox]
    assert [Phone(link).opened.url for link in links] == [
        reverse("traveller:form", args=[TravellerForm.objects.get(passenger__contact__email=one.to[0]).uid])
        for one in mail.outbox
    ]
    assert len(set(links)) == 2
    assert TravellerForm.objects.get(passenger=greta).steps == ALL
    assert all(reminding.OWN_LINK in one.body and "#" not in one.body for one in Reminder.objects.all())


def test_the_usual_wording_has_the_link_where_a_form_takes_everything(admin_client, greta, settings):
    without = admin_client.post(GAPS, {"ids": greta.pk, "subject": "", "message": ""}).context["form"].initial
    settings.TRAVELLER_UPLOADS = True
    usual = admin_client.post(GAPS, {"ids": greta.pk, "subject": "", "message": ""}).context["form"].initial
    page = admin_client.post(GAPS, {"ids": greta.pk, **usual})

    assert "{form}" not in without["message"]
    assert reminding.OWN_LINK in page.context["ready"][0].body


def test_who_cannot_be_given_a_form_is_held_back_with_the_reason(greta, admin_client):
    sent_in(greta)

    page = admin_client.post(GAPS, {"ids": greta.pk, **WITH_LINK})

    assert [one.reason for one in page.context["held"]] == ["Their form was sent in and waits for review."]


def test_a_link_is_no_field_where_there_are_none(admin_client, greta, settings, client):
    subject = admin_client.post(GAPS, {"ids": greta.pk, "subject": "{form}", "message": "x"})
    money = admin_client.post(
        reverse("admin:trips_passenger_remind", args=["money"]), {"ids": greta.pk, "subject": "x", "message": "{form}"}
    )
    settings.TRAVELLER_LINKS = False
    off = admin_client.post(GAPS, {"ids": greta.pk, **WITH_LINK})

    assert [page.context["form"].errors for page in (subject, money, off)] == [
        {"subject": ["{form} is a link of one person: it goes into the message, not into the subject."]},
        {"message": ["There is no field {form}. The fields are {name}, {trip}, {departure}, {list}."]},
        {"message": ["{form} is a link to a traveller’s own form, and those are switched off (TRAVELLER_LINKS)."]},
    ]
    assert "form" not in off.context["fields"]


def test_standing_is_told_in_words():
    assert [one.value for one in Standing] == ["open", "sent in", "reviewed", "withdrawn", "expired", "over"]
