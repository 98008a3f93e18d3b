"""Folding of names, calendar arithmetic, countries and what drop-downs offer."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trips import choices
from trips.countries import country_code, country_names
from trips.dates import add_months, age_on
from trips.text import fold_name, masked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Baracoa – East", "baracoa - EAST"),
        ("Baracoa — East", "Baracoa − East"),
        ("  Two   spaces ", "two spaces"),
        ("no\u00a0break", "no break"),
        ("Straße", "STRASSE"),
        ("ﬁesta", "fiesta"),
        ("Cafe\u0301", "Café"),
        ("ｗｉｄｅ－dash", "wide-dash"),
    ],
)
def test_spellings_of_one_name_fold_alike(one, other):
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(
    ("number", "shown"),
    [("X5559876", "••9876"), ("AB1234", "••234"), ("A1", "••1"), ("7", "••"), ("", ""), ("••9876", "••9876")],
)
def test_of_a_number_its_end_is_shown_and_never_more_than_half(number, shown):
    assert masked(number) == shown


@pytest.mark.parametrize(("one", "other"), [("Café", "Cafe"), ("Trip 1", "Trip 11"), ("A-B", "AB")])
def test_different_names_stay_different(one, other):
    assert fold_name(one) != fold_name(other)


@given(st.text())
def test_folding_twice_changes_nothing_more(text):
    assert fold_name(fold_name(text)) == fold_name(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.sampled_from([" ", "\u00a0", "\n", "\t  "]))
def test_space_around_a_name_does_not_matter(text, space):
    assert fold_name(f"{space}{text}{space}") == fold_name(text)


@given(st.text(st.sampled_from("aé ß-–—−‐‑"), max_size=20))
def test_kinds_of_dash_do_not_matter(text):
    for dash in "–—−‐‑":
        text = text.replace(dash, "-") if len(text) % 2 else text.replace("-", dash)
    assert fold_name(text) == fold_name(text.translate(dict.fromkeys(map(ord, "–—−‐‑"), "-")))


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (dt.date(2027, 3, 8), 6, dt.date(2027, 9, 8)),
        (dt.date(2027, 8, 31), 6, dt.date(2028, 2, 29)),
        (dt.date(2026, 8, 31), 6, dt.date(2027, 2, 28)),
        (dt.date(2026, 12, 15), 1, dt.date(2027, 1, 15)),
        (dt.date(2027, 1, 31), 0, dt.date(2027, 1, 31)),
    ],
)
def test_months_are_of_the_calendar(day, months, then):
    assert add_months(day, months) == then


@given(st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)), st.integers(0, 240))
def test_adding_months_never_skips_one(day, months):
    then = add_months(day, months)

    assert (then.year - day.year) * 12 + then.month - day.month == months
    assert then.day <= day.day


@pytest.mark.parametrize(
    ("born", "day", "age"),
    [
        (dt.date(2009, 3, 1), dt.date(2027, 2, 28), 17),
        (dt.date(2009, 3, 1), dt.date(2027, 3, 1), 18),
        (dt.date(2008, 2, 29), dt.date(2026, 2, 28), 17),
        (dt.date(2008, 2, 29), dt.date(2026, 3, 1), 18),
        (dt.date(2027, 3, 1), dt.date(2027, 3, 1), 0),
    ],
)
def test_age_is_full_years(born, day, age):
    assert age_on(born, day) == age


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("Cuba", "CU"),
        ("cuba ", "CU"),
        ("us", "US"),
        ("US", "US"),
        ("United  Kingdom", "GB"),
        ("United States", "US"),
        ("USA", "US"),
        ("Russia", "RU"),
        ("Turkey", "TR"),
        ("Korea South", "KR"),
        ("Trinidad & Tobago", "TT"),
        ("St Lucia", "LC"),
        ("Curacao", "CW"),
        ("Cuba - special rules apply.", "CU"),
        ("Congo", "CG"),
        ("Congo - Kinshasa", ""),
        ("Virgin Islands", ""),
        ("ZZ", ""),
        ("Atlantis", ""),
        ("", ""),
    ],
)
def test_country_code_is_known_or_empty(label, code):
    assert country_code(label) == code


def test_every_country_offered_is_known_and_offered_once():
    names = country_names()

    assert [name for name in names if not country_code(name)] == []
    assert len({country_code(name) for name in names}) == len(names)


@pytest.fixture
def source():
    """A source of live options for the length of one test."""

    def offer(field: str) -> list[str]:
        return ["Casa Azul", "", "Casa Azul", "Casa Rosa"] if field == "trip.lodging" else []

    choices.register_source(offer)
    choices.register_source(offer)
    yield offer
    choices.unregister_source(offer)
    choices.unregister_source(offer)


@pytest.mark.django_db
def test_live_values_come_once_and_before_the_known_ones(source):
    assert choices.suggestions("trip.lodging")[:2] == ["Casa Azul", "Casa Rosa"]
    assert choices.live_values("trip.lodging").count("Casa Azul") == 1


@pytest.mark.django_db
def test_known_values_are_offered_where_there_are_no_live_ones():
    assert choices.suggestions("emergencycontact.state")[:2] == ["Alabama", "Alaska"]
    assert "New York" in choices.suggestions("emergencycontact.state")
    assert choices.suggestions("trip.nothing") == []
