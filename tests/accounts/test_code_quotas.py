"""Strangers who request codes for a phone, or guess them, use up their own quotas: its owner always has a way in."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.identity import attempts, code_limits, code_store
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.settings import settings
from tests.support.accounts_client import (
    LOGIN,
    REGISTER,
    REGISTER_CODE,
    RESET,
    RESET_CODE,
    UNUSED_PHONE,
    VALIDATE,
    draw_address,
    get_other_code,
    post_from,
    request_code,
)
from tests.support.client import ApiResponse
from tests.support.factories import PASSWORD, Hospital
from tests.support.sms_provider import Provider, provider

__all__ = ["provider"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("fast_hashes")]

HOME, AWAY = "203.0.113.7", "198.51.100.200"
NEW = "Anderes-12345"


def request_reset(hospital: Hospital, address: str) -> ApiResponse:
    return request_code(hospital, hospital.lin.phone, RESET_CODE, address)


def get_code(hospital: Hospital, provider: Provider, address: str) -> str:
    """Request a code from an address, and return it."""
    assert request_reset(hospital, address).status == 200
    outbox.run_due_jobs(Queue.EXTERNAL)
    return provider.sent[-1][1]


def validate(hospital: Hospital, code: str, address: str) -> int:
    return post_from(address, VALIDATE, hospital.tenant_id, phone=hospital.lin.phone, verCode=code).status


def reset(hospital: Hospital, code: str, address: str) -> int:
    body = {"phone": hospital.lin.phone, "verCode": code, "newPassword": NEW}
    return post_from(address, RESET, hospital.tenant_id, **body).status


def sign_in(hospital: Hospital, address: str, password: str = PASSWORD) -> int:
    return post_from(address, LOGIN, hospital.tenant_id, phone=hospital.lin.phone, password=password).status


def iter_strangers() -> Iterator[str]:
    yield from (f"198.51.100.{n}" for n in range(1, 100))


def use_up_codes(hospital: Hospital, provider: Provider) -> None:
    """Let strangers request as many codes as they may."""
    statuses = [
        request_reset(hospital, address).status for address, _ in zip(iter_strangers(), range(21), strict=False)
    ]
    assert statuses == [200] * 20 + [429]
    outbox.run_due_jobs(Queue.EXTERNAL)
    provider.sent.clear()


@pytest.fixture
def known(hospital: Hospital, provider: Provider) -> None:
    """The owner has signed in from home."""
    assert provider.sent == []
    assert sign_in(hospital, HOME) == 200


class TestRequests:
    """Requesting codes."""

    def test_five_strangers_do_not_keep_the_owner_from_a_code(self, hospital: Hospital, provider: Provider) -> None:
        """Not even where the owner is not known."""
        assert [request_reset(hospital, f"198.51.100.{n}").status for n in range(5)] == [200] * 5
        code = get_code(hospital, provider, HOME)
        assert reset(hospital, code, HOME) == 200

    @pytest.mark.usefixtures("known")
    def test_owner_gets_a_code_where_known_after_strangers_have_used_up_theirs(
        self, hospital: Hospital, provider: Provider
    ) -> None:
        use_up_codes(hospital, provider)
        response = request_reset(hospital, AWAY)
        assert (response.status, response.headers["Retry-After"]) == (429, "86400")
        assert reset(hospital, get_code(hospital, provider, HOME), HOME) == 200

    def test_owner_is_known_where_a_code_was_entered(self, hospital: Hospital, provider: Provider) -> None:
        assert validate(hospital, get_code(hospital, provider, HOME), HOME) == 200
        use_up_codes(hospital, provider)
        provider.wait(61)
        assert request_reset(hospital, HOME).status == 200
        assert request_reset(hospital, AWAY).status == 429

    def test_signing_up_makes_the_network_known(self, hospital: Hospital, provider: Provider) -> None:
        request_code(hospital, UNUSED_PHONE, REGISTER_CODE, HOME)
        outbox.run_due_jobs(Queue.EXTERNAL)
        body = {"phone": UNUSED_PHONE, "verCode": provider.sent[-1][1], "password": NEW}
        assert post_from(HOME, REGISTER, hospital.tenant_id, **body).status == 200
        provider.wait(61)
        for address, _ in zip(iter_strangers(), range(20), strict=False):
            request_code(hospital, UNUSED_PHONE, RESET_CODE, address)
        assert request_code(hospital, UNUSED_PHONE, RESET_CODE, AWAY).status == 429
        assert request_code(hospital, UNUSED_PHONE, RESET_CODE, HOME).status == 200

    @pytest.mark.usefixtures("known")
    def test_known_network_has_the_limits_of_any_other(self, hospital: Hospital, provider: Provider) -> None:
        sent = 0
        for _ in range(30):
            sent += request_reset(hospital, HOME).status == 200
            provider.wait(20 * 60)
        assert sent == 10, "in ten hours"

    def test_strangers_get_their_codes_again_after_a_day(self, hospital: Hospital, provider: Provider) -> None:
        use_up_codes(hospital, provider)
        provider.wait(24 * 3600 - 1)
        assert request_reset(hospital, AWAY).headers["Retry-After"] == "1"
        provider.wait(1)
        use_up_codes(hospital, provider)

    def test_addresses_of_one_ipv6_network_share_its_limits(self, hospital: Hospital, provider: Provider) -> None:
        assert request_reset(hospital, "2001:db8:7:1::1").status == 200
        assert request_reset(hospital, "2001:db8:7:1:ffff::1").status == 429
        assert request_reset(hospital, "2001:db8:7:2::1").status == 200
        assert provider.sent == []

    @pytest.mark.usefixtures("known")
    def test_limit_of_a_network_does_not_apply_where_the_owner_is_known(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = draw_address()
        assert sign_in(hospital, address) == 200
        monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_address=3))
        statuses = [request_code(hospital, f"1380000010{n}", address=address).status for n in range(5)]
        assert statuses == [200] * 3 + [429] * 2
        assert request_reset(hospital, address).status == 200

    def test_hospitals_share_the_limit_of_a_network(
        self, hospital: Hospital, other_hospital: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = draw_address()
        monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_address=3))
        phones = [f"1380000010{n}" for n in range(2)]
        statuses = [
            request_code(one, phone, address=address).status for phone in phones for one in (hospital, other_hospital)
        ]
        assert statuses == [200, 200, 200, 429]

    @pytest.mark.usefixtures("provider")
    def test_rejected_requests_use_up_nothing_of_others_in_their_network(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stranger who hammers one phone keeps nobody else in a hospital's network from a code."""
        address = draw_address()
        monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_address=3))
        assert [request_reset(hospital, address).status for _ in range(10)] == [200] + [429] * 9
        assert [request_code(hospital, f"1380000010{n}", address=address).status for n in range(3)] == [200, 200, 429]

    @pytest.mark.usefixtures("provider")
    def test_rejected_requests_make_further_ones_wait_longer(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = draw_address()
        monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_address=3))
        waits = [request_reset(hospital, address).headers.get("Retry-After") for _ in range(6)]
        assert waits == [None, "60", "60", "60", "1200", "1200"]

    @pytest.mark.usefixtures("provider")
    def test_rejected_requests_of_a_used_up_network_write_nothing(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = draw_address()
        monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_address=3))
        statuses = [request_code(hospital, f"1380000010{n}", address=address).status for n in range(6)]
        assert statuses == [200] * 3 + [429] * 3
        outbox.run_due_jobs(Queue.EXTERNAL)
        before = dump_tables(hospital)
        assert {request_code(hospital, f"138000002{n:02}", address=address).status for n in range(50)} == {429}
        assert dump_tables(hospital) == before

    @pytest.mark.usefixtures("known")
    @pytest.mark.parametrize("path", [REGISTER_CODE, RESET_CODE])
    def test_rejected_requests_do_not_wait_for_the_tenants_lock(self, hospital: Hospital, path: str) -> None:
        """Nor make others wait for it, even from an owner, who is not limited by the network."""
        assert request_reset(hospital, HOME).status == 200

        def request_while_locked(tx: Tx) -> ApiResponse:
            code_store.lock_tenant(tx, hospital.tenant_id)
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(request_code, hospital, hospital.lin.phone, path, HOME).result(timeout=3)

        assert mysql.run_transaction(request_while_locked).status == 429


def dump_tables(hospital: Hospital) -> list[object]:
    """Return all counters of a hospital and those that hospitals share."""
    tables = ("code_requests", "codes", "attempts", "quotas", "known_networks", "outbox")
    where = "WHERE tenant_id IN (0, %(id)s)"
    return [mysql.autocommit.fetch_all(f"SELECT * FROM {name} {where}", id=hospital.tenant_id) for name in tables]


class TestGuesses:
    """Guessing codes."""

    def test_strangers_do_not_end_the_owners_code(self, hospital: Hospital, provider: Provider) -> None:
        code = get_code(hospital, provider, HOME)
        wrong = [validate(hospital, get_other_code(code), address) for address in iter_strangers()]
        assert set(wrong) == {400}
        assert validate(hospital, code, AWAY) == 400, "others have no guess left"
        assert validate(hospital, code, HOME) == 200
        assert reset(hospital, code, HOME) == 200

    def test_strangers_have_five_guesses_together(self, hospital: Hospital, provider: Provider) -> None:
        code = get_code(hospital, provider, HOME)
        for address, _ in zip(iter_strangers(), range(4), strict=False):
            validate(hospital, get_other_code(code), address)
        assert validate(hospital, code, AWAY) == 200, "the fifth"
        for _ in range(2):
            validate(hospital, get_other_code(code), AWAY)
        assert validate(hospital, code, AWAY) == 400

    def test_requesting_network_has_five_guesses(self, hospital: Hospital, provider: Provider) -> None:
        code = get_code(hospital, provider, HOME)
        assert [validate(hospital, get_other_code(code), HOME) for _ in range(5)] == [400] * 5
        assert validate(hospital, code, HOME) == 400
        assert validate(hospital, code, AWAY) == 200, "the owner's other device"

    def test_a_strangers_request_does_not_end_the_owners_code(self, hospital: Hospital, provider: Provider) -> None:
        """Nor does using up the guesses for the stranger's code."""
        code = get_code(hospital, provider, HOME)
        strangers = get_code(hospital, provider, "198.51.100.1")
        for address in ("198.51.100.1", "198.51.100.2"):
            for _ in range(5):
                assert validate(hospital, get_other_code(strangers), address) == 400
        assert validate(hospital, code, HOME) == 200

    def test_a_strangers_request_does_not_keep_the_owners_code_from_being_sent(
        self, hospital: Hospital, provider: Provider
    ) -> None:
        """The provider refuses the owner's first; meanwhile the stranger's is sent."""
        provider.script = ["refuse"]
        assert request_reset(hospital, HOME).status == 200
        outbox.run_due_jobs(Queue.EXTERNAL)
        provider.script, provider.sent[:] = ["accept"], []
        assert request_reset(hospital, AWAY).status == 200
        outbox.run_due_jobs(Queue.EXTERNAL)
        provider.wait(30)
        outbox.run_due_jobs(Queue.EXTERNAL)
        assert len({code for _, code in provider.sent}) == 2
        assert {validate(hospital, code, HOME) for _, code in provider.sent} == {200}

    def test_used_code_ends_those_of_other_networks(self, hospital: Hospital, provider: Provider) -> None:
        strangers = get_code(hospital, provider, AWAY)
        assert reset(hospital, get_code(hospital, provider, HOME), HOME) == 200
        assert validate(hospital, strangers, AWAY) == 400

    def test_wrong_codes_count_against_their_network(
        self, hospital: Hospital, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 3)
        code = get_code(hospital, provider, HOME)
        assert [validate(hospital, get_other_code(code), AWAY) for _ in range(3)] == [400] * 3
        assert validate(hospital, code, AWAY) == 429
        assert sign_in(hospital, AWAY) == 429
        assert validate(hospital, code, HOME) == 200

    def test_locked_network_guesses_the_codes_that_it_requested(
        self, hospital: Hospital, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A patient who is new in the hospital's network signs up there, whatever others do."""
        monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 3)
        for _ in range(4):
            sign_in(hospital, AWAY, "wrong")
        assert sign_in(hospital, AWAY) == 429
        code = get_code(hospital, provider, AWAY)
        assert validate(hospital, get_other_code(code), AWAY) == 400
        assert validate(hospital, code, AWAY) == 200

    def test_locked_network_writes_nothing(
        self, hospital: Hospital, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 3)
        code = get_code(hospital, provider, HOME)
        for _ in range(3):
            validate(hospital, get_other_code(code), AWAY)
        before = dump_tables(hospital)
        assert {validate(hospital, code, AWAY) for _ in range(20)} == {429}
        assert dump_tables(hospital) == before


@pytest.mark.usefixtures("known")
def test_owner_has_every_way_in_where_known_while_strangers_try_everything(
    hospital: Hospital, provider: Provider
) -> None:
    """Passwords, requests and guesses from more addresses than any limit has."""
    use_up_codes(hospital, provider)
    for address in iter_strangers():
        assert sign_in(hospital, address, "wrong") in (401, 429)
        assert validate(hospital, "000000", address) == 400
    assert sign_in(hospital, AWAY) == 429
    assert sign_in(hospital, HOME) == 200
    code = get_code(hospital, provider, HOME)
    for address in iter_strangers():
        validate(hospital, get_other_code(code), address)
    assert reset(hospital, code, HOME) == 200
    assert sign_in(hospital, HOME, NEW) == 200
