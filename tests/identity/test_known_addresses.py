"""Nobody is locked out by strangers: an address from which somebody has signed in has tries of its own."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import attempts, cleanup
from tests.accounts.conftest import ReadSms, read_sms
from tests.staff.test_login import PATH as STAFF
from tests.staff.test_login import reset as reset_by_admin
from tests.support.accounts_client import RESET, RESET_CODE, request_code
from tests.support.client import Answer, build_event, check_envelope, invoke
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes

__all__ = ["fast_hashes", "read_sms"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("fast_hashes")]

PATIENTS = "/pati_service/patient_service/login"
HOME, AWAY = "203.0.113.7", "198.51.100.200"
NEW = "Anderes-12345"
WAYS_OUT = {PATIENTS: "或用短信验证码重置密码", STAFF: "或请管理员重置密码"}

Later = Callable[[int], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """later(days): stop the clock that long after the test began."""
    began = clock.now()
    return lambda days: monkeypatch.setattr(clock, "now", lambda: began + days * clock.DAY)


@pytest.fixture(params=[PATIENTS, STAFF])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def owner(hospital: Hospital, path: str) -> Person:
    return hospital.lin if path == PATIENTS else hospital.chen


def post_from(address: str, path: str, tenant_id: int, **body: Any) -> Answer:
    headers = {"tenantId": str(tenant_id), "Content-Type": "application/json"}
    request = build_event("POST", path, headers, body=json.dumps(body))
    request["requestContext"]["identity"]["sourceIp"] = address
    answer = invoke(request)
    check_envelope(answer)
    return answer


def sign_in(path: str, owner: Person, address: str, password: str = PASSWORD) -> Answer:
    return post_from(address, path, owner.tenant_id, phone=owner.phone, password=password)


def strangers_try(path: str, owner: Person) -> None:
    """From so many addresses that no more is let in from elsewhere."""
    tries = attempts.MAX_TRIES_PER_PHONE
    wrong = [sign_in(path, owner, f"198.51.100.{n}", "wrong").status for n in range(tries + 1)]
    assert wrong == [401] * tries + [429]


def test_an_owner_signs_in_from_where_they_have_before_whatever_strangers_try(path: str, owner: Person) -> None:
    assert sign_in(path, owner, HOME).status == 200
    strangers_try(path, owner)
    assert sign_in(path, owner, HOME, "wrong").status == 401
    assert sign_in(path, owner, HOME).status == 200


def test_from_elsewhere_they_are_told_of_a_way_in(path: str, owner: Person) -> None:
    sign_in(path, owner, HOME)
    strangers_try(path, owner)
    answer = sign_in(path, owner, AWAY)
    assert (answer.status, answer.error) == (429, f"尝试次数过多，请15分钟后再试，{WAYS_OUT[path]}")


def test_a_known_address_has_five_tries_as_any(path: str, owner: Person) -> None:
    sign_in(path, owner, HOME)
    strangers_try(path, owner)
    assert [sign_in(path, owner, HOME, "wrong").status for _ in range(6)] == [401] * 5 + [429]
    assert sign_in(path, owner, HOME).status == 429


def test_what_is_known_of_one_phone_helps_no_other(path: str, owner: Person, hospital: Hospital) -> None:
    other = hospital.wang if path == PATIENTS else hospital.zhou
    sign_in(path, other, HOME)
    strangers_try(path, owner)
    assert sign_in(path, owner, HOME).status == 429


def test_an_address_is_known_for_sixty_days(path: str, owner: Person, later: Later) -> None:
    later(0)
    sign_in(path, owner, HOME)
    for days, status in ((59, 200), (59 + 61, 429)):
        later(days)
        cleanup.delete_expired()
        strangers_try(path, owner)
        assert sign_in(path, owner, HOME).status == status


def test_what_is_no_longer_known_goes(owner: Person, path: str, later: Later) -> None:
    later(0)
    sign_in(path, owner, HOME)
    for days, left in ((59, 1), (61, 0)):
        later(days)
        cleanup.delete_expired()
        subjects = "SELECT COUNT(*) FROM attempts WHERE tenant_id = %(id)s AND subject LIKE %(phone)s"
        phone = f"%{owner.phone}%".encode()
        rows = mysql.autocommit.fetch_value(subjects, id=owner.tenant_id, phone=phone)  # called in this round
        assert rows == left


def test_a_reset_by_code_opens_and_keeps_open(hospital: Hospital, read_sms: ReadSms) -> None:
    lin = hospital.lin
    strangers_try(PATIENTS, lin)
    request_code(hospital, lin.phone, RESET_CODE)
    [code] = read_sms(lin.phone)
    body = {"phone": lin.phone, "verCode": code, "newPassword": NEW}
    assert post_from(AWAY, RESET, hospital.tenant_id, **body).status == 200
    strangers_try(PATIENTS, lin)
    assert sign_in(PATIENTS, lin, AWAY, NEW).status == 200
    assert sign_in(PATIENTS, lin, HOME, NEW).status == 200, "whoever signs in well forgives what went before"


def test_an_admin_opens_it_for_staff(hospital: Hospital) -> None:
    chen = hospital.chen
    assert [sign_in(STAFF, chen, AWAY, "wrong").status for _ in range(6)][-1] == 429
    with_others = attempts.MAX_TRIES_PER_PHONE - attempts.MAX_TRIES
    assert [sign_in(STAFF, chen, f"198.51.100.{n}", "wrong").status for n in range(with_others + 1)][-1] == 429
    sign_in(STAFF, hospital.zhou, AWAY, "wrong")
    assert reset_by_admin(hospital, chen) == 200
    assert sign_in(STAFF, chen, AWAY, NEW).status == 200
    strangers_try(STAFF, chen)
    assert sign_in(STAFF, chen, AWAY, NEW).status == 200
