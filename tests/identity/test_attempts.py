"""Rate limits of password guesses: five tries, also for concurrent requests and after a flush of Redis."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.identity import attempts
from chalicelib.settings import settings
from tests.support.client import ApiResponse, build_event, check_envelope, invoke
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes")

PATH = "/pati_service/manager_service/login"


def sign_in(person: Person, password: str = "wrong", address: str = "203.0.113.7") -> ApiResponse:
    body = f'{{"phone": "{person.phone}", "password": "{password}"}}'
    headers = {"tenantId": str(person.tenant_id), "Content-Type": "application/json"}
    request = build_event("POST", PATH, headers, body=body)
    request["requestContext"]["identity"]["sourceIp"] = address
    response = invoke(request)
    check_envelope(response)
    return response


def sign_in_repeatedly(person: Person, times: int, password: str = "wrong") -> list[int]:
    return [sign_in(person, password).status for _ in range(times)]


@pytest.fixture
def checked_passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The passwords that are compared with a hash."""
    checked: list[bytes] = []
    real = hashlib.scrypt

    def scrypt(password: bytes, **parameters: Any) -> bytes:
        checked.append(password)
        return real(password, **parameters)

    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "scrypt", scrypt)
        yield checked


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that stops the clock a number of seconds after the start of the test."""
    started_at = clock.now()
    monkeypatch.setattr(clock, "now", lambda: started_at)
    return lambda seconds: monkeypatch.setattr(clock, "now", lambda: started_at + seconds * clock.SECOND)


def test_five_of_a_hundred_concurrent_guesses_are_checked(
    hospital: Hospital, checked_passwords: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mysql, "settings", replace(settings, database_wait_seconds=60)
    )  # the requests share 16 connections
    chen = hospital.chen
    with ThreadPoolExecutor(100) as pool:
        responses = list(pool.map(lambda n: sign_in(chen, f"guess {n}"), range(100)))
    assert sorted(response.status for response in responses) == [401] * 5 + [429] * 95
    assert len(checked_passwords) == 5


def test_sixth_guess_is_not_checked_even_if_right(hospital: Hospital, checked_passwords: list[bytes]) -> None:
    assert sign_in_repeatedly(hospital.chen, 5) == [401] * 5
    response = sign_in(hospital.chen, PASSWORD)
    assert (response.status, response.code) == (429, 10006)
    assert response.headers["Retry-After"] == "900"
    assert checked_passwords == [b"wrong"] * 5


def test_right_password_resets_the_failures(hospital: Hospital) -> None:
    for _ in range(3):
        assert sign_in_repeatedly(hospital.chen, 4) == [401] * 4
        assert sign_in_repeatedly(hospital.chen, 1, PASSWORD) == [200]


def test_unknown_phone_is_locked_like_a_known_one(hospital: Hospital, checked_passwords: list[bytes]) -> None:
    unknown = Person(hospital.tenant_id, 0, "13999999999")
    assert sign_in_repeatedly(unknown, 6) == [401] * 5 + [429]
    assert len(checked_passwords) == 5


def test_lock_ends_after_15_minutes(hospital: Hospital, later: Any) -> None:
    assert sign_in_repeatedly(hospital.chen, 6) == [401] * 5 + [429]
    later(15 * 60 - 1)
    assert sign_in_repeatedly(hospital.chen, 1, PASSWORD) == [429]
    later(15 * 60 + 1)
    assert sign_in_repeatedly(hospital.chen, 6) == [401] * 5 + [429]


def test_fifth_failure_locks_for_15_minutes(hospital: Hospital, later: Any) -> None:
    assert sign_in_repeatedly(hospital.chen, 1) == [401]
    later(14 * 60)
    assert sign_in_repeatedly(hospital.chen, 4) == [401] * 4
    later((14 + 14) * 60)
    assert sign_in_repeatedly(hospital.chen, 1, PASSWORD) == [429]
    later((14 + 16) * 60)
    assert sign_in_repeatedly(hospital.chen, 1, PASSWORD) == [200]


def test_rejected_try_does_not_extend_the_lock(hospital: Hospital, later: Any) -> None:
    sign_in_repeatedly(hospital.chen, 5)
    later(10 * 60)
    assert sign_in_repeatedly(hospital.chen, 3) == [429] * 3
    later(15 * 60 + 1)
    assert sign_in_repeatedly(hospital.chen, 1, PASSWORD) == [200]


def test_flushed_redis_gives_no_more_tries(hospital: Hospital) -> None:
    sign_in_repeatedly(hospital.chen, 5)
    redis.get_client().flushdb()
    assert sign_in_repeatedly(hospital.chen, 1, PASSWORD) == [429]


def test_other_address_is_not_locked(hospital: Hospital) -> None:
    sign_in_repeatedly(hospital.chen, 6)
    assert sign_in(hospital.chen, PASSWORD, address="198.51.100.9").status == 200
    assert sign_in(hospital.chen, PASSWORD).status == 429


def test_other_person_and_other_hospital_are_not_locked(hospital: Hospital, other_hospital: Hospital) -> None:
    sign_in_repeatedly(hospital.zhou, 4)
    sign_in_repeatedly(other_hospital.chen, 4)
    assert sign_in_repeatedly(hospital.chen, 6) == [401] * 5 + [429]
    assert sign_in(hospital.zhou, PASSWORD).status == 200
    assert sign_in(other_hospital.chen, PASSWORD).status == 200


def test_successful_login_clears_no_attempts_of_another_hospital(hospital: Hospital, other_hospital: Hospital) -> None:
    assert other_hospital.chen.phone == hospital.chen.phone
    assert sign_in_repeatedly(other_hospital.chen, 5) == [401] * 5
    assert sign_in_repeatedly(hospital.chen, 1, PASSWORD) == [200]
    assert sign_in_repeatedly(other_hospital.chen, 1, PASSWORD) == [429]


def test_lock_lasts_fifteen_minutes_inclusive(hospital: Hospital, later: Callable[[int], None]) -> None:
    assert sign_in_repeatedly(hospital.chen, 5) == [401] * 5
    later(15 * 60)
    assert sign_in_repeatedly(hospital.chen, 1, PASSWORD) == [429]


def test_clearing_without_failures_changes_nothing(hospital: Hospital) -> None:
    attempts.clear_failures(hospital.tenant_id, "staff:unknown")
    sql = "SELECT COUNT(*) FROM attempts WHERE tenant_id = %(id)s"
    assert mysql.autocommit.fetch_value(sql, id=hospital.tenant_id) == 0


def test_phone_is_locked_after_guesses_from_many_addresses(hospital: Hospital) -> None:
    tries = attempts.MAX_TRIES_PER_PHONE
    responses = [sign_in(hospital.chen, address=f"198.51.100.{n}").status for n in range(tries + 3)]
    assert responses == [401] * tries + [429] * 3


def test_address_is_locked_after_guesses_for_many_phones(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 7)
    strangers = [Person(hospital.tenant_id, 0, f"1370000000{n}") for n in range(9)]
    assert [sign_in(stranger).status for stranger in strangers] == [401] * 7 + [429] * 2
    assert sign_in(hospital.chen, PASSWORD, address="198.51.100.9").status == 200


def test_restored_tries_are_never_more_than_there_were(hospital: Hospital) -> None:
    assert sign_in_repeatedly(hospital.chen, 1) == [401]
    query = "SELECT subject, failures FROM attempts WHERE tenant_id = %(id)s"
    [subject, *_] = [row["subject"].decode() for row in mysql.autocommit.fetch_all(query, id=hospital.tenant_id)]
    for _ in range(3):
        attempts.restore_try(hospital.tenant_id, subject)
    failures = {
        row["subject"].decode(): row["failures"] for row in mysql.autocommit.fetch_all(query, id=hospital.tenant_id)
    }
    assert failures[subject] == 0
