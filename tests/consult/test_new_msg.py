from typing import Any

import pytest

from chalicelib.adapters import redis
from tests.support.client import Answer, get
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


def newest_of_patient(patient: Person, session_no: str, **more: Any) -> Answer:
    query: dict[str, Any] = {"session_no": session_no, "member_id": patient.member_id, **more}
    return get(PATIENT_NEW_MSG, patient.token, **query)


def newest_of_doctor(doctor: Person, session_no: str) -> Answer:
    return get(DOCTOR_NEW_MSG, doctor.token, session_no=session_no)


def test_the_newest_message_is_the_first_of_the_list(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    for flush in (False, True):
        send_as_doctor(chen, session_no, "二")
        if flush:
            redis.get_client().flushall()
        assert newest_of_patient(lin, session_no).data == list_as_patient(lin, session_no).data[0]
        assert newest_of_doctor(chen, session_no).data == list_as_doctor(chen, session_no).data[0]


def test_nothing_said_is_null(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert newest_of_patient(lin, session_no).data is None
    assert newest_of_doctor(chen, session_no).data is None


def test_looking_at_the_newest_message_is_not_reading(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    send_as_doctor(chen, session_no, "一")
    newest_of_patient(lin, session_no)
    assert list_patient_sessions(lin)[0]["unread"] == 1


def test_a_stranger_finds_nothing(hospital: Hospital, other_hospital: Hospital) -> None:
    session_no = send_as_patient(hospital.lin, hospital.chen, "私密").data["session_no"]
    for patient in (hospital.wang, other_hospital.lin):
        assert newest_of_patient(patient, session_no).status == 404
        assert newest_of_patient(patient, session_no, member_id=hospital.lin.member_id).status == 404
    for doctor in (hospital.zhou, other_hospital.chen):
        assert newest_of_doctor(doctor, session_no).status == 404
    child = add_member(hospital.lin, "林小宝")
    assert newest_of_patient(hospital.lin, session_no, member_id=child).status == 404


@pytest.mark.parametrize("bad", [None, "", "带中文", "x" * 65])
def test_a_bad_session_no_is_refused(lin: Person, chen: Person, bad: str | None) -> None:
    query: dict[str, Any] = {"session_no": bad} if bad is not None else {}
    for path, person in ((PATIENT_NEW_MSG, lin), (DOCTOR_NEW_MSG, chen)):
        answer = get(path, person.token, member_id=1, **query)
        assert (answer.status, answer.code) == (400, 10001)
        assert answer.error.startswith("session_no")


def test_a_patient_names_the_member(lin: Person, chen: Person) -> None:
    answer = get(PATIENT_NEW_MSG, lin.token, session_no=create_session(lin, chen))
    assert answer.status == 400
    assert answer.error.startswith("member_id")


def test_each_side_asks_by_its_own_path(hospital: Hospital) -> None:
    session_no = create_session(hospital.lin, hospital.chen)
    query: dict[str, Any] = {"session_no": session_no, "member_id": hospital.lin.member_id}
    for person in (hospital.chen, hospital.desk, hospital.admin):
        assert get(PATIENT_NEW_MSG, person.token, **query).status == 403
    for person in (hospital.lin, hospital.desk, hospital.admin):
        assert get(DOCTOR_NEW_MSG, person.token, **query).status == 403
    assert get(PATIENT_NEW_MSG, **query).status == get(DOCTOR_NEW_MSG, **query).status == 401
