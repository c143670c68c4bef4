"""Staff change their own password."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.identity import attempts, passwords, tokens
from chalicelib.people import phones
from chalicelib.people.roles import PersonKind
from tests.support.client import ApiResponse, post
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes
from tests.support.staff_client import STAFF_PATH

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes")

NEW = "Anderes-72945"


def sign_in(person: Person, password: str) -> ApiResponse:
    headers = {"tenantId": str(person.tenant_id)}
    return post(f"{STAFF_PATH}/login", headers=headers, phone=person.phone, password=password)


def change_password(person: Person, old: Any = PASSWORD, new: Any = NEW) -> ApiResponse:
    return post(f"{STAFF_PATH}/change_password", person.token, oldPassword=old, newPassword=new)


@pytest.mark.parametrize("name", ["chen", "desk", "admin"])
def test_change_ends_the_other_sessions(hospital: Hospital, name: str) -> None:
    person: Person = getattr(hospital, name)
    other = sign_in(person, PASSWORD).data["token"]
    assert change_password(person).data is None
    for _ in range(2):
        assert [tokens.find_session(one) is None for one in (person.token, other, hospital.zhou.token)] == [
            False,
            True,
            False,
        ]
        redis.get_client().flushdb()
    assert (sign_in(person, PASSWORD).status, sign_in(person, NEW).status) == (401, 200)


def test_wrong_old_password_changes_nothing_and_counts(chen: Person) -> None:
    response = change_password(chen, "wrong")
    assert (response.status, response.code, response.error) == (400, 10001, "oldPassword：密码错误")
    assert [change_password(chen, "wrong").status for _ in range(5)] == [400] * 4 + [429]
    attempts.unlock(chen.tenant_id, PersonKind.STAFF, phones.compute_blind_index(chen.tenant_id, chen.phone))
    assert sign_in(chen, PASSWORD).status == 200


def test_one_of_two_concurrent_changes_succeeds(chen: Person) -> None:
    news = [f"Anderes-7294{n}" for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        statuses = [one.status for one in pool.map(lambda new: change_password(chen, new=new), news)]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 400, 409}
    assert sign_in(chen, news[statuses.index(200)]).status == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("oldPassword", value) for value in (None, "", 12345678, "x" * 73)),
        *(("newPassword", value) for value in (None, "", "Ab-345678", "x" * 73, 1, "Aa12345678", "weniglang9")),
        *(("newPassword", value) for value in ("Chen-13900000001", "陈医生Kq-9xxx")),
    ],
)
def test_invalid_field_is_named(chen: Person, field: str, value: Any) -> None:
    response = post(
        f"{STAFF_PATH}/change_password", chen.token, **{"oldPassword": PASSWORD, "newPassword": NEW, field: value}
    )
    assert (response.status, response.error.partition("：")[0]) == (400, field)
    assert sign_in(chen, PASSWORD).status == 200


def test_weak_password_of_old_still_signs_in(chen: Person) -> None:
    weak = "UPDATE staff SET password_hash = %(hash)s WHERE user_id = %(user_id)s"
    mysql.autocommit.execute(weak, hash=passwords.hash_password("12345678"), user_id=chen.user_id)
    assert sign_in(chen, "12345678").status == 200
    assert change_password(chen, "12345678", "12345678").status == 400
    assert change_password(chen, "12345678").status == 200
