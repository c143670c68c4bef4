"""Sign-in of staff. tests/identity/test_attempts.py tests the limits of guessing."""

import hashlib
from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.identity import tokens
from tests.support import password_reset_races
from tests.support.client import ApiResponse, get, post
from tests.support.factories import PASSWORD, Hospital, Person, create_staff
from tests.support.fast_passwords import fast_hashes

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes")

PATH = "/pati_service/manager_service/login"
RESET = "/pati_service/manager_service/staff_password"
NEW = "Anderes-12345"


def sign_in(hospital: Hospital, phone: Any, password: Any = PASSWORD, **more: Any) -> ApiResponse:
    return post(PATH, headers={"tenantId": str(hospital.tenant_id)}, phone=phone, password=password, **more)


def reset_password(hospital: Hospital, person: Person) -> int:
    return post(RESET, hospital.admin.token, user_id=person.user_id, password=NEW).status


def test_staff_of_every_role_sign_in(hospital: Hospital) -> None:
    staff = [
        (hospital.chen, "doctor", "陈医生"),
        (hospital.desk, "service_staff", "客服小李"),
        (hospital.admin, "admin", "管理员"),
    ]
    for person, role, name in staff:
        data = sign_in(hospital, person.phone).data
        who = {"userId": str(person.user_id), "role": role, "name": name}
        assert data == {**who, "token": data["token"], "must_set_up_second_factor": False}
        session = tokens.find_session(data["token"])
        assert session is not None
        assert (session.tenant_id, session.principal) == (hospital.tenant_id, person.principal)
        assert session.role == role


def test_token_of_a_sign_in_is_valid(hospital: Hospital) -> None:
    lin, chen = hospital.lin, hospital.chen
    fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": chen.user_id}
    session_no = post("/msg_service/msg/patient/insert_session", lin.token, **fields).data["session_no"]
    token = sign_in(hospital, chen.phone).data["token"]
    assert post("/msg_service/msg/doctor/send_text_msg", token, session_no=session_no, message="在").status == 200
    assert get("/msg_service/msg/patient/msg_list", token, session_no=session_no).status == 403


def test_two_sign_ins_give_two_valid_tokens(hospital: Hospital) -> None:
    first, second = (sign_in(hospital, hospital.chen.phone).data["token"] for _ in range(2))
    assert first != second
    assert tokens.find_session(first)
    assert tokens.find_session(second)


def test_unknown_phone_and_wrong_password_have_one_response(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[Any] = []
    real = hashlib.scrypt

    def record_password(password: bytes, **parameters: Any) -> bytes:
        costs.append({**parameters, "salt": None})
        return real(password, **parameters)

    monkeypatch.setattr(hashlib, "scrypt", record_password)
    unknown, wrong = sign_in(hospital, "13999999999", "wrong"), sign_in(hospital, hospital.chen.phone, "wrong")
    assert (unknown.status, unknown.code) == (401, 10102)
    assert (unknown.status, unknown.body) == (wrong.status, wrong.body)
    assert len(costs) == 2
    assert costs[0] == costs[1]


@pytest.mark.store
def test_old_password_is_rejected_during_a_reset(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reset is an admin's."""
    requests = (partial(sign_in, hospital, hospital.chen.phone), partial(reset_password, hospital, hospital.chen))
    assert password_reset_races.sign_in_during_reset(monkeypatch, *requests) == 401
    assert sign_in(hospital, hospital.chen.phone, NEW).status == 200


@pytest.mark.store
def test_sign_in_waits_for_a_concurrent_reset(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = (partial(sign_in, hospital, hospital.chen.phone), partial(reset_password, hospital, hospital.chen))
    assert password_reset_races.sign_in_before_reset_commit(monkeypatch, *requests) == 401


def test_disabled_staff_cannot_sign_in(hospital: Hospital) -> None:
    disable = "UPDATE staff SET disabled_at = 1 WHERE user_id = %(id)s"
    mysql.autocommit.execute(disable, id=hospital.chen.user_id)
    response = sign_in(hospital, hospital.chen.phone)
    assert (response.status, response.code) == (401, 10102)


def test_staff_of_other_hospitals_cannot_sign_in(hospital: Hospital, other_hospital: Hospital) -> None:
    guest = create_staff(other_hospital.tenant_id, "13900000009", "客座医生", "doctor")
    assert sign_in(hospital, guest.phone).status == 401
    assert sign_in(other_hospital, guest.phone).data["userId"] == str(guest.user_id)


def test_one_phone_at_two_hospitals_is_two_persons(hospital: Hospital, other_hospital: Hospital) -> None:
    assert hospital.chen.phone == other_hospital.chen.phone
    for one in (hospital, other_hospital):
        assert sign_in(one, one.chen.phone).data["userId"] == str(one.chen.user_id)


def test_patients_cannot_sign_in_as_staff(hospital: Hospital) -> None:
    assert sign_in(hospital, hospital.lin.phone).status == 401


@pytest.mark.parametrize(
    "phone",
    [
        *(None, True, 13900000001, ["13900000001"], {}),
        *(
            "",
            "1390000000",
            "139000000011",
            "12900000001",
            "+8613900000001",
            "139-0000-0001",
            "１３９００００００００１",
        ),
        *(" 13900000001", "13900000001\n", "13900000001\x00"),
    ],
)
def test_invalid_phone_is_named(hospital: Hospital, phone: Any) -> None:
    response = sign_in(hospital, phone)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("phone：")


@pytest.mark.parametrize("password", [None, "", "密" * 73, 12345, True, ["Demo-12345"], {}])
def test_invalid_password_is_named(hospital: Hospital, password: Any) -> None:
    response = sign_in(hospital, hospital.chen.phone, password)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("password：")
    assert str(password) not in response.error or password in (None, "")


@pytest.mark.parametrize("password", ["demo-12345", " Demo-12345", "Demo-12345 ", "Demo-1234", "x" * 72])
def test_password_is_compared_exactly(hospital: Hospital, password: str) -> None:
    assert sign_in(hospital, hospital.chen.phone, password).status == 401


def test_both_fields_are_required(hospital: Hospital) -> None:
    response = post(PATH, headers={"tenantId": str(hospital.tenant_id)})
    assert (response.status, response.error) == (400, "phone：必填；password：必填")


def test_unknown_fields_are_ignored(hospital: Hospital) -> None:
    assert sign_in(hospital, hospital.chen.phone, remember=True, role="admin").data["role"] == "doctor"


def test_response_does_not_contain_the_hash(hospital: Hospital) -> None:
    chen: Person = hospital.chen
    assert "scrypt" not in str(sign_in(hospital, chen.phone).body)
