"""new_msg of patients and doctors: the newest message of a session."""

from typing import Any

import pytest

from chalicelib.adapters import redis
from tests.support.client import ApiResponse, get
from tests.support.consult_client import (
    DOCTOR_NEW_MSG,
    PATIENT_NEW_MSG,
    create_session,
    list_as_doctor,
    list_as_patient,
    list_patient_sessions,
    send_as_doctor,
    send_as_patient,
)
from tests.support.factories import Hospital, Person, add_member


def get_newest_as_patient(patient: Person, session_no: str, **more: Any) -> ApiResponse:
    query: dict[str, Any] = {"session_no": session_no, "member_id": patient.member_id, **more}
    return get(PATIENT_NEW_MSG, patient.token, **query)


def get_newest_as_doctor(doctor: Person, session_no: str) -> ApiResponse:
    return get(DOCTOR_NEW_MSG, doctor.token, session_no=session_no)


def test_newest_message_equals_first_of_list(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    for flush in (False, True):
        send_as_doctor(chen, session_no, "二")
        if flush:
            redis.get_client().flushall()
        assert get_newest_as_patient(lin, session_no).data == list_as_patient(lin, session_no).data[0]
        assert get_newest_as_doctor(chen, session_no).data == list_as_doctor(chen, session_no).data[0]


def test_session_without_messages_returns_null(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert get_newest_as_patient(lin, session_no).data is None
    assert get_newest_as_doctor(chen, session_no).data is None


def test_newest_message_is_not_marked_read(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    send_as_doctor(chen, session_no, "一")
    get_newest_as_patient(lin, session_no)
    assert list_patient_sessions(lin)[0]["unread"] == 1


def test_session_of_others_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    session_no = send_as_patient(hospital.lin, hospital.chen, "私密").data["session_no"]
    for patient in (hospital.wang, other_hospital.lin):
        assert get_newest_as_patient(patient, session_no).status == 404
        assert get_newest_as_patient(patient, session_no, member_id=hospital.lin.member_id).status == 404
    for doctor in (hospital.zhou, other_hospital.chen):
        assert get_newest_as_doctor(doctor, session_no).status == 404
    child = add_member(hospital.lin, "林小宝")
    assert get_newest_as_patient(hospital.lin, session_no, member_id=child).status == 404


@pytest.mark.parametrize("invalid", [None, "", "带中文", "x" * 65])
def test_invalid_session_no_is_rejected(lin: Person, chen: Person, invalid: str | None) -> None:
    query: dict[str, Any] = {"session_no": invalid} if invalid is not None else {}
    for path, person in ((PATIENT_NEW_MSG, lin), (DOCTOR_NEW_MSG, chen)):
        response = get(path, person.token, member_id=1, **query)
        assert (response.status, response.code) == (400, 10001)
        assert response.error.startswith("session_no")


def test_patient_must_give_member_id(lin: Person, chen: Person) -> None:
    response = get(PATIENT_NEW_MSG, lin.token, session_no=create_session(lin, chen))
    assert response.status == 400
    assert response.error.startswith("member_id")


def test_each_path_is_limited_to_its_role(hospital: Hospital) -> None:
    session_no = create_session(hospital.lin, hospital.chen)
    query: dict[str, Any] = {"session_no": session_no, "member_id": hospital.lin.member_id}
    for person in (hospital.chen, hospital.desk, hospital.admin):
        assert get(PATIENT_NEW_MSG, person.token, **query).status == 403
    for person in (hospital.lin, hospital.desk, hospital.admin):
        assert get(DOCTOR_NEW_MSG, person.token, **query).status == 403
    assert get(PATIENT_NEW_MSG, **query).status == get(DOCTOR_NEW_MSG, **query).status == 401
