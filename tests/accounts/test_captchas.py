"""Captchas before codes by SMS, verified by a fake of Tencent that checks our signature."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import clock, logs
from chalicelib.adapters import mysql, tencent_captcha
from chalicelib.identity import captchas, code_limits
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.settings import settings
from devstack.fakes import tencent_captcha as fake_captcha
from devstack.fakes.tencent_captcha import APP_ID, TencentCaptcha
from tests.support.accounts_client import (
    LOGIN,
    REGISTER_CODE,
    RESET_CODE,
    build_tenant_header,
    draw_address,
    post_from,
    request_code,
)
from tests.support.client import ApiResponse, build_event, check_envelope, invoke, post
from tests.support.factories import PASSWORD, Hospital
from tests.support.metric_filters import get_pattern, matches
from tests.support.sms_provider import Provider, provider

__all__ = ["provider"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("fast_hashes", "provider")]

FREE = 2
both_paths = pytest.mark.parametrize("path", [REGISTER_CODE, RESET_CODE])


@pytest.fixture
def tencent(monkeypatch: pytest.MonkeyPatch) -> Iterator[TencentCaptcha]:
    """A fake of Tencent; captchas are required."""
    with fake_captcha.run_server() as tencent:
        captcha = replace(settings.captcha, app_id=APP_ID, daily_free_codes=FREE, endpoint_url=tencent.url)
        configure(monkeypatch, captcha)
        yield tencent


def configure(monkeypatch: pytest.MonkeyPatch, captcha: Any) -> None:
    for module in (captchas, tencent_captcha):
        monkeypatch.setattr(module, "settings", replace(settings, captcha=captcha))


CountAlarms = Callable[[str], int]


@pytest.fixture
def count_alarms(caplog: pytest.LogCaptureFixture) -> CountAlarms:
    """Return a function that counts the log lines of this test that feed an alarm."""
    caplog.handler.setFormatter(logs.JsonFormatter())

    def count(alarm: str) -> int:
        lines = [json.loads(line) for line in caplog.text.splitlines()]
        return len([line for line in lines if matches(get_pattern(alarm), line)])

    return count


@pytest.fixture
def address() -> str:
    return draw_address()


def request(
    hospital: Hospital, phone: str, address: str, captcha: tuple[str, str] | None = None, path: str = REGISTER_CODE
) -> ApiResponse:
    fields = {"captchaTicket": captcha[0], "captchaRandstr": captcha[1]} if captcha else {}
    event = build_event("GET", path, build_tenant_header(hospital), {"phone": phone, **fields})
    event["requestContext"]["identity"]["sourceIp"] = address
    response = invoke(event)
    check_envelope(response)
    return response


def use_up_free_codes(hospital: Hospital, address: str) -> None:
    phones = [f"1382000000{n}" for n in range(FREE)]
    assert [request(hospital, phone, address).status for phone in phones] == [200] * FREE


def count_rejections() -> int:
    """Return how many networks had requests rejected."""
    sql = "SELECT COUNT(*) FROM quotas WHERE tenant_id = 0 AND subject LIKE 'rejected:%%'"
    return int(mysql.autocommit.fetch_value(sql))


def count_requests(hospital: Hospital) -> int:
    sql = "SELECT COUNT(*) FROM code_requests WHERE tenant_id = %(id)s"
    return int(mysql.autocommit.fetch_value(sql, id=hospital.tenant_id))


@both_paths
def test_captcha_is_required_after_a_few_codes(
    hospital: Hospital, tencent: TencentCaptcha, address: str, path: str
) -> None:
    use_up_free_codes(hospital, address)
    assert tencent.calls == 0
    response = request(hospital, "13820000009", address, path=path)
    assert (response.status, response.code, response.error) == (403, 10108, "请先完成图形验证")
    assert count_requests(hospital) == FREE
    assert request(hospital, "13820000009", address, tencent.issue_ticket(), path).status == 200
    assert tencent.addresses == [address]
    assert request(hospital, "13820000009", draw_address(), path=path).status == 200, "another network"


def test_hospitals_share_the_free_codes_of_a_network(
    hospital: Hospital, other_hospital: Hospital, tencent: TencentCaptcha, address: str
) -> None:
    assert tencent.url
    use_up_free_codes(hospital, address)
    assert request(other_hospital, "13820000000", address).code == 10108


def test_free_codes_come_back_during_the_day(
    hospital: Hospital, tencent: TencentCaptcha, address: str, provider: Provider
) -> None:
    assert tencent.url
    use_up_free_codes(hospital, address)
    provider.wait(24 * 3600 / FREE - 1)
    assert request(hospital, "13820000009", address).code == 10108
    provider.wait(1)
    assert request(hospital, "13820000009", address).status == 200
    assert request(hospital, "13820000008", address).code == 10108


def test_each_ticket_is_valid_once(hospital: Hospital, tencent: TencentCaptcha, address: str) -> None:
    use_up_free_codes(hospital, address)
    captcha = tencent.issue_ticket()
    assert request(hospital, "13820000008", address, captcha).status == 200
    response = request(hospital, "13820000009", address, captcha)
    assert (response.status, response.code, response.error) == (403, 10108, "图形验证未通过或已过期，请重新验证")


@pytest.mark.parametrize("kind", ["forged", "randstr", "expired", "recovery", "foreign recovery", "evil"])
def test_unsolved_captcha_is_rejected_and_counts(
    hospital: Hospital,
    tencent: TencentCaptcha,
    address: str,
    kind: str,
    provider: Provider,
) -> None:
    use_up_free_codes(hospital, address)
    ticket, randstr = tencent.issue_ticket()
    match kind:
        case "forged":
            ticket = "tr03forged*"
        case "randstr":
            randstr = "@other"
        case "expired":
            provider.wait(301)
        case "recovery":  # what Tencent's script gives if the user cannot reach Tencent, and anybody can write
            ticket = f"trerror_1001_{APP_ID}_{clock.now() // clock.SECOND}"
        case "foreign recovery":
            ticket = "trerror_1001_1_1"
        case "evil":
            tencent.evil_level = 100
    assert request(hospital, "13820000009", address, (ticket, randstr)).code == 10108
    assert count_requests(hospital) == FREE
    assert count_rejections() == 1
    tencent.evil_level = 0
    assert request(hospital, "13820000009", address, tencent.issue_ticket()).status == 200


@pytest.mark.usefixtures("tencent")
def test_missing_captcha_counts(hospital: Hospital, address: str) -> None:
    use_up_free_codes(hospital, address)
    assert request(hospital, "13820000009", address).code == 10108
    assert count_rejections() == 1


@pytest.mark.parametrize("failure", ["http", "malformed", "InternalError", "AuthFailure.SignatureFailure"])
def test_codes_are_sent_without_a_captcha_while_tencent_fails(
    hospital: Hospital,
    tencent: TencentCaptcha,
    address: str,
    failure: str,
    caplog: pytest.LogCaptureFixture,
    count_alarms: CountAlarms,
    provider: Provider,
) -> None:
    use_up_free_codes(hospital, address)
    tencent.failure = failure
    assert request(hospital, "13820000009", address).code == 10108, "the page still has to ask"
    assert request(hospital, "13820000009", address, ("tr03anything*", "@abcd")).status == 200
    outbox.run_due_jobs(Queue.EXTERNAL)
    assert "13820000009" in [phone for phone, _ in provider.sent]
    assert count_alarms("CaptchaFailing") == 1
    assert count_alarms("CaptchaRejected") == 0
    assert "tr03anything" not in caplog.text


def test_codes_are_sent_while_tencent_hangs(
    hospital: Hospital, tencent: TencentCaptcha, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_up_free_codes(hospital, address)
    monkeypatch.setattr(tencent_captcha, "TIMEOUT_SECONDS", 0.1)
    tencent.accepting.clear()
    assert request(hospital, "13820000009", address, tencent.issue_ticket()).status == 200


@pytest.mark.usefixtures("tencent")
def test_other_limits_remain_while_tencent_fails(
    hospital: Hospital, tencent: TencentCaptcha, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_address=FREE + 1))
    use_up_free_codes(hospital, address)
    tencent.failure = "InternalError"
    captcha = ("tr03anything*", "@abcd")
    assert [request(hospital, f"1382000001{n}", address, captcha).status for n in range(2)] == [200, 429]


@pytest.mark.parametrize("failure", ["InvalidParameterValue", "MissingParameter", "UnknownParameter.X"])
def test_nonsense_does_not_count_as_a_failure_of_tencent(
    hospital: Hospital, tencent: TencentCaptcha, address: str, failure: str, count_alarms: CountAlarms
) -> None:
    use_up_free_codes(hospital, address)
    tencent.failure = failure
    assert request(hospital, "13820000009", address, tencent.issue_ticket()).code == 10108
    assert [count_alarms(alarm) for alarm in ("CaptchaFailing", "CaptchaRejected")] == [0, 1]


@pytest.mark.parametrize("field", ["key_id", "key_secret", "app_secret", "app_id"])
def test_wrong_keys_raise_an_alarm(
    hospital: Hospital,
    tencent: TencentCaptcha,
    address: str,
    field: str,
    count_alarms: CountAlarms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether codes are then sent without, or none is."""
    ours = replace(settings.captcha, app_id=APP_ID, daily_free_codes=FREE, endpoint_url=tencent.url)
    changes: dict[str, Any] = {field: "190000002" if field == "app_id" else "another"}
    configure(monkeypatch, replace(ours, **changes))
    use_up_free_codes(hospital, address)
    response = request(hospital, "13820000009", address, tencent.issue_ticket())
    alarms = [count_alarms(alarm) for alarm in ("CaptchaFailing", "CaptchaRejected")]
    if field in ("app_secret", "app_id"):
        assert (response.code, alarms) == (10108, [0, 1])
    else:
        assert (response.status, tencent.addresses, alarms) == (200, [], [1, 0]), "the call failed"


@pytest.mark.usefixtures("tencent")
def test_whether_one_is_required_does_not_reveal_where_the_owner_is_known(hospital: Hospital, address: str) -> None:
    lin = hospital.lin
    assert post_from(address, LOGIN, lin.tenant_id, phone=lin.phone, password=PASSWORD).status == 200
    use_up_free_codes(hospital, address)
    phones = (lin.phone, hospital.wang.phone, "13820000009")
    assert [request(hospital, phone, address, path=RESET_CODE).code for phone in phones] == [10108] * 3


@pytest.mark.usefixtures("tencent")
def test_owners_codes_use_up_the_free_ones_of_their_network(hospital: Hospital, address: str) -> None:
    for person in (hospital.lin, hospital.wang):
        assert post_from(address, LOGIN, person.tenant_id, phone=person.phone, password=PASSWORD).status == 200
        assert request(hospital, person.phone, address, path=RESET_CODE).status == 200
    assert request(hospital, "13820000009", address).code == 10108


def test_solved_captcha_passes_a_used_up_network(
    hospital: Hospital, tencent: TencentCaptcha, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody in a hospital's network keeps others in it from signing up."""
    monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_address=1))
    assert request(hospital, "13820000001", address).status == 200
    assert request(hospital, "13820000002", address).code == 10108, "although it has a free code left"
    for number in range(3):
        assert request(hospital, f"1382000001{number}", address, tencent.issue_ticket()).status == 200


def test_many_rejected_requests_require_captchas_in_their_network(
    hospital: Hospital, tencent: TencentCaptcha, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_address=3))
    assert [request(hospital, "13820000001", address).status for _ in range(4)] == [200] + [429] * 3
    assert request(hospital, "13820000002", address).code == 10108
    assert request(hospital, "13820000002", address, tencent.issue_ticket()).status == 200
    assert request(hospital, "13820000002", draw_address()).status == 200


@both_paths
def test_captchas_protect_half_of_the_budget(
    hospital: Hospital, tencent: TencentCaptcha, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many networks the attacker has."""
    monkeypatch.setattr(code_limits, "settings", replace(settings, hourly_codes_per_hospital=7))
    codes = [request(hospital, f"1382000000{number}", draw_address(), path=path).code for number in range(6)]
    assert codes == [0] * 4 + [10108] * 2
    assert request(hospital, "13820000009", draw_address(), tencent.issue_ticket(), path).status == 200


@pytest.mark.usefixtures("tencent")
def test_signed_in_users_need_no_captcha(hospital: Hospital) -> None:
    sent_from = "203.0.113.7"
    mysql.autocommit.execute("DELETE FROM quotas")
    use_up_free_codes(hospital, sent_from)
    assert request(hospital, "13820000009", sent_from).code == 10108
    path = "/pati_service/patient_service/change_phone/code"
    assert post(path, hospital.lin.token, phone="13820000008").status == 200


def test_no_captcha_is_required_by_default(hospital: Hospital, address: str) -> None:
    assert {request_code(hospital, f"138200001{n:02}", address=address).status for n in range(20)} == {200}


@both_paths
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("captchaTicket", "x" * 2049),
        ("captchaTicket", "tr03 *"),
        ("captchaTicket", "票"),
        ("captchaRandstr", "x" * 129),
        ("captchaRandstr", "\x00"),
    ],
)
def test_invalid_captcha_is_named(hospital: Hospital, path: str, field: str, value: str) -> None:
    fields = {"phone": "13820000000", "captchaTicket": "tr03a*", "captchaRandstr": "@abcd", field: value}
    response = invoke(build_event("GET", path, build_tenant_header(hospital), fields))
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, field)


@pytest.mark.parametrize("value", ["", "null", "undefined"])
def test_empty_captcha_is_none(hospital: Hospital, tencent: TencentCaptcha, address: str, value: str) -> None:
    use_up_free_codes(hospital, address)
    assert request(hospital, "13820000009", address, (value, value)).error == "请先完成图形验证"
    assert tencent.calls == 0
