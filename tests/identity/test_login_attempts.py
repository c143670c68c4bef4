"""Guessing a password, through the whole door: five tries, however many at once and whatever becomes of Redis."""

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
from tests.support.client import Answer, build_event, check_envelope, invoke
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes")

PATH = "/pati_service/manager_service/login"


def sign_in(person: Person, password: str = "wrong", address: str = "203.0.113.7") -> Answer:
    body = f'{{"phone": "{person.phone}", "password": "{password}"}}'
    headers = {"tenantId": str(person.tenant_id), "Content-Type": "application/json"}
    request = build_event("POST", PATH, headers, body=body)
    request["requestContext"]["identity"]["sourceIp"] = address
    answer = invoke(request)
    check_envelope(answer)
    return answer


def statuses(person: Person, times: int, password: str = "wrong") -> list[int]:
    return [sign_in(person, password).status for _ in range(times)]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The passwords that were compared with a hash."""
    seen: list[bytes] = []
    real = hashlib.scrypt

    def counted(password: bytes, **parameters: Any) -> bytes:
        seen.append(password)
        return real(password, **parameters)

    with monkeypatch.context() as here:
        here.setattr(hashlib, "scrypt", counted)
        yield seen


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """later(seconds): stop the clock that long after the test began."""
    began = clock.now()
    monkeypatch.setattr(clock, "now", lambda: began)
    return lambda seconds: monkeypatch.setattr(clock, "now", lambda: began + seconds * clock.SECOND)


def test_a_hundred_guesses_at_once_are_five(
    hospital: Hospital, looked_at: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_wait_seconds=60))  # they queue for 16 connections
    chen = hospital.chen
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda n: sign_in(chen, f"guess {n}"), range(100)))
    assert sorted(answer.status for answer in answers) == [401] * 5 + [429] * 95
    assert len(looked_at) == 5


def test_the_sixth_guess_is_not_looked_at_even_if_it_is_right(hospital: Hospital, looked_at: list[bytes]) -> None:
    assert statuses(hospital.chen, 5) == [401] * 5
    answer = sign_in(hospital.chen, PASSWORD)
    assert (answer.status, answer.code) == (429, 10006)
    assert answer.headers["Retry-After"] == "900"
    assert looked_at == [b"wrong"] * 5


def test_a_right_password_forgives_what_went_before(hospital: Hospital) -> None:
    for _ in range(3):
        assert statuses(hospital.chen, 4) == [401] * 4
        assert statuses(hospital.chen, 1, PASSWORD) == [200]


def test_an_unknown_phone_is_locked_as_a_known_one_is(hospital: Hospital, looked_at: list[bytes]) -> None:
    nobody = Person(hospital.tenant_id, 0, "13999999999")
    assert statuses(nobody, 6) == [401] * 5 + [429]
    assert len(looked_at) == 5


def test_after_a_quarter_of_an_hour_there_are_five_more(hospital: Hospital, later: Any) -> None:
    assert statuses(hospital.chen, 6) == [401] * 5 + [429]
    later(15 * 60 - 1)
    assert statuses(hospital.chen, 1, PASSWORD) == [429]
    later(15 * 60 + 1)
    assert statuses(hospital.chen, 6) == [401] * 5 + [429]


def test_the_fifth_failure_locks_for_the_whole_quarter_of_an_hour(hospital: Hospital, later: Any) -> None:
    assert statuses(hospital.chen, 1) == [401]
    later(14 * 60)
    assert statuses(hospital.chen, 4) == [401] * 4
    later((14 + 14) * 60)
    assert statuses(hospital.chen, 1, PASSWORD) == [429]
    later((14 + 16) * 60)
    assert statuses(hospital.chen, 1, PASSWORD) == [200]


def test_a_refused_try_does_not_make_the_lock_longer(hospital: Hospital, later: Any) -> None:
    statuses(hospital.chen, 5)
    later(10 * 60)
    assert statuses(hospital.chen, 3) == [429] * 3
    later(15 * 60 + 1)
    assert statuses(hospital.chen, 1, PASSWORD) == [200]


def test_a_flushed_redis_gives_no_more_tries(hospital: Hospital) -> None:
    statuses(hospital.chen, 5)
    redis.get_client().flushdb()
    assert statuses(hospital.chen, 1, PASSWORD) == [429]


def test_another_address_is_not_locked(hospital: Hospital) -> None:
    statuses(hospital.chen, 6)
    assert sign_in(hospital.chen, PASSWORD, address="198.51.100.9").status == 200
    assert sign_in(hospital.chen, PASSWORD).status == 429


def test_neither_another_person_nor_another_hospital_is_locked(hospital: Hospital, other_hospital: Hospital) -> None:
    statuses(hospital.zhou, 4)
    statuses(other_hospital.chen, 4)
    assert statuses(hospital.chen, 6) == [401] * 5 + [429]
    assert sign_in(hospital.zhou, PASSWORD).status == 200
    assert sign_in(other_hospital.chen, PASSWORD).status == 200


def test_forgiving_who_never_failed_changes_nothing(hospital: Hospital) -> None:
    attempts.clear_failures(hospital.tenant_id, "staff:nobody")
    sql = "SELECT COUNT(*) FROM attempts WHERE tenant_id = %(id)s"
    assert mysql.autocommit.fetch_value(sql, id=hospital.tenant_id) == 0


def test_one_phone_is_not_guessed_at_from_many_addresses(hospital: Hospital) -> None:
    tries = attempts.MAX_TRIES_PER_PHONE
    answers = [sign_in(hospital.chen, address=f"198.51.100.{n}").status for n in range(tries + 3)]
    assert answers == [401] * tries + [429] * 3


def test_one_address_does_not_guess_at_many_phones(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 7)
    strangers = [Person(hospital.tenant_id, 0, f"1370000000{n}") for n in range(9)]
    assert [sign_in(stranger).status for stranger in strangers] == [401] * 7 + [429] * 2
    assert sign_in(hospital.chen, PASSWORD, address="198.51.100.9").status == 200
