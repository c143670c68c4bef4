"""Strangers cannot lock out a phone's owner: addresses from which they have signed in have separate tries."""

from collections.abc import Callable

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import attempts, cleanup, known_networks
from chalicelib.people import phones
from tests.accounts.conftest import ReadSms, read_sms
from tests.staff.test_login import PATH as STAFF
from tests.staff.test_login import reset_password as reset_by_admin
from tests.support.accounts_client import RESET, RESET_CODE, post_from, request_code
from tests.support.client import ApiResponse
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes

__all__ = ["fast_hashes", "read_sms"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("fast_hashes")]

PATIENTS = "/pati_service/patient_service/login"
HOME, AWAY = "203.0.113.7", "198.51.100.200"
NEW = "Anderes-12345"
RESET_HINTS = {PATIENTS: "或用短信验证码重置密码", STAFF: "或请管理员重置密码"}

Later = Callable[[int], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Return a function that stops the clock a number of days after the start of the test."""
    started_at = clock.now()
    return lambda days: monkeypatch.setattr(clock, "now", lambda: started_at + days * clock.DAY)


@pytest.fixture(params=[PATIENTS, STAFF])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def owner(hospital: Hospital, path: str) -> Person:
    return hospital.lin if path == PATIENTS else hospital.chen


def sign_in(path: str, owner: Person, address: str, password: str = PASSWORD) -> ApiResponse:
    return post_from(address, path, owner.tenant_id, phone=owner.phone, password=password)


def exhaust_tries(path: str, owner: Person) -> None:
    """Guess from so many addresses that sign-ins from unknown addresses are locked."""
    tries = attempts.MAX_TRIES_PER_PHONE
    wrong = [sign_in(path, owner, f"198.51.100.{n}", "wrong").status for n in range(tries + 1)]
    assert wrong == [401] * tries + [429]


def test_owner_can_sign_in_from_a_known_address_despite_failures_elsewhere(path: str, owner: Person) -> None:
    assert sign_in(path, owner, HOME).status == 200
    exhaust_tries(path, owner)
    assert sign_in(path, owner, HOME, "wrong").status == 401
    assert sign_in(path, owner, HOME).status == 200


def test_strangers_with_five_addresses_do_not_lock_out_the_owner(path: str, owner: Person) -> None:
    """Each uses up all tries of its address, again and again."""
    assert sign_in(path, owner, HOME).status == 200
    for number in range(5):
        statuses = [sign_in(path, owner, f"198.51.100.{number}", "wrong").status for _ in range(attempts.MAX_TRIES + 2)]
        assert statuses[-1] == 429
    assert sign_in(path, owner, "198.51.100.5", "wrong").status == 429, "the phone is locked for unknown addresses"
    assert sign_in(path, owner, HOME).status == 200


def test_error_names_how_to_reset_the_password(path: str, owner: Person) -> None:
    sign_in(path, owner, HOME)
    exhaust_tries(path, owner)
    response = sign_in(path, owner, AWAY)
    assert (response.status, response.error) == (429, f"尝试次数过多，请15分钟后再试，{RESET_HINTS[path]}")


def test_known_address_has_tries_of_its_own(path: str, owner: Person) -> None:
    sign_in(path, owner, HOME)
    exhaust_tries(path, owner)
    tries = attempts.MAX_TRIES_FROM_KNOWN_NETWORK
    assert [sign_in(path, owner, HOME, "wrong").status for _ in range(tries + 1)] == [401] * tries + [429]
    assert sign_in(path, owner, HOME).status == 429


def test_address_is_known_for_one_phone_only(path: str, owner: Person, hospital: Hospital) -> None:
    other = hospital.wang if path == PATIENTS else hospital.zhou
    sign_in(path, other, HOME)
    exhaust_tries(path, owner)
    assert sign_in(path, owner, HOME).status == 429


def test_address_is_known_for_sixty_days(path: str, owner: Person, later: Later) -> None:
    later(0)
    sign_in(path, owner, HOME)
    for days, status in ((59, 200), (59 + 61, 429)):
        later(days)
        cleanup.delete_expired()
        exhaust_tries(path, owner)
        assert sign_in(path, owner, HOME).status == status


def test_expired_known_address_is_deleted(owner: Person, path: str, later: Later) -> None:
    later(0)
    sign_in(path, owner, HOME)
    for days, expected in ((59, 1), (61, 0)):
        later(days)
        cleanup.delete_expired()
        assert count_networks(owner) == expected


def test_owner_is_known_in_the_latest_networks(path: str, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_networks, "MAX_PER_PHONE", 3)
    for number in (1, 2, 3, 1, 4):
        assert sign_in(path, owner, f"192.0.2.{number}").status == 200
    assert count_networks(owner) == 3
    exhaust_tries(path, owner)
    assert sign_in(path, owner, "192.0.2.2").status == 429
    assert sign_in(path, owner, "192.0.2.1").status == 200


def count_networks(owner: Person) -> int:
    sql = "SELECT COUNT(*) FROM known_networks WHERE tenant_id = %(id)s AND phone_blind = %(phone)s"
    phone = phones.compute_blind_index(owner.tenant_id, owner.phone)
    return int(mysql.autocommit.fetch_value(sql, id=owner.tenant_id, phone=phone))


def test_reset_by_code_unlocks_and_makes_the_address_known(hospital: Hospital, read_sms: ReadSms) -> None:
    lin = hospital.lin
    exhaust_tries(PATIENTS, lin)
    request_code(hospital, lin.phone, RESET_CODE)
    [code] = read_sms(lin.phone)
    body = {"phone": lin.phone, "verCode": code, "newPassword": NEW}
    assert post_from(AWAY, RESET, hospital.tenant_id, **body).status == 200
    exhaust_tries(PATIENTS, lin)
    assert sign_in(PATIENTS, lin, AWAY, NEW).status == 200
    assert sign_in(PATIENTS, lin, HOME, NEW).status == 200, "a successful sign-in resets the failures"


def test_reset_by_admin_unlocks_staff(hospital: Hospital) -> None:
    chen = hospital.chen
    assert [sign_in(STAFF, chen, AWAY, "wrong").status for _ in range(6)][-1] == 429
    other_tries = attempts.MAX_TRIES_PER_PHONE - attempts.MAX_TRIES
    assert [sign_in(STAFF, chen, f"198.51.100.{n}", "wrong").status for n in range(other_tries + 1)][-1] == 429
    sign_in(STAFF, hospital.zhou, AWAY, "wrong")
    assert reset_by_admin(hospital, chen) == 200
    assert sign_in(STAFF, chen, AWAY, NEW).status == 200
    exhaust_tries(STAFF, chen)
    assert sign_in(STAFF, chen, AWAY, NEW).status == 200
