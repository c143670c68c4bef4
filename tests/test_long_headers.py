"""Headers of 9,000 characters, which API Gateway lets pass, are rejected or ignored at every endpoint."""

import re

import pytest

from apidocs import endpoints
from chalicelib.http.request_input import MAX_HEADER_LENGTH
from tests.support.client import ApiResponse, call
from tests.support.factories import Person

OUR_HEADERS = (
    *("token", "tenantId", "X-Internal-Key", "Idempotency-Key", "Last-Event-ID"),
    *("newUserId", "entUserId", "entId", "positionId", "appId", "Authorization"),
)
OTHER_HEADERS = ("Host", "User-Agent", "Content-Type", "Origin", "Accept", "X-Forwarded-For", "Wechatpay-Serial")
EVERY = [one.endpoint for one in endpoints.iter_endpoints()]


def call_each(name: str, value: str, token: str = "") -> list[ApiResponse]:
    """Call every endpoint with a header; /notify, which would wait for messages, without a token."""
    paths = [(one.method, re.sub(r"\{\w+\}", "1", one.path.replace("{file_name}", "MP_verify_1.txt"))) for one in EVERY]
    return [call(method, path, token if path != "/notify" else "", {name: value}) for method, path in paths]


@pytest.mark.parametrize("name", OUR_HEADERS)
def test_one_of_ours_is_rejected_by_its_name(name: str) -> None:
    for value in ("x" * 9_000, "医" * (MAX_HEADER_LENGTH + 1), f"Bearer {'x' * MAX_HEADER_LENGTH}"):
        responses = call_each(name, value)
        assert {(one.status, one.code, one.error.partition("：")[0]) for one in responses} == {(400, 10001, name)}


@pytest.mark.parametrize("name", OTHER_HEADERS)
def test_any_other_causes_no_server_error(lin: Person, name: str) -> None:
    responses = call_each(name, "x" * 9_000, lin.token)
    assert {one.status for one in responses} <= {200, 400, 401, 403, 404, 409, 415, 429}


def test_longest_value_is_not_rejected_for_its_length() -> None:
    responses = call_each("token", "x" * MAX_HEADER_LENGTH)
    assert 401 in {one.status for one in responses}
    assert not [one for one in responses if one.status != 200 and one.error.startswith("token：")]
