"""The class of each answer that is not a success, by the table of API notes §4."""

from __future__ import annotations

from typing import Any

import pytest

from ghl_sync.client import errors
from ghl_sync.client.transport import failure, rate_state, scope_of
from ghl_sync.client.types import RateState

NO_LIMITS = RateState()


def classed(
    status: int, body: dict[str, Any] | None, endpoint: str = "POST /opportunities/", text: str = "", write: bool = True
) -> errors.GHLError:
    return failure(status, body, text, endpoint, write=write, trace_id="t", state=NO_LIMITS)


DUPLICATE = {
    "statusCode": 400,
    "message": "Can not create duplicate opportunity for the contact.",
    "code": "OPPORTUNITY_NO_DUPLICATE",
    "meta": {"existingId": "op1"},
    "error": "Bad Request",
}
SAME_PERSON = {
    "statusCode": 400,
    "message": "This location does not allow duplicated contacts.",
    "meta": {"contactId": "c1", "matchingField": "email", "contactName": "Ines Prado"},
}


@pytest.mark.parametrize(
    ("status", "body", "endpoint", "expected"),
    [
        (400, DUPLICATE, "POST /opportunities/", errors.DuplicateOpportunity),
        (400, SAME_PERSON, "POST /contacts/", errors.DuplicateContact),
        (400, {"error": "Contact with id X not found", "status": 400}, "GET /contacts/X", errors.NotFound),
        (404, {"message": "Opportunity not found"}, "GET /opportunities/X", errors.NotFound),
        (404, {"message": "Cannot GET /nowhere"}, "GET /opportunities/X", errors.Refused),
        (404, None, "GET /opportunities/X", errors.Refused),
        (400, {"message": "Contact with id X not found"}, "POST /opportunities/", errors.Refused),
        (400, {"message": "Endpoint is not available in API version v3"}, "POST /opportunities/", errors.Refused),
        (401, {"message": "The token is not authorized for this scope."}, "PUT /opportunities/X", errors.MissingScope),
        (401, {"message": "This route is not yet supported by the IAM Service."}, "GET /x", errors.MissingScope),
        (401, {"message": "Invalid token: expired", "error": "Unauthorized"}, "GET /x", errors.NeedsAttention),
        (403, {"message": "The token does not have access to this location"}, "GET /x", errors.NeedsAttention),
        (403, {"message": "Forbidden resource"}, "GET /x", errors.NeedsAttention),
        (422, {"message": ["email must be an email"]}, "PUT /contacts/X", errors.Refused),
        (429, {"message": "Too Many Requests"}, "POST /opportunities/", errors.RateLimited),
        (500, {"message": "Internal"}, "POST /opportunities/", errors.OutcomeUnknown),
        (502, None, "POST /opportunities/", errors.OutcomeUnknown),
        (408, None, "POST /opportunities/", errors.OutcomeUnknown),
        (302, None, "POST /opportunities/", errors.OutcomeUnknown),
    ],
)
def test_an_answer_is_classed_by_what_to_do_next(
    status: int, body: dict[str, Any] | None, endpoint: str, expected: type[errors.GHLError]
) -> None:
    assert type(classed(status, body, endpoint)) is expected


def test_a_gateway_time_out_dressed_as_401_is_no_wrong_token() -> None:
    assert type(classed(401, None, text="Command timed out")) is errors.OutcomeUnknown
    assert type(classed(401, None, text="Command timed out", write=False)) is errors.TryLater


@pytest.mark.parametrize("status", [500, 502, 503, 408, 302])
def test_a_read_that_fails_leaves_no_doubt(status: int) -> None:
    assert type(classed(status, None, write=False)) is errors.TryLater


def test_duplicates_name_what_exists() -> None:
    opportunity, contact = classed(400, DUPLICATE), classed(400, SAME_PERSON, "POST /contacts/")
    assert isinstance(opportunity, errors.DuplicateOpportunity)
    assert opportunity.existing_id == "op1"
    assert isinstance(contact, errors.DuplicateContact)
    assert (contact.contact_id, contact.matching_field) == ("c1", "email")
    assert "Prado" not in contact.words


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        (["property source should not exist", "name must be a string"], ("source", "name")),
        (["customFields.abc123 should not be empty"], ("customFields.abc123",)),
        (["Something else went wrong here"], ()),
        ([], ()),
    ],
)
def test_a_422_names_the_properties_it_complains_of(lines: list[str], fields: tuple[str, ...]) -> None:
    error = classed(422, {"message": lines, "error": "Unprocessable Entity"})
    assert isinstance(error, errors.Refused)
    assert error.fields == fields


def test_a_page_that_is_too_large_is_named() -> None:
    error = classed(400, {"message": ["limit must not be greater than 100"]}, "POST /opportunities/search", write=False)
    assert isinstance(error, errors.Refused)
    assert error.code == "page_size"


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Words"},
        {"message": ["Words"]},
        {"error": "Words"},
        {"msg": "Words"},
        {"error": {"message": "Words", "code": "X"}},
    ],
)
def test_words_are_found_in_every_shape(body: dict[str, Any]) -> None:
    assert classed(400, body).words == "Words"


def test_addresses_and_numbers_are_kept_out_of_words() -> None:
    words = classed(400, {"message": "ines@example.com or +1 202 555 0142 is taken"}).words
    assert words == "(address) or (number) is taken"


@pytest.mark.parametrize(
    ("endpoint", "scope"),
    [
        ("POST /opportunities/search", "opportunities.readonly"),
        ("PUT /opportunities/X", "opportunities.write"),
        ("GET /contacts/X", "contacts.readonly"),
        ("POST /contacts/", "contacts.write"),
        ("GET /locations/L", "locations.readonly"),
        ("PUT /locations/L/customFields/F", "locations/customFields.write"),
    ],
)
def test_a_missing_scope_is_named(endpoint: str, scope: str) -> None:
    assert scope_of(endpoint) == scope


def test_a_spent_day_waits_for_the_next_one() -> None:
    state = RateState(daily_remaining=0, daily_reset_ms=3_600_000)
    error = failure(429, {}, "", "GET /x", write=False, trace_id="", state=state)
    assert isinstance(error, errors.RateLimited)
    assert error.retry_after is not None
    assert 3600 <= error.retry_after <= 3601


def test_odd_rate_headers_count_as_missing() -> None:
    headers = {"x-ratelimit-max": "100", "x-ratelimit-remaining": "-1", "x-ratelimit-interval-milliseconds": "soon"}
    assert rate_state(headers) == RateState(max=100)
