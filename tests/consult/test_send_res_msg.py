"""send_res_msg of patients and doctors: pictures."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import log, recent_cache
from tests.support import multipart_forms
from tests.support.client import post
from tests.support.consult_client import (
    DOCTOR_FILE,
    PATIENT_FILE,
    create_session,
    list_as_doctor,
    list_as_patient,
    list_doctor_sessions,
    request_form,
    send_as_patient,
    send_picture_as_doctor,
    send_picture_as_patient,
    upload_picture,
)
from tests.support.factories import Hospital, Person
from tests.support.file_samples import VALID


def test_both_participants_can_download_picture(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    sent = send_picture_as_patient(lin, chen, upload_picture(lin, session_no)).data
    assert sent["session_no"] == session_no
    assert multipart_forms.send_request("GET", sent["file_url"]).body == VALID["jpg"]
    for [message] in (list_as_patient(lin, session_no).data, list_as_doctor(chen, session_no).data):
        assert (message["msg_id"], message["msg_type"], message["message"]) == (sent["msg_id"], 1, "")
        assert multipart_forms.send_request("GET", message["res_url"]).body == VALID["jpg"]
    assert list_doctor_sessions(chen)[0]["last_message_type"] == 1
    assert list_doctor_sessions(chen)[0]["last_message"] == ""


def test_doctor_sends_picture(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    sent = send_picture_as_doctor(chen, session_no, upload_picture(chen, session_no)).data
    assert multipart_forms.send_request("GET", sent["res_url"]).body == VALID["jpg"]
    assert list_as_patient(lin, session_no).data[0]["from_to"] == 1


def test_signed_urls_are_not_stored(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    send_picture_as_patient(lin, chen, upload_picture(lin, session_no))
    list_as_patient(lin, session_no)
    cached = " ".join(redis.get_client().zrange(recent_cache.build_keys(session_no)[1], 0, -1))
    assert "files/" in cached
    assert "X-Amz-Signature" not in cached
    in_mysql = mysql.autocommit.fetch_value("SELECT COUNT(*) FROM messages WHERE object_key LIKE '%%Amz%%'")
    assert in_mysql == 0


def test_resend_returns_same_message(lin: Person, chen: Person) -> None:
    file_id = upload_picture(lin, create_session(lin, chen))
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda _: send_picture_as_patient(lin, chen, file_id, "k1"), range(8)))
    assert len({response.data["msg_id"] for response in responses}) == 1


def test_double_click_sends_one_picture(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    file_id, others = upload_picture(lin, session_no), upload_picture(chen, session_no)
    with ThreadPoolExecutor(4) as pool:
        sent = [one.data for one in pool.map(lambda _: send_picture_as_patient(lin, chen, file_id), range(4))]
    assert len({one["msg_id"] for one in sent}) == 1
    for _ in range(2):
        assert send_picture_as_doctor(chen, session_no, others).status == 200
    assert len(list_as_patient(lin, session_no).data) == 2
    assert send_picture_as_patient(lin, chen, file_id).data["msg_id"] != sent[0]["msg_id"], "after another message"


def test_same_key_with_another_picture_is_a_conflict(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    send_picture_as_patient(lin, chen, upload_picture(lin, session_no), "k1")
    assert send_picture_as_patient(lin, chen, upload_picture(lin, session_no, VALID["jpg"] + b"2"), "k1").status == 409


def test_missing_upload_is_a_conflict(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    response = send_picture_as_patient(lin, chen, request_form(lin, session_no)["fileId"])
    assert (response.status, response.code) == (409, 10005)
    assert list_as_patient(lin, session_no).data == []


def test_upload_with_other_content_is_a_conflict(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert send_picture_as_patient(lin, chen, upload_picture(lin, session_no, b"<html>")).status == 409
    assert list_as_patient(lin, session_no).data == []


def test_upload_of_others_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    lin, wang, chen, zhou = hospital.lin, hospital.wang, hospital.chen, hospital.zhou
    session_no = create_session(lin, chen)
    file_id = upload_picture(lin, session_no)
    assert send_picture_as_patient(wang, chen, file_id).status == 404
    assert send_picture_as_doctor(chen, session_no, file_id).status == 404
    assert send_picture_as_doctor(zhou, session_no, file_id).status == 404
    assert send_picture_as_patient(other_hospital.lin, other_hospital.chen, file_id).status == 404
    assert send_picture_as_patient(lin, zhou, file_id).status == 404, "the upload is of another session"
    assert send_picture_as_patient(lin, chen, file_id + 1000).status == 404


def test_withdrawn_picture_has_no_url(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    sent = send_picture_as_patient(lin, chen, upload_picture(lin, session_no)).data
    log.withdraw(lin.tenant_id, session_no, sent["msg_id"], lin.principal)
    [message] = list_as_doctor(chen, session_no).data
    assert (message["res_url"], message["message"], message["withdrawn"]) == ("", "", True)


@pytest.mark.parametrize("invalid", [None, "", "x", 0, -1, True, 1.5])
def test_invalid_file_id_is_rejected(lin: Person, chen: Person, invalid: object) -> None:
    session_no = create_session(lin, chen)
    for response in (send_picture_as_patient(lin, chen, invalid), send_picture_as_doctor(chen, session_no, invalid)):
        assert (response.status, response.code) == (400, 10001)
        assert response.error.startswith("file_id")


def test_each_path_is_limited_to_its_role(hospital: Hospital) -> None:
    lin, chen = hospital.lin, hospital.chen
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    fields = {"member_id": lin.member_id, "doctor_id": chen.user_id, "file_id": 1, "session_no": session_no}
    for person in (chen, hospital.desk, hospital.admin):
        assert post(PATIENT_FILE, person.token, **fields).status == 403
    for person in (lin, hospital.desk, hospital.admin):
        assert post(DOCTOR_FILE, person.token, **fields).status == 403
    assert post(PATIENT_FILE, **fields).status == post(DOCTOR_FILE, **fields).status == 401
