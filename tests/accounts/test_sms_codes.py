"""SMS codes over HTTP: limits of sending and guessing."""

import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import clock, logs
from chalicelib.adapters import mysql, redis, sms
from chalicelib.identity import cleanup, sms_codes
from chalicelib.identity.sms_codes import CodePurpose
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.settings import settings
from tests.accounts.conftest import ReadSms
from tests.support.accounts_client import (
    REGISTER_CODE,
    RESET_CODE,
    UNUSED_PHONE,
    VALIDATE,
    get_other_code,
    post_as_visitor,
    register,
    request_code,
)
from tests.support.client import get
from tests.support.factories import Hospital
from tests.support.faults.final_state import is_row_lock_waiting, wait_until

pytestmark = pytest.mark.usefixtures("fast_hashes")
both_paths = pytest.mark.parametrize("path", [REGISTER_CODE, RESET_CODE])


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return later(minutes), which sets the clock to so many minutes after the start of the test."""
    began = clock.now()
    return lambda minutes: monkeypatch.setattr(clock, "now", lambda: began + int(minutes * 60 * clock.SECOND))


@pytest.fixture
def many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "settings", replace(settings, database_wait_seconds=60))  # they queue for 16


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
    monkeypatch.setattr(sms_codes, "settings", replace(settings, hourly_codes_per_address=3))
    phones = [f"1380000010{n}" for n in range(5)]
    assert [request_code(hospital, phone).status for phone in phones] == [200] * 3 + [429] * 2
    assert request_code(hospital, phones[4], address="203.0.113.8").status == 200


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
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", record_comparison)
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


def test_failing_provider_is_retried_with_another_code(
    hospital: Hospital, read_sms: ReadSms, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(logs.JsonFormatter())

    def fail(*_: str) -> None:
        raise sms.SmsError("isv.BUSINESS_LIMIT_CONTROL")

    with monkeypatch.context() as broken:
        broken.setitem(sms.PROVIDERS, "file", fail)
        assert request_code(hospital).status == 200
        wait_until(lambda: '"provider_code": "isv.BUSINESS_LIMIT_CONTROL"' in caplog.text)
    in_10_s = clock.now() + 10 * clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: in_10_s)
    outbox.run_due_jobs(Queue.EXTERNAL)
    [code] = read_sms(UNUSED_PHONE)
    assert register(hospital, code).status == 200


def test_late_code_is_not_sent(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms, "send", lambda *_: pytest.fail("the request is out of date"))
    sms_codes.generate_and_send(
        hospital.tenant_id, {"phone": UNUSED_PHONE, "purpose": CodePurpose.SIGN_UP, "until": clock.now() - 1}
    )


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
