"""What codes by SMS may cost: a budget of each hospital for an hour, and of each phone for all hospitals."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chalicelib import clock, logs
from chalicelib.adapters import mysql
from chalicelib.identity import code_limits
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.settings import settings
from tests.accounts.test_member_codes import OWNERS_PHONE, claim_identity, request
from tests.support import factories
from tests.support.accounts_client import (
    LOGIN,
    REGISTER_CODE,
    RESET_CODE,
    UNUSED_PHONE,
    draw_address,
    post_from,
    request_code,
)
from tests.support.factories import PASSWORD, Hospital
from tests.support.metric_filters import get_pattern, matches
from tests.support.sms_provider import Provider, provider
from tests.support.threads import run_in_threads

__all__ = ["provider"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("fast_hashes")]

HOME = "203.0.113.7"


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets the limits."""
    return lambda **limits: monkeypatch.setattr(code_limits, "settings", replace(settings, **limits))


def request_codes(hospital: Hospital, number: int, first: int = 0) -> list[int]:
    """Request codes for so many phones, each from an address of its own."""
    phones = [f"1381{n:07}" for n in range(first, first + number)]
    return [request_code(hospital, phone, address=draw_address()).status for phone in phones]


def count_requests(hospital: Hospital) -> int:
    sql = "SELECT COUNT(*) FROM code_requests WHERE tenant_id = %(id)s"
    return int(mysql.autocommit.fetch_value(sql, id=hospital.tenant_id))


class TestHospital:
    """The budget of a hospital."""

    def test_many_addresses_cause_no_more_sms_than_the_budget(
        self, hospital: Hospital, provider: Provider, limit: Any
    ) -> None:
        limit(hourly_codes_per_hospital=7)
        assert request_codes(hospital, 7) == [200] * 7
        provider.wait(60)
        response = request_code(hospital, address=draw_address())
        assert (response.status, response.code, response.headers["Retry-After"]) == (429, 10006, "3540")
        assert response.error == "医院的短信发送量已达上限，请稍后再试"
        assert request_codes(hospital, 5, first=7) == [429] * 5
        outbox.run_due_jobs(Queue.EXTERNAL)
        assert len(provider.sent) == count_requests(hospital) == 7
        provider.wait(3540)
        assert request_codes(hospital, 8, first=20) == [200] * 7 + [429]

    @pytest.mark.usefixtures("provider")
    def test_alarm_is_raised(self, hospital: Hospital, limit: Any, caplog: pytest.LogCaptureFixture) -> None:
        limit(hourly_codes_per_hospital=1)
        caplog.handler.setFormatter(logs.JsonFormatter())
        pattern = get_pattern("SmsBudgetUsedUp")

        def find_alarms() -> list[dict[str, Any]]:
            lines = [json.loads(line) for line in caplog.text.splitlines()]
            return [line for line in lines if matches(pattern, line)]

        assert request_codes(hospital, 1) == [200]
        assert find_alarms() == []
        assert request_codes(hospital, 1, first=1) == [429]
        assert [line["tenant_id"] for line in find_alarms()] == [hospital.tenant_id]

    def test_owner_gets_a_code_where_known(self, hospital: Hospital, provider: Provider, limit: Any) -> None:
        lin = hospital.lin
        assert post_from(HOME, LOGIN, lin.tenant_id, phone=lin.phone, password=PASSWORD).status == 200
        limit(hourly_codes_per_hospital=1)
        assert request_codes(hospital, 2) == [200, 429]
        assert request_code(hospital, lin.phone, RESET_CODE, draw_address()).status == 429
        assert request_code(hospital, lin.phone, RESET_CODE, HOME).status == 200
        outbox.run_due_jobs(Queue.EXTERNAL)
        assert lin.phone in [phone for phone, _ in provider.sent]

    @pytest.mark.usefixtures("provider")
    def test_each_hospital_has_its_own(self, hospital: Hospital, other_hospital: Hospital, limit: Any) -> None:
        limit(hourly_codes_per_hospital=1)
        assert request_codes(hospital, 2) == [200, 429]
        assert request_codes(other_hospital, 2, first=2) == [200, 429]

    @pytest.mark.usefixtures("provider")
    def test_concurrent_requests_do_not_exceed_it(self, hospital: Hospital, limit: Any) -> None:
        limit(hourly_codes_per_hospital=3)
        statuses = run_in_threads([partial(request_codes, hospital, 1, first=n) for n in range(8)])
        assert sorted(statuses) == [[200]] * 3 + [[429]] * 5


class TestPhone:
    """The budget of a phone for all hospitals."""

    @pytest.fixture
    def third_hospital(self) -> Hospital:
        return factories.create_hospital("第三医院")

    def test_codes_of_all_hospitals_count(
        self,
        hospital: Hospital,
        other_hospital: Hospital,
        third_hospital: Hospital,
        provider: Provider,
        limit: Any,
    ) -> None:
        limit(daily_codes_per_phone=2)
        hospitals = (hospital, other_hospital, third_hospital)
        responses = [request_code(one, UNUSED_PHONE, REGISTER_CODE, draw_address()) for one in hospitals]
        assert [response.status for response in responses] == [200, 200, 429]
        assert responses[2].headers["Retry-After"] == str(12 * 3600)
        assert request_codes(third_hospital, 1) == [200]
        assert count_requests(third_hospital) == 1
        provider.wait(12 * 3600)
        assert request_code(third_hospital, UNUSED_PHONE, REGISTER_CODE, draw_address()).status == 200

    @pytest.mark.usefixtures("provider")
    def test_owner_gets_a_code_where_known(self, hospital: Hospital, other_hospital: Hospital, limit: Any) -> None:
        lin = hospital.lin
        assert post_from(HOME, LOGIN, lin.tenant_id, phone=lin.phone, password=PASSWORD).status == 200
        limit(daily_codes_per_phone=1)
        statuses = [request_code(one, lin.phone, address=draw_address()).status for one in (other_hospital, hospital)]
        assert statuses == [200, 429]
        assert request_code(hospital, lin.phone, RESET_CODE, HOME).status == 200

    def test_code_to_the_phone_of_a_file_is_left_out_silently(
        self, hospital: Hospital, other_hospital: Hospital, provider: Provider, limit: Any
    ) -> None:
        limit(daily_codes_per_phone=1)
        member_id = claim_identity(hospital)
        assert request_code(other_hospital, OWNERS_PHONE, address=draw_address()).status == 200
        outbox.run_due_jobs(Queue.EXTERNAL)
        request(hospital, member_id)
        assert len(provider.sent) == 1
        provider.wait(clock.DAY // clock.SECOND)
        request(hospital, member_id)
        assert [phone for phone, _ in provider.sent] == [OWNERS_PHONE] * 2

    def test_no_phone_is_stored_for_it(self, hospital: Hospital, provider: Provider) -> None:
        request_code(hospital, UNUSED_PHONE)
        assert provider.sent == []
        rows = mysql.autocommit.fetch_all("SELECT subject FROM quotas")
        assert rows
        assert not [row for row in rows if UNUSED_PHONE.encode() in row["subject"]]
