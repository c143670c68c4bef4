"""Requests without a valid token or key count against their network, and limit no others."""

import pytest

from chalicelib import clock
from chalicelib.adapters import redis
from chalicelib.identity import rate_limits
from chalicelib.identity.rate_limits import Rate, RateLimit
from tests.support.client import ApiResponse, build_event, invoke
from tests.support.conversation_log import raise_redis_unavailable
from tests.support.factories import PASSWORD, Hospital, Person

PATH = "/pati_service/patient_service/members"
OTHERS = "198.51.100.9"


@pytest.fixture(autouse=True)
def three_rejections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a network have three, and gain one in 500 s."""
    redis.get_client().flushall()
    monkeypatch.setattr(rate_limits, "_empty_until", {})  # what this process remembers
    rates = {**rate_limits.rates, RateLimit.REJECTIONS: Rate(0.002, 3)}
    monkeypatch.setattr(rate_limits, "rates", rates)


def request(headers: dict[str, str], address: str = OTHERS, path: str = PATH) -> ApiResponse:
    event = build_event("GET", path, headers)
    event["requestContext"]["identity"]["sourceIp"] = address
    return invoke(event)


def has_retry_after(response: ApiResponse) -> bool:
    """Return whether a request was above the limit. Its answer tells the client to sign in again, as any other."""
    assert (response.status, response.code) == (401, 10101)
    return 0 < int(response.headers.get("Retry-After", "0")) <= 500


def flood(address: str = OTHERS, count: int = 10) -> list[bool]:
    """Send so many invalid tokens and return which were above the limit."""
    return [has_retry_after(request({"token": f"{number:043}"}, address)) for number in range(count)]


def test_flood_of_invalid_tokens_is_limited() -> None:
    assert flood() == [False] * 3 + [True] * 7
    assert has_retry_after(request({"token": "x"}))


def test_invalid_tokens_of_visitors_count(hospital: Hospital) -> None:
    """A public endpoint ignores them."""
    path, tenant = "/pati_service/tenant_service/depts", {"tenantId": str(hospital.tenant_id)}
    for number in range(5):
        assert request({**tenant, "token": f"{number:043}"}, path=path).status == 200
    assert flood(count=1) == [True]
    for _ in range(5):
        assert request(tenant, "198.51.100.11", path).status == 200
    assert flood("198.51.100.11", count=1) == [False], "no token is not an invalid one"


@pytest.mark.parametrize(
    "headers", [{}, {"token": "undefined"}, {"Authorization": "Bearer x"}, {"token": "x", "tenantId": "1"}]
)
def test_every_request_without_a_valid_token_counts(headers: dict[str, str]) -> None:
    assert [has_retry_after(request(headers)) for _ in range(5)] == [False] * 3 + [True] * 2


def test_invalid_internal_keys_count() -> None:
    def send_key(number: int) -> bool:
        event = build_event("POST", "/inner/get_token", {"X-Internal-Key": f"key-{number}"}, body='{"session":"5"}')
        event["requestContext"]["identity"]["sourceIp"] = OTHERS
        return has_retry_after(invoke(event))

    assert [send_key(number) for number in range(5)] == [False] * 3 + [True] * 2


def test_valid_tokens_of_the_same_address_are_not_limited(lin: Person) -> None:
    """Also one whose session this process and Redis do not know."""
    flood()
    redis.get_client().delete(*redis.get_client().keys("token:*") or ["none"])
    assert request({"token": lin.token}).status == 200
    assert flood(count=1) == [True]
    assert request({"token": lin.token}).status == 200


def test_signing_in_from_the_same_address_is_not_limited(hospital: Hospital) -> None:
    flood()
    body = f'{{"phone":"{hospital.lin.phone}","password":"{PASSWORD}"}}'
    path, headers = "/pati_service/patient_service/login", {"tenantId": str(hospital.tenant_id), "token": "expired"}
    event = build_event("POST", path, headers, body=body)
    event["requestContext"]["identity"]["sourceIp"] = OTHERS
    assert invoke(event).status == 200


def test_requests_that_are_rejected_for_another_reason_do_not_count(chen: Person) -> None:
    for _ in range(5):
        assert request({"token": chen.token}).status == 403
    assert flood(count=1) == [False]


def test_each_network_has_its_own_limit() -> None:
    flood()
    assert flood("198.51.100.10", count=1) == [False]


def test_ipv6_addresses_of_one_network_share_a_limit() -> None:
    limited = [flood(f"2001:db8:1:2::{number:x}", count=1)[0] for number in range(5)]
    assert limited == [False] * 3 + [True] * 2
    assert flood("2001:db8:1:3::1", count=1) == [False]
    assert flood("2001:0DB8:1:2:0:0:0:9", count=1) == [True]


def test_limit_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    flood()
    later = clock.now() + 501 * clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    assert flood(count=2) == [False, True]


def test_without_redis_nothing_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "run_scripts", raise_redis_unavailable)
    assert flood() == [False] * 10
