"""SMS codes over HTTP: limits of sending and guessing."""

import hmac
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from threading import current_thread
from typing import Any

import pytest

from chalicelib import clock, logs
from chalicelib.adapters import mysql, redis
from chalicelib.identity import attempts, cleanup, code_limits, sms_codes
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.settings import settings
from tests.accounts.conftest import ReadSms
from tests.support.accounts_client import (
    REGISTER_CODE,
    RESET,
    RESET_CODE,
    UNUSED_PHONE,
    VALIDATE,
    draw_address,
    get_other_code,
    post_as_visitor,
    register,
    request_code,
)
from tests.support.client import get
from tests.support.factories import Hospital
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.sms_provider import Provider, provider

__all__ = ["provider"]
pytestmark = pytest.mark.usefixtures("fast_hashes")
both_paths = pytest.mark.parametrize("path", [REGISTER_CODE, RESET_CODE])


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch, hospital: Hospital) -> Iterator[Callable[[float], None]]:
    """Return later(minutes), which sets the clock to so many minutes after the start of the test."""
    began = clock.now()
    yield lambda minutes: monkeypatch.setattr(clock, "now", lambda: began + int(minutes * 60 * clock.SECOND))
    jobs = "SELECT COUNT(*) FROM outbox WHERE tenant_id = %(id)s"
    wait_until(
        lambda: mysql.autocommit.fetch_value(jobs, id=hospital.tenant_id) == 0
    )  # the next test reads its own SMS
    mysql.autocommit.execute("DELETE FROM quotas")  # which all hospitals share, of a time to come


@pytest.fixture
def many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_wait_seconds=60))  # they queue for 16


def validate(hospital: Hospital, code: str) -> int:
    return post_as_visitor(hospital, VALIDATE, phone=hospital.lin.phone, verCode=code).status


def reset(hospital: Hospital, code: str) -> int:
    body = {"phone": hospital.lin.phone, "verCode": code, "newPassword": "Anderes-12345"}
    return post_as_visitor(hospital, RESET, **body).status


@pytest.mark.store
@pytest.mark.usefixtures("many_connections")
def test_hundred_concurrent_requests_send_one_sms(hospital: Hospital, read_sms: ReadSms) -> None:
    with ThreadPoolExecutor(100) as pool:
        responses = list(pool.map(lambda _: request_code(hospital), range(100)))
    assert sorted(response.status for response in responses) == [200] + [429] * 99
    read_sms(UNUSED_PHONE)
    outbox.run_due_jobs(Queue.EXTERNAL)
    assert len(read_sms(UNUSED_PHONE)) == 1


@pytest.mark.store
def test_second_request_waits_for_the_count_of_the_first(
    hospital: Hospital, read_sms: ReadSms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request is counted but not committed when the second arrives."""
    real, second = outbox.enqueue, list[Any]()
    with ThreadPoolExecutor(1) as pool:

        def slowly(*arguments: Any) -> None:
            if not second:
                second.append(pool.submit(request_code, hospital))
                wait_until(lambda: second[0].done() or is_row_lock_waiting())
            real(*arguments)

        monkeypatch.setattr(outbox, "enqueue", slowly)
        assert request_code(hospital).status == 200
        assert second[0].result().status == 429
    assert read_sms(UNUSED_PHONE)


@pytest.mark.store
def test_phone_gets_one_code_a_minute_five_an_hour_and_ten_a_day(
    hospital: Hospital, read_sms: ReadSms, later: Any
) -> None:
    sent: list[float] = []
    for minute in [0, 0.9, 1.1, 3, 5, 7, 9, 59, 62, 64, 66, 68, 70, 130, 23 * 60, 24 * 60 + 2]:
        later(minute)
        if request_code(hospital).status == 200:
            sent.append(minute)
    assert sent == [0, 1.1, 3, 5, 7, 62, 64, 66, 68, 70, 24 * 60 + 2]
    assert read_sms(UNUSED_PHONE)


def test_rejected_request_has_retry_after(hospital: Hospital, read_sms: ReadSms, later: Any) -> None:
    later(0)
    request_code(hospital)
    later(0.5)
    response = request_code(hospital)
    assert (response.status, response.code, response.headers["Retry-After"]) == (429, 10006, "30")
    assert read_sms(UNUSED_PHONE)


def test_both_purposes_share_the_limits_of_a_phone(hospital: Hospital, read_sms: ReadSms) -> None:
    assert request_code(hospital, path=REGISTER_CODE).status == 200
    assert request_code(hospital, path=RESET_CODE).status == 429
    assert read_sms(UNUSED_PHONE)


@pytest.mark.usefixtures("read_sms")
def test_address_has_an_hourly_limit(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_address=3))
    phones, address = [f"1380000010{n}" for n in range(5)], draw_address()
    assert [request_code(hospital, phone, address=address).status for phone in phones] == [200] * 3 + [429] * 2
    assert request_code(hospital, phones[4], address=draw_address()).status == 200


def test_limits_are_per_hospital(hospital: Hospital, other_hospital: Hospital, read_sms: ReadSms) -> None:
    assert [request_code(one).status for one in (hospital, other_hospital)] == [200, 200]
    assert len(read_sms(UNUSED_PHONE, 2)) == 2


def test_flushed_redis_resets_no_limit(hospital: Hospital, read_sms: ReadSms) -> None:
    request_code(hospital)
    [code] = read_sms(UNUSED_PHONE)
    for _ in range(5):
        assert register(hospital, get_other_code(code)).status == 400
    redis.get_client().flushall()
    assert request_code(hospital).status == 429
    assert register(hospital, code).status == 400


@pytest.mark.store
@pytest.mark.usefixtures("many_connections")
def test_hundred_concurrent_guesses_count_as_five(
    hospital: Hospital, read_sms: ReadSms, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_code(hospital)
    [code] = read_sms(UNUSED_PHONE)
    compared: list[object] = []
    real = hmac.compare_digest

    def record_comparison(one: Any, other: Any) -> bool:
        if current_thread().name != "outbox":  # whose job may be repeated
            compared.append(one)
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", record_comparison)
    monkeypatch.setattr(attempts, "MAX_TRIES_PER_ADDRESS", 101)  # wrong codes count against their address, too
    with ThreadPoolExecutor(100) as pool:
        wrong = list(pool.map(lambda n: register(hospital, f"{(int(code) + 1 + n) % 1_000_000:06d}"), range(100)))
    assert {response.status for response in wrong} == {400}
    assert len(compared) == 5
    assert register(hospital, code).status == 400, "the sixth guess is rejected even if it is correct"


@pytest.mark.store
def test_code_expires_after_five_minutes(hospital: Hospital, read_sms: ReadSms, later: Any) -> None:
    later(0)
    request_code(hospital)
    [code] = read_sms(UNUSED_PHONE)
    later(5.01)
    assert register(hospital, code).status == 400
    later(4.99)
    assert register(hospital, code).status == 200


@pytest.mark.store
def test_newest_code_is_valid_and_has_its_own_tries(hospital: Hospital, read_sms: ReadSms, later: Any) -> None:
    later(0)
    request_code(hospital)
    [first] = read_sms(UNUSED_PHONE)
    for _ in range(5):
        register(hospital, get_other_code(first))
    later(1.1)
    request_code(hospital)
    second = read_sms(UNUSED_PHONE, 2)[1]
    if first != second:
        assert register(hospital, first).status == 400
    assert register(hospital, second).status == 200


def test_code_is_valid_for_one_purpose(hospital: Hospital, read_sms: ReadSms) -> None:
    request_code(hospital, hospital.lin.phone, RESET_CODE)
    [code] = read_sms(hospital.lin.phone)
    assert register(hospital, code, hospital.lin.phone).status == 400
    assert post_as_visitor(hospital, VALIDATE, phone=hospital.lin.phone, verCode=code).status == 200


def test_neither_code_nor_unkeyed_hash_is_stored(hospital: Hospital, read_sms: ReadSms) -> None:
    request_code(hospital)
    [code] = read_sms(UNUSED_PHONE)
    rows = mysql.autocommit.fetch_all("SELECT * FROM codes WHERE tenant_id = %(id)s", id=hospital.tenant_id)
    assert rows
    assert code not in str([{**row, "expires_at": 0} for row in rows])


def test_sent_code_leaves_nothing_in_the_outbox(hospital: Hospital, read_sms: ReadSms) -> None:
    request_code(hospital)
    assert read_sms(UNUSED_PHONE)
    enqueued = "SELECT COUNT(*) FROM outbox WHERE tenant_id = %(id)s"
    wait_until(lambda: mysql.autocommit.fetch_value(enqueued, id=hospital.tenant_id) == 0)


@pytest.mark.store
def test_retry_sends_the_same_code(hospital: Hospital, provider: Provider) -> None:
    code = provider.request(hospital, "lose lose accept")
    assert [sent for _, sent in provider.attempts] == [code] * 3
    assert register(hospital, code).status == 200


@pytest.mark.store
def test_code_is_valid_before_the_provider_has_accepted_it(hospital: Hospital, provider: Provider) -> None:
    code = provider.request(hospital, "lose")
    assert register(hospital, code).status == 200


@pytest.mark.store
@pytest.mark.parametrize("failure", ["refuse", "lose"])
def test_earlier_code_is_valid_until_the_next_one_is_accepted(
    hospital: Hospital, provider: Provider, failure: str
) -> None:
    first = provider.request(hospital, "accept", RESET_CODE)
    second = provider.request(hospital, f"{failure}", RESET_CODE, minutes=1.1)
    assert first != second
    assert [validate(hospital, code) for code in (first, second)] == [200, 200]
    provider.script = ["accept"]
    provider.wait(30)
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 1
    assert [validate(hospital, code) for code in (first, second)] == [400, 200]


@pytest.mark.store
def test_used_code_ends_the_others_and_is_not_sent_again(hospital: Hospital, provider: Provider) -> None:
    codes = [provider.request(hospital, "lose", RESET_CODE, minutes=1.1) for _ in range(2)]
    assert reset(hospital, codes[1]) == 200
    provider.attempts.clear()
    provider.wait(30)
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 1
    assert provider.attempts == []
    assert [use(hospital, code) for code in codes for use in (validate, reset)] == [400] * 4


@pytest.mark.store
def test_guess_counts_against_each_valid_code(hospital: Hospital, provider: Provider) -> None:
    codes = [provider.request(hospital, "lose", RESET_CODE, minutes=1.1) for _ in range(2)]
    wrong = next(code for code in ("000000", "000001", "000002") if code not in codes)
    assert [validate(hospital, code) for code in (codes[0], codes[1]) * 6] == [200] * 12
    assert [validate(hospital, wrong) for _ in range(5)] == [400] * 5
    assert [validate(hospital, code) for code in codes] == [400, 400]


@pytest.mark.store
def test_code_is_not_retried_after_a_later_request(hospital: Hospital, provider: Provider) -> None:
    provider.request(hospital, "refuse")
    provider.wait(30)
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 0
    provider.attempts.clear()
    later_code = provider.request(hospital, "accept", minutes=0.1)
    assert [code for _, code in provider.attempts] == [later_code]
    assert mysql.autocommit.fetch_value("SELECT COUNT(*) FROM outbox") == 0


@pytest.mark.store
def test_code_is_retried_after_seconds_for_five_minutes(hospital: Hospital, provider: Provider) -> None:
    """The first run is woken; then a worker starts each minute."""
    began = provider.now / clock.SECOND
    provider.request(hospital, "refuse")
    assert [round(second - began) for second, _ in provider.attempts] == [0, 2, 6, 14, 30]
    for minute in range(1, 8):
        provider.now = int((began + minute * 60) * clock.SECOND)
        outbox.run_due_jobs(Queue.EXTERNAL)
    seconds = [second - began for second, _ in provider.attempts]
    assert max(later - earlier for earlier, later in pairwise(seconds)) <= 60
    assert 270 <= seconds[-1] <= 300
    assert mysql.autocommit.fetch_value("SELECT COUNT(*) FROM outbox") == 0, "it is not dead-lettered"


def test_failure_is_logged_with_the_providers_code(
    hospital: Hospital, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(logs.JsonFormatter())
    provider.request(hospital, "refuse accept")
    assert '"provider_code": "isv.BUSINESS_LIMIT_CONTROL"' in caplog.text


def test_each_request_has_a_code_of_its_own(hospital: Hospital, other_hospital: Hospital, provider: Provider) -> None:
    codes = [provider.request(one, "accept", minutes=1.1) for one in (hospital, other_hospital, hospital)]
    assert len(set(codes)) > 1
    assert all(len(code) == 6 and code.isdigit() for code in codes)


@both_paths
def test_request_without_a_provider_fails(hospital: Hospital, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms_codes, "settings", replace(settings, sms=replace(settings.sms, provider="")))
    assert request_code(hospital, path=path).status == 503


@both_paths
@pytest.mark.parametrize("phone", ["", "1380000000", "138000000011", "12800000001", "+8613800000001", " 13800000001"])
def test_invalid_phone_is_named(hospital: Hospital, path: str, phone: str) -> None:
    response = request_code(hospital, phone, path)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("phone：")


@both_paths
def test_hospital_is_required(hospital: Hospital, other_hospital: Hospital, path: str) -> None:
    assert hospital.tenant_id != other_hospital.tenant_id
    assert get(path, phone=UNUSED_PHONE).status == 400
    assert get(path, headers={"tenantId": "999999"}, phone=UNUSED_PHONE).status == 400
    assert get(path, headers={"tenantId": str(hospital.tenant_id)}).error == "phone：必填"


def test_expired_rows_are_deleted_after_a_day(hospital: Hospital, read_sms: ReadSms, later: Any) -> None:
    later(0)
    request_code(hospital)
    read_sms(UNUSED_PHONE)
    counted = "SELECT (SELECT COUNT(*) FROM codes WHERE tenant_id = %(id)s) + COUNT(*) FROM code_requests"

    def count_rows() -> int:
        sql = f"{counted} WHERE tenant_id = %(id)s"
        return int(mysql.autocommit.fetch_value(sql, id=hospital.tenant_id))

    later(23 * 60)
    cleanup.delete_expired()
    assert count_rows() == 2
    later(24 * 60 + 6)
    cleanup.delete_expired()
    assert count_rows() == 0
