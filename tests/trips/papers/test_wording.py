"""The wording of papers: what it may say, what it can never reach, and who sees what of a preview."""

from __future__ import annotations

import pypdfium2
import pytest
from django.urls import reverse

from tests import factories
from tests.pages import posted
from trips.models import PaperTemplate
from trips.papers import letter, wording
from trips.papers.fields import FIELDS, passengers_for_papers
from trips.papers.samples import SAMPLES
from trips.papers.wording import Block, Part, Shape
from trips.services import papers


def text_of(content):
    with pypdfium2.PdfDocument(content) as document:
        return "\n".join(page.get_textpage().get_text_bounded() for page in document)


def test_marks_become_blocks_and_nothing_else_has_a_meaning():
    body = "# Head\nOne **bold\nline** {% now %}\n\n- item\n---\n[sign: Traveller]\n<b>plain</b>"

    assert wording.blocks_of(body) == (
        Block(Shape.HEADING, (Part("Head"),)),
        Block(Shape.TEXT, (Part("One "), Part("bold\nline", True), Part(" {% now %}"))),
        Block(Shape.ITEM, (Part("item"),)),
        Block(Shape.RULE),
        Block(Shape.SIGN, (Part("Traveller"),)),
        Block(Shape.TEXT, (Part("<b>plain</b>"),)),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\n{{pasport_number}}", "Line 2: there is no merge field “pasport_number”. Did you mean “passport_number”"),
        ("{{passport's expiry}}", "Did you mean “passport_expires”"),
        ("{{passenger.contact.notes}}", "there is no merge field “passenger.contact.notes”"),
        ("{{trip_name.delete}}", "there is no merge field “trip_name.delete”. Did you mean “trip_name” (trip)?"),
        ("{{trip_name", "a merge field stands between two braces on each side"),
        ("**bold", "put “**” after its last word"),
    ],
)
def test_what_would_not_print_as_meant_is_named_with_its_line(text, told):
    (fault,) = wording.faults(text)

    assert told in fault


def test_fields_forgive_capitals_and_blanks_and_values_are_never_read_as_marks():
    paper = wording.filled(
        title="For {{ Traveller Name }}",
        body="{{traveller_name}} {{sex?}}",
        read=lambda f: "**x** {{sex}}" if f.code == "traveller_name" else "",
    )

    assert paper.title == "For **x** {{sex}}"
    assert paper.blocks == (Block(Shape.TEXT, (Part("**x** {{sex}}"), Part(" "), Part(""))),)
    assert paper.missing == ()


def test_letters_that_the_font_lacks_are_found():
    paper = wording.filled(title="", body="{{traveller_name}}", read=lambda _field: "Ana 李")

    assert letter.strange_letters(paper) == {"李"}


def test_samples_name_only_fields_that_there_are():
    assert [wording.faults(text) for pair in SAMPLES.values() for text in pair] == [[]] * 6


@pytest.mark.django_db
def test_each_field_reads_a_passenger_with_everything_and_one_with_nothing(django_assert_num_queries):
    full = factories.PassportFactory(passenger__trip__organiser=factories.ContactFactory()).passenger
    bare = factories.PassengerFactory(trip=None)

    with django_assert_num_queries(2):
        rows = {row.pk: {f.code: f.read(row) for f in FIELDS} for row in passengers_for_papers([full.pk, bare.pk])}

    assert rows[full.pk]["passport_number"].startswith("X555")
    assert (rows[full.pk]["departure"], rows[full.pk]["price"]) == ("1 March 2027", "2,450.00 USD")
    assert {code for code, text in rows[bare.pk].items() if text} == {
        "traveller_name", "first_name", "last_name", "date_of_birth", "email", "phone", "address", "today",
    }  # fmt: skip


# The page


@pytest.fixture
def template(db):
    return PaperTemplate.objects.get(kind="affidavit")


def page_of(template):
    return reverse("admin:trips_papertemplate_change", args=[template.pk])


def test_change_of_the_text_is_a_new_version_that_nobody_has_checked(admin_client, admin_user, template):
    PaperTemplate.objects.update(lawyer_checked=True)
    before = admin_client.get(page_of(template))

    answer = admin_client.post(page_of(template), posted(before, body="I, {{traveller_name}}, declare it."))

    assert answer.status_code == 302
    template.refresh_from_db()
    assert (template.version, template.edited_by, template.lawyer_checked) == (2, admin_user, False)
    assert [(row.version, row.body[:5]) for row in template.history.all()] == [(2, "I, {{"), (1, "I, **")]


def test_tick_of_the_lawyer_changes_no_version(admin_client, template):
    before = admin_client.get(page_of(template))

    admin_client.post(page_of(template), posted(before, lawyer_checked="on"))

    template.refresh_from_db()
    assert (template.version, template.lawyer_checked) == (1, True)


def test_unknown_field_is_refused_and_what_was_typed_is_kept(admin_client, template):
    before = admin_client.get(page_of(template))

    answer = admin_client.post(page_of(template), posted(before, body="Born {{birth_date}}"))

    assert "there is no merge field “birth_date”. Did you mean" in answer.content.decode()
    assert answer.context["adminform"].form["body"].value() == "Born {{birth_date}}"
    template.refresh_from_db()
    assert template.version == 1


def test_preview_shows_the_typed_text_and_what_is_missing_and_saves_nothing(admin_client, template):
    passenger = factories.PassengerFactory()
    url = reverse("admin:trips_papertemplate_preview", args=[template.pk])

    answer = admin_client.post(
        url, {"title": "T", "body": "{{traveller_name}} {{passport_number}} {{oops}}", "passenger": passenger.pk}
    )

    assert answer.context["missing"] == ("passport number",)
    assert len(answer.context["faults"]) == 1
    assert len(answer.context["pictures"]) == 1
    template.refresh_from_db()
    assert template.title == "Traveller’s affidavit"


def test_preview_hides_what_the_account_may_not_see(template):
    passport = factories.PassportFactory(number="SECRET77")
    row = passengers_for_papers([passport.passenger_id]).get()
    template.body = "No. {{passport_number}}"

    paper, content = papers.draft(template=template, passenger=row, may=lambda _model: False)

    assert paper.blocks[0].parts[1].text == "[passport number: not shown to you]"
    assert "SECRET77" not in text_of(content)
    assert "This wording was not checked by a lawyer." in text_of(content)


def test_page_is_for_whoever_may_see_templates(client, template):
    viewer = factories.StaffFactory(permissions=["trips.view_papertemplate"])
    client.force_login(viewer)

    seen = client.get(page_of(template))
    refused = client.post(reverse("admin:trips_papertemplate_preview", args=[template.pk]), {"passenger": "1"})
    client.force_login(factories.StaffFactory(permissions=["trips.view_trip"]))

    assert (seen.status_code, refused.status_code) == (200, 403)
    assert client.get(page_of(template)).status_code == 403
