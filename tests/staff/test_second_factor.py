"""The second factor of staff: setting it up, signing in with it, resetting it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pyotp
import pytest
from pyotp.totp import TOTP

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import second_factor, tokens
from chalicelib.people import second_factors
from chalicelib.settings import settings
from chalicelib.staff import sign_in as sign_in_module
from tests.support.client import ApiResponse, get, post
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes
from tests.support.staff_client import STAFF_PATH
from tests.support.threads import run_in_threads

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes")

FACTOR = f"{STAFF_PATH}/second_factor"
LABELS = f"{STAFF_PATH}/list"
Later = Callable[[float], None]


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Stop the clock; return a function that lets a number of seconds pass."""
    now = [clock.now() // 30_000_000 * 30_000_000]  # the beginning of a time step
    monkeypatch.setattr(clock, "now", lambda: now[0])

    def pass_time(seconds: float) -> None:
        now[0] += round(seconds * clock.SECOND)

    return pass_time


@pytest.fixture
def required(monkeypatch: pytest.MonkeyPatch) -> None:
    """Require a second factor of all staff, as in prod."""
    monkeypatch.setattr(sign_in_module, "settings", replace(settings, staff_second_factor=True))


def sign_in(person: Person, otp: Any = None, password: str = PASSWORD) -> ApiResponse:
    fields = {"phone": person.phone, "password": password} | ({} if otp is None else {"otp": otp})
    return post(f"{STAFF_PATH}/login", headers={"tenantId": str(person.tenant_id)}, **fields)


def begin(token: str, password: str = PASSWORD, **fields: Any) -> ApiResponse:
    return post(FACTOR, token, password=password, **fields)


def confirm(token: str, otp: Any) -> ApiResponse:
    return post(f"{FACTOR}/confirm", token, otp=otp)


def reset(admin: Person, user_id: Any) -> ApiResponse:
    return post(f"{FACTOR}/reset", admin.token, user_id=user_id)


def show_code(secret: str, steps: int = 0) -> str:
    """Return what the app shows now, or in so many half minutes."""
    return TOTP(secret).at(clock.now() // clock.SECOND + 30 * steps)


def set_up(person: Person, later: Later) -> str:
    """Set up the second factor and return its secret; its first code is used up and over."""
    secret = str(begin(person.token).data["secret"])
    assert confirm(person.token, show_code(secret)).status == 200
    later(30)
    return secret


def test_code_is_required_once_the_factor_is_confirmed(chen: Person, later: Later) -> None:
    assert sign_in(chen).data["must_set_up_second_factor"] is False
    new = begin(chen.token).data
    assert sign_in(chen).status == 200, "a secret that was never used locks nobody out"
    assert confirm(chen.token, show_code(new["secret"])).data is None
    later(30)
    response = sign_in(chen)
    assert (response.status, response.code, response.error) == (401, 10107, "请输入动态验证码")
    data = sign_in(chen, show_code(new["secret"])).data
    assert data["must_set_up_second_factor"] is False
    assert get(LABELS, data["token"], label_type=2).status == 200


def test_url_leads_an_app_to_the_secret(chen: Person) -> None:
    new = begin(chen.token).data
    parsed = pyotp.parse_uri(new["url"])
    assert (parsed.secret, parsed.issuer, parsed.name) == (new["secret"], "仁和医院", "陈医生")


def test_secret_is_stored_encrypted_for_its_owner(chen: Person, zhou: Person, later: Later) -> None:
    secret = set_up(chen, later)
    sealed = second_factors.get(mysql.autocommit, chen.tenant_id, chen.user_id).sealed
    assert sealed is not None
    assert secret.encode() not in sealed
    copy = "UPDATE staff SET totp_sealed = %(sealed)s WHERE user_id = %(user_id)s"
    mysql.autocommit.execute(copy, sealed=sealed, user_id=zhou.user_id)
    assert sign_in(zhou, show_code(secret)).status == 500, "the secret of another row cannot be decrypted"


def test_wrong_password_reveals_no_second_factor(chen: Person, later: Later) -> None:
    secret = set_up(chen, later)
    for otp in (None, "000000", show_code(secret)):
        assert sign_in(chen, otp, "wrong").code == 10102


def test_neighbouring_codes_are_accepted(chen: Person, later: Later) -> None:
    secret = set_up(chen, later)
    later(300)
    for steps, status in ((-2, 401), (-1, 200), (1, 200), (2, 401)):
        assert sign_in(chen, show_code(secret, steps)).status == status, steps
        second_factor.clear_failures(chen.tenant_id, chen.user_id)


def test_code_is_accepted_once(chen: Person, later: Later) -> None:
    secret = str(begin(chen.token).data["secret"])
    assert confirm(chen.token, show_code(secret)).status == 200
    response = sign_in(chen, show_code(secret))
    assert (response.status, response.code) == (401, 10107), "confirming has used it up"
    assert response.error == "动态验证码已使用，请等待下一个"
    later(30)
    assert sign_in(chen, show_code(secret)).status == 200
    assert sign_in(chen, show_code(secret)).error == "动态验证码已使用，请等待下一个"
    later(30)
    assert sign_in(chen, show_code(secret, -1)).status == 401, "nor an earlier one afterwards"
    assert sign_in(chen, show_code(secret)).status == 200


@pytest.mark.store
def test_one_of_concurrent_sign_ins_with_one_code_succeeds(chen: Person, later: Later) -> None:
    secret = set_up(chen, later)
    code = show_code(secret)
    statuses = [one.status for one in run_in_threads([lambda: sign_in(chen, code)] * 4)]
    assert sorted(statuses) == [200, 401, 401, 401]


def test_five_wrong_codes_lock_for_a_quarter_of_an_hour(chen: Person, zhou: Person, later: Later) -> None:
    secret, other = set_up(chen, later), set_up(zhou, later)
    later(300)
    responses = [sign_in(chen, "000000") for _ in range(5)]
    assert {(one.status, one.code, one.error) for one in responses} == {(401, 10107, "动态验证码错误，请重新输入")}
    response = sign_in(chen, show_code(secret))
    assert (response.status, response.code, response.headers["Retry-After"]) == (429, 10006, "900")
    assert sign_in(zhou, show_code(other)).status == 200
    later(15 * 60 + 1)
    assert sign_in(chen, show_code(secret)).status == 200


def test_strangers_cannot_use_up_the_tries(chen: Person, later: Later) -> None:
    """They do not know the password. A missing code is no wrong one either."""
    secret = set_up(chen, later)
    for _ in range(3):
        assert [sign_in(chen, "000000", "wrong").code for _ in range(4)] == [10102] * 4
        assert sign_in(chen).code == 10107
    assert sign_in(chen, show_code(secret)).status == 200


def test_right_code_forgets_the_wrong_ones(chen: Person, later: Later) -> None:
    secret = set_up(chen, later)
    for _ in range(3):
        later(30)
        assert [sign_in(chen, "000000").status for _ in range(4)] == [401] * 4
        assert sign_in(chen, show_code(secret)).status == 200


def test_factor_that_is_confirmed_during_a_sign_in_is_required(chen: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, real = str(begin(chen.token).data["secret"]), second_factor.check_code

    def check_code(*arguments: Any) -> Any:
        code = real(*arguments)
        assert confirm(chen.token, show_code(secret)).status == 200
        return code

    monkeypatch.setattr(second_factor, "check_code", check_code)
    assert sign_in(chen).code == 10107


@pytest.mark.parametrize("otp", ["12345", "1234567", "abcdef", 123456, True, ["123456"], "１２３４５６"])
def test_invalid_code_is_named(chen: Person, otp: Any) -> None:
    for response in (sign_in(chen, otp), confirm(chen.token, otp), begin(chen.token, otp=otp)):
        assert (response.status, response.error.partition("：")[0]) == (400, "otp")


def test_empty_code_is_none(chen: Person, later: Later) -> None:
    set_up(chen, later)
    assert sign_in(chen, "").code == 10107


class TestSetUp:
    """Setting up the second factor."""

    def test_password_is_needed(self, chen: Person) -> None:
        for password, status in (("", 400), ("wrong", 400)):
            response = begin(chen.token, password)
            assert (response.status, response.error.partition("：")[0]) == (status, "password")
        assert [begin(chen.token, "wrong").status for _ in range(5)] == [400] * 4 + [429]

    def test_double_click_gets_one_secret(self, chen: Person, later: Later) -> None:
        responses = run_in_threads([partial(begin, chen.token)] * 4)
        assert len({one.data["secret"] for one in responses}) == 1
        later(6)
        assert begin(chen.token).data["secret"] != responses[0].data["secret"]

    def test_another_session_gets_another_secret(self, chen: Person) -> None:
        """It may be that of a stranger who knows the password."""
        stranger, own = (sign_in(chen).data["token"] for _ in range(2))
        assert begin(own).data["secret"] != begin(stranger).data["secret"]

    def test_code_that_was_used_gives_no_secret_to_another_session(self, chen: Person, later: Later) -> None:
        former = set_up(chen, later)
        stranger = sign_in(chen, show_code(former)).data["token"]
        later(30)
        code = show_code(former)
        new = begin(chen.token, otp=code).data["secret"]
        assert begin(stranger, otp=code).error == "动态验证码已使用，请等待下一个"
        assert begin(chen.token, otp=code).data["secret"] == new, "a double click"

    def test_password_without_the_code_makes_no_network_known(self, chen: Person, later: Later) -> None:
        former = set_up(chen, later)
        mysql.autocommit.execute("DELETE FROM known_networks")
        count = "SELECT COUNT(*) FROM known_networks WHERE tenant_id = %(id)s"
        for otp, known in ((None, 0), ("000000", 0), (show_code(former), 1)):
            begin(chen.token, otp=otp)
            assert mysql.autocommit.fetch_value(count, id=chen.tenant_id) == known, otp

    def test_wrong_code_confirms_nothing(self, chen: Person) -> None:
        begin(chen.token)
        response = confirm(chen.token, "000000")
        assert (response.status, response.code, response.error) == (400, 10001, "otp：动态验证码错误")
        assert [confirm(chen.token, "000000").status for _ in range(5)] == [400] * 4 + [429]
        assert sign_in(chen).status == 200

    def test_secret_is_needed_before_its_code(self, chen: Person) -> None:
        response = confirm(chen.token, "123456")
        assert (response.status, response.code, response.error) == (409, 10005, "请先获取新的密钥")

    def test_double_click_confirms_once(self, chen: Person, later: Later) -> None:
        code = show_code(begin(chen.token).data["secret"])
        assert [one.status for one in run_in_threads([partial(confirm, chen.token, code)] * 4)] == [200] * 4
        assert confirm(chen.token, "000000").status == 409
        later(6)
        assert confirm(chen.token, code).status == 409

    def test_confirming_ends_the_other_sessions(self, chen: Person) -> None:
        other = sign_in(chen).data["token"]
        assert confirm(chen.token, show_code(begin(chen.token).data["secret"])).status == 200
        assert [tokens.find_session(one) is None for one in (chen.token, other)] == [False, True]

    def test_replacing_needs_a_code_of_the_former_secret(self, chen: Person, later: Later) -> None:
        former = set_up(chen, later)
        assert begin(chen.token).code == 10107
        assert begin(chen.token, otp="000000").code == 10107
        new = begin(chen.token, otp=show_code(former)).data["secret"]
        later(30)
        assert sign_in(chen, show_code(former)).status == 200, "until the new one is confirmed"
        assert confirm(chen.token, show_code(new)).status == 200
        later(30)
        assert (sign_in(chen, show_code(former)).status, sign_in(chen, show_code(new)).status) == (401, 200)

    def test_code_that_permitted_it_is_used_up(self, chen: Person, later: Later) -> None:
        former = set_up(chen, later)
        code = show_code(former)
        assert begin(chen.token, otp=code).status == 200
        assert sign_in(chen, code).status == 401
        later(6)
        assert begin(chen.token, otp=code).error == "动态验证码已使用，请等待下一个"


@pytest.mark.usefixtures("required")
class TestRequired:
    """The second factor is required, as in prod."""

    def test_session_is_limited_until_the_factor_is_confirmed(self, chen: Person, later: Later) -> None:
        data = sign_in(chen).data
        assert data["must_set_up_second_factor"] is True
        token = data["token"]
        assert get(LABELS, token, label_type=2).code == 10104
        secret = begin(token).data["secret"]
        assert get(LABELS, token, label_type=2).code == 10104
        assert confirm(token, show_code(secret)).status == 200
        assert get(LABELS, token, label_type=2).status == 200
        later(30)
        assert sign_in(chen, show_code(secret)).data["must_set_up_second_factor"] is False

    def test_confirming_lifts_the_limit_of_no_other_session(self, chen: Person) -> None:
        """Who else has signed in with the password alone may be a stranger."""
        strangers, own = (sign_in(chen).data["token"] for _ in range(2))
        assert confirm(own, show_code(begin(own).data["secret"])).status == 200
        assert get(LABELS, strangers, label_type=2).status == 401

    def test_limited_session_may_change_the_password_and_sign_out(self, chen: Person) -> None:
        token, new = sign_in(chen).data["token"], "Anderes-72945"
        assert post(f"{STAFF_PATH}/change_password", token, oldPassword=PASSWORD, newPassword=new).status == 200
        assert sign_in(chen, password=new).data["must_set_up_second_factor"] is True
        assert post(f"{STAFF_PATH}/logout", token).status == 200
        assert tokens.find_session(token) is None


class TestReset:
    """An admin resets the second factor of another member of staff."""

    def test_reset_ends_the_sessions_and_removes_the_factor(self, hospital: Hospital, later: Later) -> None:
        chen, admin = hospital.chen, hospital.admin
        set_up(chen, later)
        for _ in range(2):
            assert reset(admin, chen.user_id).data is None
            assert tokens.find_session(chen.token) is None
        assert sign_in(chen).status == 200

    def test_reset_forgets_wrong_codes(self, hospital: Hospital, later: Later) -> None:
        chen = hospital.chen
        set_up(chen, later)
        assert [sign_in(chen, "000000").status for _ in range(6)][-1] == 429
        reset(hospital.admin, chen.user_id)
        new = chen.with_token(sign_in(chen).data["token"])
        later(6)
        assert sign_in(chen, show_code(set_up(new, later))).status == 200

    def test_pending_secret_is_removed_too(self, hospital: Hospital) -> None:
        code = show_code(begin(hospital.chen.token).data["secret"])
        reset(hospital.admin, hospital.chen.user_id)
        token = sign_in(hospital.chen).data["token"]
        assert confirm(token, code).status == 409

    def test_own_factor_is_reset_by_another_admin(self, hospital: Hospital, later: Later) -> None:
        set_up(hospital.admin, later)
        response = reset(hospital.admin, hospital.admin.user_id)
        assert (response.status, response.error) == (409, "不能重置自己的动态验证码，请由其他管理员操作")
        assert sign_in(hospital.admin).code == 10107

    def test_only_staff_of_the_hospital_are_found(self, hospital: Hospital, other_hospital: Hospital) -> None:
        for user_id in (other_hospital.chen.user_id, hospital.lin.user_id):
            response = reset(hospital.admin, user_id)
            assert (response.status, response.code, response.error) == (404, 10004, "员工不存在")

    @pytest.mark.parametrize("user_id", [None, "", "x", -1])
    def test_invalid_id_is_named(self, hospital: Hospital, user_id: Any) -> None:
        response = reset(hospital.admin, user_id)
        assert (response.status, response.error.partition("：")[0]) == (400, "user_id")

    def test_reset_is_in_the_audit_log(self, hospital: Hospital) -> None:
        reset(hospital.admin, hospital.chen.user_id)
        reset(hospital.admin, hospital.lin.user_id)
        [entry] = get(f"{STAFF_PATH}/audit_log", hospital.admin.token, action="reset_second_factor").data["list"]
        assert (entry["actor"], entry["subject"]) == (hospital.admin.principal, hospital.chen.principal)

    def test_list_of_staff_shows_who_has_a_factor(self, hospital: Hospital, later: Later) -> None:
        set_up(hospital.chen, later)
        begin(hospital.zhou.token)
        listed = get(f"{STAFF_PATH}/staff_list", hospital.admin.token, role="doctor").data["list"]
        assert [(one["name"], one["second_factor"]) for one in listed] == [("陈医生", True), ("周医生", False)]
