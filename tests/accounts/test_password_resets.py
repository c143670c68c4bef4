"""Password resets by code, and their effect on sessions."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from chalicelib.adapters import cache, mysql, redis
from chalicelib.identity import tokens
from chalicelib.people import account_phones, accounts
from tests.accounts.conftest import ReadSms
from tests.support import password_reset_races
from tests.support.account_client import change_account_phone
from tests.support.accounts_client import (
    RESET,
    RESET_CODE,
    VALIDATE,
    get_other_code,
    is_token_valid,
    post_as_visitor,
    request_code,
    sign_in,
)
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.pauses import pause_first_call

pytestmark = pytest.mark.usefixtures("fast_hashes")
NEW = "Anderes-12345"


@pytest.fixture
def code(hospital: Hospital, read_sms: ReadSms) -> str:
    request_code(hospital, hospital.lin.phone, RESET_CODE)
    return read_sms(hospital.lin.phone)[0]


def reset_password(hospital: Hospital, code: str, phone: str = "", password: str = NEW) -> int:
    return post_as_visitor(
        hospital, RESET, phone=phone or hospital.lin.phone, verCode=code, newPassword=password
    ).status


def test_forgotten_password_is_set_by_code(hospital: Hospital, lin: Person, code: str) -> None:
    assert post_as_visitor(hospital, VALIDATE, phone=lin.phone, verCode=code).data is None
    assert post_as_visitor(hospital, VALIDATE, phone=lin.phone, verCode=code).status == 200
    assert reset_password(hospital, code) == 200
    assert sign_in(hospital, lin.phone, PASSWORD).status == 401
    assert sign_in(hospital, lin.phone, NEW).status == 200
    assert reset_password(hospital, code) == 400, "a code is used once"


def test_code_is_invalid_when_the_account_has_lost_the_phone(hospital: Hospital, lin: Person, code: str) -> None:
    mysql.run_transaction(lambda tx: account_phones.set_phone(tx, lin.tenant_id, lin.user_id, ""))
    assert reset_password(hospital, code) == 400
    assert is_token_valid(lin.token)


@pytest.mark.store
def test_code_of_the_former_phone_sets_no_password_of_an_account_with_another(
    hospital: Hospital, lin: Person, code: str
) -> None:
    """The front desk changes the phone while the reset has found the account."""
    new, change = "13800000066", partial(change_account_phone, hospital.desk, lin, "13800000066")
    with pause_first_call(accounts, "set_password") as pause, ThreadPoolExecutor(2) as pool:
        resetting = pool.submit(reset_password, hospital, code)
        pause.wait_until_reached()
        changing = pool.submit(change)
        wait_until(lambda: changing.done() or is_row_lock_waiting())
        pause.end()
        assert (resetting.result(), changing.result().status) == (200, 200)
    assert sign_in(hospital, new, NEW).status == 401
    assert sign_in(hospital, lin.phone, NEW).status == 401


@pytest.mark.store
def test_reset_that_begins_during_a_change_of_phone_is_rejected(hospital: Hospital, lin: Person, code: str) -> None:
    change = partial(change_account_phone, hospital.desk, lin, "13800000066")
    with pause_first_call(account_phones, "set_phone") as pause, ThreadPoolExecutor(2) as pool:
        changing = pool.submit(change)
        pause.wait_until_reached()
        resetting = pool.submit(reset_password, hospital, code)
        wait_until(lambda: resetting.done() or is_row_lock_waiting())
        pause.end()
        assert (changing.result().status, resetting.result()) == (200, 400)
    assert sign_in(hospital, "13800000066", NEW).status == 401


def test_sign_in_with_a_phone_that_is_changed_meanwhile_is_rejected(
    hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> int:
        mysql.run_transaction(lambda tx: account_phones.set_phone(tx, lin.tenant_id, lin.user_id, "13800000066"))
        return 200

    assert (
        password_reset_races.sign_in_during_reset(monkeypatch, partial(sign_in, hospital, lin.phone, PASSWORD), change)
        == 401
    )


@pytest.mark.store
@pytest.mark.parametrize("flushed", [False, True])
def test_reset_ends_all_sessions_at_once(hospital: Hospital, lin: Person, code: str, flushed: bool) -> None:
    other = sign_in(hospital, lin.phone, PASSWORD).data["token"]
    assert is_token_valid(lin.token)
    assert is_token_valid(other)
    assert reset_password(hospital, code) == 200
    if flushed:
        redis.get_client().flushall()
    assert not is_token_valid(lin.token)
    assert not is_token_valid(other)
    assert is_token_valid(hospital.wang.token)


def test_reset_without_redis_ends_sessions_when_their_cache_expires(
    hospital: Hospital, lin: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_unavailable(*_: object) -> None:
        raise redis.RedisUnavailableError("cut")

    assert is_token_valid(lin.token)
    with monkeypatch.context() as cut:
        cut.setattr(redis, "_call_driver", raise_unavailable)
        assert reset_password(hospital, code) == 200
        assert not is_token_valid(lin.token), "this process reads MySQL"
    [key] = redis.get_client().keys(f"*{tokens.hash_token(lin.token).hex()}*")
    assert 0 < redis.get_client().ttl(key) <= cache.TTL_SECONDS == 60
    redis.get_client().delete(key)
    assert not is_token_valid(lin.token)


def test_reset_unlocks_the_phone(hospital: Hospital, code: str) -> None:
    assert [sign_in(hospital, hospital.lin.phone, "wrong").status for _ in range(6)][-1] == 429
    reset_password(hospital, code)
    assert sign_in(hospital, hospital.lin.phone, NEW).status == 200


@pytest.mark.store
def test_validation_counts_tries(hospital: Hospital, lin: Person, code: str) -> None:
    for _ in range(5):
        assert post_as_visitor(hospital, VALIDATE, phone=lin.phone, verCode=get_other_code(code)).status == 400
    assert post_as_visitor(hospital, VALIDATE, phone=lin.phone, verCode=code).status == 400
    assert reset_password(hospital, code) == 400


def test_phone_without_an_account_gets_the_same_response_and_no_sms(hospital: Hospital, read_sms: ReadSms) -> None:
    known = request_code(hospital, hospital.lin.phone, RESET_CODE)
    unknown = request_code(hospital, "13899999999", RESET_CODE)
    assert (known.status, known.body) == (unknown.status, unknown.body)
    request_code(hospital, hospital.wang.phone, RESET_CODE)
    read_sms(hospital.wang.phone)  # requested afterwards
    assert read_sms("13899999999", 0) == []
    assert reset_password(hospital, "000000", "13899999999") == 400


@pytest.mark.store
def test_old_password_is_rejected_during_a_reset(
    hospital: Hospital, lin: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = (partial(sign_in, hospital, lin.phone, PASSWORD), partial(reset_password, hospital, code))
    assert password_reset_races.sign_in_during_reset(monkeypatch, *requests) == 401
    assert sign_in(hospital, lin.phone, NEW).status == 200


@pytest.mark.store
def test_sign_in_waits_for_a_concurrent_reset(
    hospital: Hospital, lin: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = (partial(sign_in, hospital, lin.phone, PASSWORD), partial(reset_password, hospital, code))
    assert password_reset_races.sign_in_before_reset_commit(monkeypatch, *requests) == 401
