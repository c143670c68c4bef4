from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import log
from tests.support import multipart_forms
from tests.support.client import Answer, post
from tests.support.consult_client import (
    create_session,
    list_as_doctor,
    list_as_patient,
    list_doctor_sessions,
    send_as_patient,
)
from tests.support.factories import Hospital, Person
from tests.support.file_samples import VALID

PRE_UPLOAD = "/msg_service/msg/file/pre_upload"
PATIENT_FILE = "/msg_service/msg/patient/send_res_msg"
DOCTOR_FILE = "/msg_service/msg/doctor/send_res_msg"


def announced(person: Person, session_no: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"file_extension": "jpg", "file_type": "image/jpeg", "msg_session": session_no}
    return dict(post(PRE_UPLOAD, person.token, **fields).data)


def uploaded(person: Person, session_no: str, content: bytes = VALID["jpg"]) -> int:
    """Upload a picture and return its file_id."""
    form = announced(person, session_no)
    assert multipart_forms.post_form(form["url"], list(form["fields"].items()), content).status == 204
    return int(form["fileId"])


def show(patient: Person, doctor: Person, file_id: object, key: str = "", **more: object) -> Answer:
    headers = {"Idempotency-Key": key} if key else {}
    fields = {"member_id": patient.member_id, "doctor_id": doctor.user_id, "file_id": file_id, **more}
    return post(PATIENT_FILE, patient.token, headers, **fields)


def show_as_doctor(doctor: Person, session_no: str, file_id: object) -> Answer:
    return post(DOCTOR_FILE, doctor.token, session_no=session_no, file_id=file_id)


def test_a_picture_is_seen_by_both_sides(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    sent = show(lin, chen, uploaded(lin, session_no)).data
    assert sent["session_no"] == session_no
    assert multipart_forms.send_request("GET", sent["file_url"]).body == VALID["jpg"]
    for [message] in (list_as_patient(lin, session_no).data, list_as_doctor(chen, session_no).data):
        assert (message["msg_id"], message["msg_type"], message["message"]) == (sent["msg_id"], 1, "")
        assert multipart_forms.send_request("GET", message["res_url"]).body == VALID["jpg"]
    assert list_doctor_sessions(chen)[0]["last_message_type"] == 1
    assert list_doctor_sessions(chen)[0]["last_message"] == ""


def test_a_doctor_shows_a_picture(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    sent = show_as_doctor(chen, session_no, uploaded(chen, session_no)).data
    assert multipart_forms.send_request("GET", sent["res_url"]).body == VALID["jpg"]
    assert list_as_patient(lin, session_no).data[0]["from_to"] == 1


def test_links_are_signed_when_read_and_never_kept(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    show(lin, chen, uploaded(lin, session_no))
    list_as_patient(lin, session_no)
    kept = " ".join(redis.get_client().zrange(f"log:3:{{{session_no}}}:tail", 0, -1))
    assert "files/" in kept
    assert "X-Amz-Signature" not in kept
    in_mysql = mysql.autocommit.fetch_value("SELECT COUNT(*) FROM messages WHERE object_key LIKE '%%Amz%%'")
    assert in_mysql == 0


def test_a_resend_is_the_same_message(lin: Person, chen: Person) -> None:
    file_id = uploaded(lin, create_session(lin, chen))
    with ThreadPoolExecutor(4) as pool:
        sent = [answer.data["msg_id"] for answer in pool.map(lambda _: show(lin, chen, file_id, "k1"), range(8))]
    assert len(set(sent)) == 1


def test_a_key_of_another_picture_is_a_conflict(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    show(lin, chen, uploaded(lin, session_no), "k1")
    assert show(lin, chen, uploaded(lin, session_no, VALID["jpg"] + b"2"), "k1").status == 409


def test_a_picture_that_was_not_uploaded_is_not_sent(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    answer = show(lin, chen, announced(lin, session_no)["fileId"])
    assert (answer.status, answer.code) == (409, 10005)
    assert list_as_patient(lin, session_no).data == []


def test_a_web_page_is_no_picture(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert show(lin, chen, uploaded(lin, session_no, b"<html>")).status == 409
    assert list_as_patient(lin, session_no).data == []


def test_nobody_sends_anothers_upload(hospital: Hospital, other_hospital: Hospital) -> None:
    lin, wang, chen, zhou = hospital.lin, hospital.wang, hospital.chen, hospital.zhou
    session_no = create_session(lin, chen)
    file_id = uploaded(lin, session_no)
    assert show(wang, chen, file_id).status == 404
    assert show_as_doctor(chen, session_no, file_id).status == 404
    assert show_as_doctor(zhou, session_no, file_id).status == 404
    assert show(other_hospital.lin, other_hospital.chen, file_id).status == 404
    assert show(lin, zhou, file_id).status == 404, "uploaded for another session"
    assert show(lin, chen, file_id + 1000).status == 404


def test_a_withdrawn_picture_is_not_signed_again(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    sent = show(lin, chen, uploaded(lin, session_no)).data
    log.withdraw(lin.tenant_id, session_no, sent["msg_id"], lin.principal)
    [message] = list_as_doctor(chen, session_no).data
    assert (message["res_url"], message["message"], message["withdrawn"]) == ("", "", True)


@pytest.mark.parametrize("bad", [None, "", "x", 0, -1, True, 1.5])
def test_a_bad_file_id_is_refused(lin: Person, chen: Person, bad: object) -> None:
    session_no = create_session(lin, chen)
    for answer in (show(lin, chen, bad), show_as_doctor(chen, session_no, bad)):
        assert (answer.status, answer.code) == (400, 10001)
        assert answer.error.startswith("file_id")


def test_each_side_shows_by_its_own_path(hospital: Hospital) -> None:
    lin, chen = hospital.lin, hospital.chen
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    fields = {"member_id": lin.member_id, "doctor_id": chen.user_id, "file_id": 1, "session_no": session_no}
    for person in (chen, hospital.desk, hospital.admin):
        assert post(PATIENT_FILE, person.token, **fields).status == 403
    for person in (lin, hospital.desk, hospital.admin):
        assert post(DOCTOR_FILE, person.token, **fields).status == 403
    assert post(PATIENT_FILE, **fields).status == post(DOCTOR_FILE, **fields).status == 401
