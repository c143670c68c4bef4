"""session_del of patients and doctors: sessions hidden until their next message."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.adapters import redis
from tests.support.client import post
from tests.support.consult_client import (
    DOCTOR_DEL,
    PATIENT_DEL,
    create_session,
    list_as_patient,
    list_doctor_sessions,
    list_patient_sessions,
    list_texts,
    send_as_doctor,
    send_as_patient,
)
from tests.support.factories import Hospital, Person


def test_deleted_session_stays_in_list_of_other_participant(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    assert post(PATIENT_DEL, lin.token, session_id=session_no).data is None
    assert list_patient_sessions(lin) == []
    assert len(list_doctor_sessions(chen)) == 1
    redis.get_client().flushall()
    assert list_patient_sessions(lin) == []
    assert len(list_doctor_sessions(chen)) == 1


def test_deleted_session_returns_with_next_message_and_full_history(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    post(PATIENT_DEL, lin.token, session_id=session_no)
    post(DOCTOR_DEL, chen.token, session_id=session_no)
    assert list_doctor_sessions(chen) == []
    send_as_doctor(chen, session_no, "二")
    assert len(list_patient_sessions(lin)) == len(list_doctor_sessions(chen)) == 1
    assert list_texts(list_as_patient(lin, session_no)) == ["二", "一"]


def test_deleting_is_idempotent(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda _: post(PATIENT_DEL, lin.token, session_id=session_no).status, range(8)))
    assert statuses == [200] * 8
    assert list_patient_sessions(lin) == []


def test_session_without_messages_is_deleted_until_its_first_message(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert len(list_patient_sessions(lin)) == 1
    assert post(PATIENT_DEL, lin.token, session_id=session_no).status == 200
    assert create_session(lin, chen) == session_no, "the doctor's session exists already"
    for _ in range(2):
        assert (list_patient_sessions(lin), len(list_doctor_sessions(chen))) == ([], 1)
        redis.get_client().flushall()
    send_as_doctor(chen, session_no, "您好")
    assert len(list_patient_sessions(lin)) == 1


def test_session_of_others_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    session_no = send_as_patient(hospital.lin, hospital.chen, "一").data["session_no"]
    for patient in (hospital.wang, other_hospital.lin):
        assert post(PATIENT_DEL, patient.token, session_id=session_no).status == 404
    for doctor in (hospital.zhou, other_hospital.chen):
        assert post(DOCTOR_DEL, doctor.token, session_id=session_no).status == 404
    assert post(PATIENT_DEL, hospital.lin.token, session_id="no-such-session").status == 404
    assert len(list_patient_sessions(hospital.lin)) == len(list_doctor_sessions(hospital.chen)) == 1


@pytest.mark.parametrize("invalid", [None, "", 5, "带中文", "x" * 65])
def test_invalid_session_id_is_rejected(lin: Person, chen: Person, invalid: object) -> None:
    for path, person in ((PATIENT_DEL, lin), (DOCTOR_DEL, chen)):
        response = post(path, person.token, session_id=invalid)
        assert (response.status, response.code) == (400, 10001)
        assert response.error.startswith("session_id")


def test_each_path_is_limited_to_its_role(hospital: Hospital) -> None:
    session_no = create_session(hospital.lin, hospital.chen)
    for person in (hospital.chen, hospital.desk, hospital.admin):
        assert post(PATIENT_DEL, person.token, session_id=session_no).status == 403
    for person in (hospital.lin, hospital.desk, hospital.admin):
        assert post(DOCTOR_DEL, person.token, session_id=session_no).status == 403
    assert post(PATIENT_DEL, session_id=session_no).status == post(DOCTOR_DEL, session_id=session_no).status == 401
