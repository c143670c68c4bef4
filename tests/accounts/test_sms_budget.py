"""What codes by SMS may cost: a budget of each hospital for an hour, and of each phone for all hospitals."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chalicelib import clock, logs
from chalicelib.adapters import mysql
from chalicelib.identity import code_limits, code_store, known_networks
from chalicelib.identity.code_store import Budget, CodeKey, CodePurpose
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people import phones
from chalicelib.people.roles import PersonKind
from chalicelib.settings import settings
from tests.accounts.test_member_codes import OWNERS_PHONE, claim_identity, request
from tests.support import factories
from tests.support.accounts_client import (
    LOGIN,
    PATIENT_SERVICE_PATH,
    REGISTER_CODE,
    RESET_CODE,
    UNUSED_PHONE,
    draw_address,
    post_from,
    request_code,
)
from tests.support.client import build_event, invoke
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.metric_filters import get_pattern, matches
from tests.support.sms_provider import Provider, provider
from tests.support.threads import run_in_threads

__all__ = ["provider"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("fast_hashes")]

HOME = "203.0.113.7"
CHANGE_CODE, CLOSE_CODE = f"{PATIENT_SERVICE_PATH}/change_phone/code", f"{PATIENT_SERVICE_PATH}/close_account/code"
LINS_PHONE = "13800000001"


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


def request_by_owner(person: Person, path: str, address: str, **body: Any) -> int:
    event = build_event("POST", path, {"token": person.token}, body=json.dumps(body))
    event["requestContext"]["identity"]["sourceIp"] = address
    return invoke(event).status


def request_resets(numbers: list[str], hospital: Hospital) -> list[int]:
    """Request resets, each from an address of its own, and send the codes."""
    statuses = [request_code(hospital, phone, RESET_CODE, draw_address()).status for phone in numbers]
    outbox.run_due_jobs(Queue.EXTERNAL)
    return statuses


FindAlarms = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def find_alarms(caplog: pytest.LogCaptureFixture) -> FindAlarms:
    """Return a function that returns the log lines of this test that raise the alarm."""
    caplog.handler.setFormatter(logs.JsonFormatter())
    pattern = get_pattern("SmsBudgetUsedUp")

    def find() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in caplog.text.splitlines()]
        return [line for line in lines if matches(pattern, line)]

    return find


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
    def test_alarm_is_raised(self, hospital: Hospital, limit: Any, find_alarms: FindAlarms) -> None:
        limit(hourly_codes_per_hospital=1)
        assert request_codes(hospital, 1) == [200]
        assert find_alarms() == []
        assert request_codes(hospital, 1, first=1) == [429]
        assert [line["tenant_id"] for line in find_alarms()] == [hospital.tenant_id]

    def test_owner_gets_a_code_where_known(self, hospital: Hospital, provider: Provider, limit: Any) -> None:
        lin = hospital.lin
        assert post_from(HOME, LOGIN, lin.tenant_id, phone=lin.phone, password=PASSWORD).status == 200
        limit(hourly_codes_per_hospital=1)
        assert request_codes(hospital, 2) == [200, 429]
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


class TestOwners:
    """The budget of those who are signed in, or known where they are."""

    @pytest.mark.usefixtures("provider")
    def test_signed_in_user_does_not_use_up_the_strangers_budget(self, hospital: Hospital, limit: Any) -> None:
        limit(hourly_codes_per_hospital=2)
        assert [request_by_owner(hospital.lin, CLOSE_CODE, draw_address()), *request_codes(hospital, 3)] == [
            200,
            200,
            200,
            429,
        ]
        assert request_by_owner(hospital.wang, CLOSE_CODE, draw_address()) == 200

    def test_signed_in_user_gets_few_codes_however_many_networks(self, hospital: Hospital, provider: Provider) -> None:
        paths = [CLOSE_CODE, CHANGE_CODE] * 20
        assert [request_by_owner(hospital.lin, path, draw_address()) for path in paths] == [200] + [429] * 39
        sent = 1
        for path in paths * 3:
            provider.wait(15 * 60)
            sent += request_by_owner(hospital.lin, path, draw_address()) == 200
        assert sent == 20, "ten a day, in 30 hours"
        outbox.run_due_jobs(Queue.EXTERNAL)

    @pytest.mark.usefixtures("provider")
    def test_strangers_do_not_keep_a_signed_in_user_from_a_code(self, hospital: Hospital, limit: Any) -> None:
        limit(hourly_codes_per_hospital=1, hourly_codes_per_address=1)
        assert request_code(hospital, hospital.lin.phone, RESET_CODE, HOME).status == 200
        assert request_codes(hospital, 2) == [200, 429]
        assert request_by_owner(hospital.lin, CLOSE_CODE, HOME) == 200

    def test_owner_gets_thirty_codes_a_day_in_all_networks_where_known(
        self, hospital: Hospital, provider: Provider
    ) -> None:
        key = (hospital.tenant_id, PersonKind.PATIENT, phones.compute_blind_index(hospital.tenant_id, LINS_PHONE))
        homes = [f"198.51.100.{number}" for number in range(4)]
        for home in homes:
            known_networks.remember(mysql.autocommit, *key, home)
        assert hospital.lin.phone == LINS_PHONE
        statuses = []
        for home in homes * 10:
            statuses.append(request_code(hospital, LINS_PHONE, RESET_CODE, home).status)
            provider.wait(13 * 60 / 4)
        assert statuses.count(200) == 30

    @pytest.mark.usefixtures("provider")
    def test_their_budget_is_five_times_as_large(self, hospital: Hospital, limit: Any) -> None:
        limit(hourly_codes_per_hospital=1)
        key = CodeKey(hospital.tenant_id, b"\x01" * 32, CodePurpose.CLOSE_ACCOUNT)
        for _ in range(5):
            code_store.insert_request(mysql.autocommit, key, HOME, None, Budget.OWNERS, clock.now())
        assert request_by_owner(hospital.lin, CLOSE_CODE, HOME) == 429
        assert request_codes(hospital, 1) == [200]

    @pytest.mark.usefixtures("provider")
    def test_alarm_counts_their_codes(self, hospital: Hospital, limit: Any, find_alarms: FindAlarms) -> None:
        limit(hourly_codes_per_hospital=2)
        assert request_by_owner(hospital.lin, CLOSE_CODE, HOME) == 200
        assert request_codes(hospital, 1) == [200]
        assert find_alarms() == []
        assert request_by_owner(hospital.wang, CLOSE_CODE, HOME) == 200
        [line] = find_alarms()
        assert (line["owners"], line["strangers"]) == (1, 1)


class TestNothingIsSent:
    """Resets for phones without an account cost nothing, and nobody learns which those are."""

    def test_requests_that_send_nothing_are_not_charged(
        self, hospital: Hospital, provider: Provider, limit: Any
    ) -> None:
        limit(hourly_codes_per_hospital=2)
        assert request_resets([f"1381{number:07}" for number in range(10)], hospital) == [200] * 10
        assert provider.sent == []
        assert request_resets([hospital.lin.phone, hospital.wang.phone], hospital) == [200] * 2
        assert len(provider.sent) == 2
        assert request_codes(hospital, 3) == [200, 200, 429]

    def test_end_of_the_budget_is_silent(
        self, hospital: Hospital, provider: Provider, limit: Any, find_alarms: FindAlarms
    ) -> None:
        limit(hourly_codes_per_hospital=1)
        assert request_resets([hospital.lin.phone, hospital.wang.phone, UNUSED_PHONE], hospital) == [200] * 3
        assert [phone for phone, _ in provider.sent] == [hospital.lin.phone]
        assert [line["hidden"] for line in find_alarms()] == [1]
        provider.wait(3600)
        assert request_resets([hospital.wang.phone], hospital) == [200]
        assert [phone for phone, _ in provider.sent] == [hospital.lin.phone, hospital.wang.phone]

    def test_code_that_is_not_sent_is_not_valid(self, hospital: Hospital, provider: Provider, limit: Any) -> None:
        limit(hourly_codes_per_hospital=1)
        request_resets([hospital.wang.phone, hospital.lin.phone], hospital)
        assert [phone for phone, _ in provider.sent] == [hospital.wang.phone]
        rows = mysql.autocommit.fetch_all("SELECT * FROM codes WHERE tenant_id = %(id)s", id=hospital.tenant_id)
        assert len(rows) == 2, "checking one takes as long"

    def test_retry_is_charged_once(self, hospital: Hospital, provider: Provider, limit: Any) -> None:
        limit(hourly_codes_per_hospital=2)
        provider.script = ["lose", "lose", "accept"]
        request_resets([hospital.lin.phone], hospital)
        assert len(provider.sent) == 3
        request_resets([hospital.wang.phone], hospital)
        assert len(provider.sent) == 4

    def test_sign_ups_do_not_keep_users_from_a_reset(self, hospital: Hospital, provider: Provider, limit: Any) -> None:
        limit(hourly_codes_per_hospital=1)
        assert request_codes(hospital, 2) == [200, 429]
        assert request_resets([hospital.lin.phone], hospital) == [200]
        assert hospital.lin.phone in [phone for phone, _ in provider.sent]

    def test_codes_to_the_phone_of_a_file_have_this_budget(
        self, hospital: Hospital, provider: Provider, limit: Any
    ) -> None:
        limit(hourly_codes_per_hospital=1)
        request_resets([hospital.wang.phone], hospital)
        request(hospital, claim_identity(hospital))
        assert [phone for phone, _ in provider.sent] == [hospital.wang.phone]


class TestAccount:
    """Signed-in users who request codes for phones that are not theirs yet."""

    @pytest.mark.usefixtures("provider")
    def test_used_up_network_does_not_limit_them(self, hospital: Hospital, limit: Any) -> None:
        limit(hourly_codes_per_address=1)
        statuses = [request_code(hospital, f"1381000000{number}", address=HOME).status for number in range(2)]
        assert statuses == [200, 429]
        assert request_by_owner(hospital.lin, CHANGE_CODE, HOME, phone="13820000001") == 200

    def test_they_get_twenty_codes_a_day(self, hospital: Hospital, provider: Provider) -> None:
        statuses = [
            request_by_owner(hospital.lin, CHANGE_CODE, draw_address(), phone=f"1382{number:07}")
            for number in range(22)
        ]
        assert statuses == [200] * 20 + [429] * 2
        assert request_by_owner(hospital.wang, CHANGE_CODE, draw_address(), phone="13829999999") == 200
        provider.wait(24 * 3600 / 20)
        assert request_by_owner(hospital.lin, CHANGE_CODE, draw_address(), phone="13829999999") == 200


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
