"""insert_session: one session for each member and doctor."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.client import post
from tests.support.consult_client import INSERT_SESSION, create_session
from tests.support.factories import Hospital, Person, add_member


def test_patient_creates_session_with_doctor(lin: Person, chen: Person) -> None:
    response = post(INSERT_SESSION, lin.token, member_id=str(lin.member_id), doctor_id=str(chen.user_id))
    assert response.status == 200
    assert len(response.data["session_no"]) == 36


def test_repeated_request_returns_same_session(lin: Person, chen: Person) -> None:
    assert create_session(lin, chen) == create_session(lin, chen)


def test_each_member_and_doctor_have_their_own_session(lin: Person, chen: Person, zhou: Person) -> None:
    child = add_member(lin, "林小宝")
    childs_session = post(INSERT_SESSION, lin.token, member_id=child, doctor_id=chen.user_id).data["session_no"]
    assert len({create_session(lin, chen), create_session(lin, zhou), childs_session}) == 3


def test_concurrent_requests_create_one_session(lin: Person, chen: Person) -> None:
    with ThreadPoolExecutor(8) as pool:
        session_nos = set(pool.map(lambda _: create_session(lin, chen), range(16)))
    assert len(session_nos) == 1


def test_member_of_another_account_is_not_found(wang: Person, lin: Person, chen: Person) -> None:
    response = post(INSERT_SESSION, wang.token, member_id=lin.member_id, doctor_id=chen.user_id)
    assert (response.status, response.code) == (404, 10004)


def test_doctor_of_another_tenant_is_not_found(lin: Person, other_hospital: Hospital) -> None:
    response = post(INSERT_SESSION, lin.token, member_id=lin.member_id, doctor_id=other_hospital.chen.user_id)
    assert response.status == 404


def test_member_of_another_tenant_is_not_found(other_hospital: Hospital, lin: Person, chen: Person) -> None:
    response = post(INSERT_SESSION, other_hospital.lin.token, member_id=lin.member_id, doctor_id=chen.user_id)
    assert response.status == 404


def test_service_staff_are_not_found_as_doctors(hospital: Hospital) -> None:
    response = post(
        INSERT_SESSION, hospital.lin.token, member_id=hospital.lin.member_id, doctor_id=hospital.desk.user_id
    )
    assert response.status == 404


@pytest.mark.parametrize("field", ["member_id", "doctor_id"])
@pytest.mark.parametrize("invalid", [None, "", "x", 0, -1, True, 1.5, "1_0", 2**53, [1]])
def test_invalid_id_is_rejected_with_field_name(lin: Person, chen: Person, field: str, invalid: object) -> None:
    body: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": chen.user_id, field: invalid}
    response = post(INSERT_SESSION, lin.token, **body)
    assert (response.status, response.code) == (400, 10001)
    assert field in response.error
