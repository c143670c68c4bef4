"""Many share the address of a hospital's network: wrong passwords from it lock out nobody who is known there."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib import clock, logs
from chalicelib.adapters import mysql
from chalicelib.identity import attempts
from tests.identity.test_known_addresses import exhaust_tries, sign_in
from tests.staff.test_login import PATH as STAFF
from tests.staff.test_login import reset_password
from tests.staff.test_second_factor import set_up, show_code
from tests.support.accounts_client import post_from
from tests.support.client import ApiResponse
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes
from tests.support.metric_filters import get_pattern, matches
from tests.support.staff_client import STAFF_PATH
from tests.support.threads import run_in_threads

__all__ = ["fast_hashes"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("fast_hashes")]

HOSPITAL_NETWORK, ELSEWHERE = "203.0.113.80", "192.0.2.7"


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stop the clock; return a function that lets a number of seconds pass."""
    now = [clock.now() // 30_000_000 * 30_000_000]
    monkeypatch.setattr(clock, "now", lambda: now[0])

    def pass_time(seconds: float) -> None:
        now[0] += round(seconds * clock.SECOND)

    return pass_time


def guess(person: Person, times: int, address: str = HOSPITAL_NETWORK) -> list[int]:
    return [sign_in(STAFF, person, address, "wrong").status for _ in range(times)]


def guess_for_strangers(hospital: Hospital, phones: int, address: str = HOSPITAL_NETWORK) -> list[int]:
    """Guess five times for each of many phones."""
    strangers = [Person(hospital.tenant_id, 0, f"137{n:08}") for n in range(phones)]
    return [status for stranger in strangers for status in guess(stranger, 5, address)]


def count_attempts(hospital: Hospital) -> int:
    sql = "SELECT COUNT(*) FROM attempts WHERE tenant_id = %(id)s"
    return int(mysql.autocommit.fetch_value(sql, id=hospital.tenant_id))


def test_hundred_guesses_for_other_accounts_lock_out_no_doctor_who_has_signed_in_there(hospital: Hospital) -> None:
    assert sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK).status == 200
    assert guess_for_strangers(hospital, 20) == [401] * 100
    assert sign_in(STAFF, hospital.zhou, HOSPITAL_NETWORK).status == 429, "the network is locked for others"
    for _ in range(3):
        assert sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK).status == 200
    assert sign_in(STAFF, hospital.zhou, ELSEWHERE).status == 200


def test_hundred_guesses_for_the_doctors_own_account_do_not_lock_them_out(hospital: Hospital) -> None:
    assert sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK).status == 200
    assert guess(hospital.chen, 100) == [401] * 100
    assert sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK).status == 200


def test_known_network_has_a_limit_that_ends_after_a_minute(hospital: Hospital, later: Any) -> None:
    tries = attempts.MAX_TRIES_FROM_KNOWN_NETWORK
    sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK)
    assert guess(hospital.chen, tries + 2) == [401] * tries + [429] * 2
    response = sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK)
    assert (response.status, response.headers["Retry-After"]) == (429, "60")
    assert response.error == "尝试次数过多，请60秒后再试，或请管理员重置密码"
    later(59)
    assert sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK).headers["Retry-After"] == "1"
    later(1)
    assert guess(hospital.chen, 2) == [401, 429]
    later(60)
    assert sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK).status == 200


def test_concurrent_guesses_from_a_known_network_are_limited(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MAX_TRIES_FROM_KNOWN_NETWORK", 7)
    sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK)
    statuses = run_in_threads([partial(guess, hospital.chen, 1) for _ in range(16)])
    assert sorted(statuses) == [[401]] * 7 + [[429]] * 9


def test_limit_of_a_known_network_is_reset_with_the_password(hospital: Hospital) -> None:
    sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK)
    assert guess(hospital.chen, attempts.MAX_TRIES_FROM_KNOWN_NETWORK + 1)[-1] == 429
    assert reset_password(hospital, hospital.chen) == 200
    assert sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK, "Anderes-12345").status == 200


def test_sign_ins_from_a_locked_address_create_no_rows(hospital: Hospital) -> None:
    guess_for_strangers(hospital, 20, ELSEWHERE)
    rows = count_attempts(hospital)
    others = [Person(hospital.tenant_id, 0, f"136{n:08}") for n in range(200)]
    assert {sign_in(STAFF, other, ELSEWHERE).status for other in others} == {429}
    assert count_attempts(hospital) == rows


def test_rejected_sign_ins_count_against_their_address(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 8)
    assert guess(hospital.chen, 8, ELSEWHERE) == [401] * 5 + [429] * 3
    assert guess(hospital.zhou, 1, ELSEWHERE) == [429]


def test_rejected_sign_ins_do_not_extend_the_lock_of_their_address(
    hospital: Hospital, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 5)
    assert guess(hospital.chen, 5, ELSEWHERE) == [401] * 5
    later(600)
    assert guess(hospital.zhou, 3, ELSEWHERE) == [429] * 3
    later(301)
    assert guess(hospital.zhou, 1, ELSEWHERE) == [401]


def test_signing_in_where_the_doctor_is_known_returns_no_try_of_others(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 5)
    sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK)
    assert guess(hospital.zhou, 4) == [401] * 4
    assert sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK).status == 200
    assert [guess(person, 1) for person in (hospital.admin, hospital.desk)] == [[401], [429]]


def test_guesses_from_a_known_network_use_up_no_tries_of_others(hospital: Hospital) -> None:
    sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK)
    assert guess(hospital.chen, attempts.MAX_TRIES_PER_PHONE + 1)[-1] == 401
    assert sign_in(STAFF, hospital.chen, ELSEWHERE).status == 200


def test_addresses_of_one_ipv6_network_share_its_tries(hospital: Hospital) -> None:
    addresses = [f"2001:db8:7:1:{n:x}::1" for n in range(6)]
    assert [guess(hospital.chen, 1, address)[0] for address in addresses] == [401] * 5 + [429]
    assert guess(hospital.chen, 1, "2001:db8:7:2::1") == [401]


def test_ipv6_network_is_known_as_a_whole(hospital: Hospital) -> None:
    assert sign_in(STAFF, hospital.chen, "2001:db8:7:1::1").status == 200
    exhaust_tries(STAFF, hospital.chen)
    assert sign_in(STAFF, hospital.chen, "2001:db8:7:1:ffff::9").status == 200
    exhaust_tries(STAFF, hospital.chen)
    assert sign_in(STAFF, hospital.chen, "2001:db8:7:2::1").status == 429


class TestAlarm:
    """One password is tried for many accounts that are known in a network, or many for those that are not."""

    @pytest.fixture
    def find_alarms(self, caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
        """Return a function that returns the log lines of this test that raise the alarm."""
        caplog.handler.setFormatter(logs.JsonFormatter())
        pattern = get_pattern("PasswordGuessing")
        return lambda: [line for line in map(json.loads, caplog.text.splitlines()) if matches(pattern, line)]

    @pytest.fixture
    def few_tries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(attempts, "MAX_TRIES_FROM_KNOWN_NETWORK", 4)
        monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 4)

    @pytest.mark.usefixtures("few_tries")
    def test_is_raised_for_guesses_of_many_known_accounts(self, hospital: Hospital, find_alarms: Any) -> None:
        doctors = (hospital.chen, hospital.zhou)
        for doctor in doctors:
            assert sign_in(STAFF, doctor, HOSPITAL_NETWORK).status == 200
        assert [guess(doctor, 2) for doctor in doctors] == [[401] * 2] * 2
        assert find_alarms() == []
        assert guess(hospital.zhou, 1) == [401]
        [line] = find_alarms()
        assert (line["tenant_id"], line["kind"]) == (hospital.tenant_id, "staff")
        assert [sign_in(STAFF, doctor, HOSPITAL_NETWORK).status for doctor in doctors] == [200, 200]

    @pytest.mark.usefixtures("few_tries")
    def test_is_not_raised_by_signing_in(self, hospital: Hospital, find_alarms: Any) -> None:
        for _ in range(9):
            assert sign_in(STAFF, hospital.chen, HOSPITAL_NETWORK).status == 200
        assert guess(hospital.chen, 4) == [401] * 4
        assert find_alarms() == []

    @pytest.mark.usefixtures("few_tries")
    def test_is_raised_when_a_network_is_locked(self, hospital: Hospital, find_alarms: Any) -> None:
        assert guess(hospital.chen, 3) == [401] * 3
        assert find_alarms() == []
        assert guess(hospital.zhou, 1) == [401]
        assert len(find_alarms()) == 1
        assert guess(hospital.zhou, 5) == [429] * 5
        assert len(find_alarms()) == 1

    @pytest.mark.usefixtures("few_tries")
    def test_tries_come_back(self, hospital: Hospital, later: Any, find_alarms: Any) -> None:
        for doctor in (hospital.chen, hospital.zhou):
            sign_in(STAFF, doctor, HOSPITAL_NETWORK)
            guess(doctor, 2)
        later(60)
        guess(hospital.chen, 1)
        assert find_alarms() == []
        guess(hospital.zhou, 1)
        assert len(find_alarms()) == 1

    def test_concurrent_guesses_of_many_accounts_are_counted(
        self, hospital: Hospital, find_alarms: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """More than the quota at once do not make it full again."""
        doctors = (hospital.chen, hospital.zhou, hospital.desk, hospital.admin)
        for doctor in doctors:
            sign_in(STAFF, doctor, HOSPITAL_NETWORK)
        monkeypatch.setattr(attempts, "MAX_TRIES_FROM_KNOWN_NETWORK", 6)
        run_in_threads([partial(guess, doctor, 6) for doctor in doctors])
        assert len(find_alarms()) >= 24 - 6 - len(doctors)
        before = len(find_alarms())
        for doctor in doctors:
            sign_in(STAFF, doctor, HOSPITAL_NETWORK, "wrong")
        assert len(find_alarms()) == before + 4


class TestSecondFactor:
    """A password without its second factor proves nothing about an address, and is no wrong password."""

    @pytest.fixture
    def secret(self, hospital: Hospital, later: Any) -> str:
        return set_up(hospital.chen, later)

    @pytest.mark.parametrize("otp", [None, "000000"])
    def test_does_not_make_the_address_known(self, hospital: Hospital, secret: str, otp: str | None) -> None:
        assert sign_in_with_code(hospital.chen, ELSEWHERE, otp).code == 10107
        exhaust_tries(STAFF, hospital.chen)
        assert sign_in_with_code(hospital.chen, ELSEWHERE, show_code(secret)).status == 429

    def test_makes_the_address_known_when_both_are_right(self, hospital: Hospital, secret: str) -> None:
        assert sign_in_with_code(hospital.chen, ELSEWHERE, show_code(secret)).status == 200
        exhaust_tries(STAFF, hospital.chen)
        assert sign_in_with_code(hospital.chen, ELSEWHERE).code == 10107, "the password was checked"

    def test_uses_up_no_try(self, hospital: Hospital, secret: str) -> None:
        for _ in range(attempts.MAX_TRIES_PER_PHONE + 1):
            assert sign_in_with_code(hospital.chen, ELSEWHERE).code == 10107
        assert sign_in_with_code(hospital.chen, ELSEWHERE, show_code(secret)).status == 200

    def test_does_not_clear_the_failures_of_the_phone(self, hospital: Hospital, secret: str) -> None:
        assert secret
        exhausted = attempts.MAX_TRIES_PER_PHONE - 1
        assert [guess(hospital.chen, 1, f"198.51.100.{n}")[0] for n in range(100, 100 + exhausted)] == [401] * exhausted
        assert sign_in_with_code(hospital.chen, ELSEWHERE).code == 10107
        assert [guess(hospital.chen, 1, f"198.51.100.{n}")[0] for n in (150, 151)] == [401, 429]


def sign_in_with_code(person: Person, address: str, otp: str | None = None) -> ApiResponse:
    fields = {"phone": person.phone, "password": PASSWORD} | ({"otp": otp} if otp else {})
    return post_from(address, f"{STAFF_PATH}/login", person.tenant_id, **fields)
