from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.client import post
from tests.support.consult_client import INSERT_SESSION, create_session
from tests.support.factories import Hospital, Person, add_member


def test_a_patient_opens_a_session_with_a_doctor(lin: Person, chen: Person) -> None:
    answer = post(INSERT_SESSION, lin.token, member_id=str(lin.member_id), doctor_id=str(chen.user_id))
    assert answer.status == 200
    assert len(answer.data["session_no"]) == 36


def test_asking_again_finds_the_same_session(lin: Person, chen: Person) -> None:
    assert create_session(lin, chen) == create_session(lin, chen)


def test_another_doctor_or_member_is_another_session(lin: Person, chen: Person, zhou: Person) -> None:
    child = add_member(lin, "林小宝")
    for_child = post(INSERT_SESSION, lin.token, member_id=child, doctor_id=chen.user_id).data["session_no"]
    assert len({create_session(lin, chen), create_session(lin, zhou), for_child}) == 3


def test_two_requests_at_once_make_one_session(lin: Person, chen: Person) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: create_session(lin, chen), range(16)))
    assert len(made) == 1


def test_nobody_opens_a_session_for_somebody_elses_member(wang: Person, lin: Person, chen: Person) -> None:
    answer = post(INSERT_SESSION, wang.token, member_id=lin.member_id, doctor_id=chen.user_id)
    assert (answer.status, answer.code) == (404, 10004)


def test_a_doctor_of_another_tenant_does_not_exist(lin: Person, other_hospital: Hospital) -> None:
    answer = post(INSERT_SESSION, lin.token, member_id=lin.member_id, doctor_id=other_hospital.chen.user_id)
    assert answer.status == 404


def test_a_member_of_another_tenant_does_not_exist(other_hospital: Hospital, lin: Person, chen: Person) -> None:
    answer = post(INSERT_SESSION, other_hospital.lin.token, member_id=lin.member_id, doctor_id=chen.user_id)
    assert answer.status == 404


def test_the_service_desk_is_no_doctor(hospital: Hospital) -> None:
    answer = post(INSERT_SESSION, hospital.lin.token, member_id=hospital.lin.member_id, doctor_id=hospital.desk.user_id)
    assert answer.status == 404


@pytest.mark.parametrize("field", ["member_id", "doctor_id"])
@pytest.mark.parametrize("bad", [None, "", "x", 0, -1, True, 1.5, "1_0", 2**53, [1]])
def test_a_bad_id_is_refused_by_name(lin: Person, chen: Person, field: str, bad: object) -> None:
    named: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": chen.user_id, field: bad}
    answer = post(INSERT_SESSION, lin.token, **named)
    assert (answer.status, answer.code) == (400, 10001)
    assert field in answer.error
