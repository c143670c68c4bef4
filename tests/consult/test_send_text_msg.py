"""send_text_msg of patients and doctors: content, idempotency and access."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.adapters import mysql
from tests.support.client import post
from tests.support.consult_client import (
    DOCTOR_TEXT,
    PATIENT_TEXT,
    create_session,
    list_as_doctor,
    list_as_patient,
    list_texts,
    send_as_doctor,
    send_as_patient,
)
from tests.support.factories import Hospital, Person


def test_patient_and_doctor_exchange_messages(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "我发烧了").data["session_no"]
    send_as_doctor(chen, session_no, "多少度？")
    assert list_texts(list_as_doctor(chen, session_no)) == ["多少度？", "我发烧了"]
    assert list_texts(list_as_patient(lin, session_no)) == ["多少度？", "我发烧了"]


def test_first_message_creates_the_session(lin: Person, chen: Person) -> None:
    assert send_as_patient(lin, chen, "在吗").data["session_no"] == create_session(lin, chen)


def test_message_goes_to_given_session(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert send_as_patient(lin, chen, "在吗", session_no=session_no).data["session_no"] == session_no


def test_message_ids_sort_by_time(lin: Person, chen: Person) -> None:
    sent = [send_as_patient(lin, chen, str(n)).data["msg_id"] for n in range(20)]
    assert sent == sorted(sent)
    assert len(set(sent)) == 20


def test_text_is_stored_unchanged(lin: Person, chen: Person) -> None:
    text = '  ‘引号’ "; DROP TABLE messages; -- \\ %s %(x)s 😷\n第二行  '
    session_no = send_as_patient(lin, chen, text).data["session_no"]
    assert list_texts(list_as_doctor(chen, session_no)) == [text]


def test_resend_returns_same_message(lin: Person, chen: Person) -> None:
    first, duplicate = send_as_patient(lin, chen, "在吗", "k1"), send_as_patient(lin, chen, "在吗", "k1")
    assert first.data == duplicate.data
    assert list_texts(list_as_patient(lin, first.data["session_no"])) == ["在吗"]


def test_client_msg_id_identifies_resend(lin: Person, chen: Person) -> None:
    first, duplicate = (send_as_patient(lin, chen, "在吗", client_msg_id="k1") for _ in range(2))
    assert first.data == duplicate.data


def test_doctors_resend_returns_same_message(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert send_as_doctor(chen, session_no, "在", "k1").data == send_as_doctor(chen, session_no, "在", "k1").data
    assert list_texts(list_as_doctor(chen, session_no)) == ["在"]


def test_text_that_is_submitted_twice_without_key_is_one_message(lin: Person, chen: Person) -> None:
    first, second = (send_as_patient(lin, chen, "在吗").data for _ in range(2))
    assert first == second
    assert list_texts(list_as_patient(lin, first["session_no"])) == ["在吗"]
    send_as_doctor(chen, first["session_no"], "在")
    assert send_as_patient(lin, chen, "在吗").data["msg_id"] != first["msg_id"]
    assert list_texts(list_as_patient(lin, first["session_no"])) == ["在吗", "在", "在吗"]


def test_equal_texts_with_keys_are_two_messages(lin: Person, chen: Person) -> None:
    send_as_patient(lin, chen, "在吗", "k1")
    session_no = send_as_patient(lin, chen, "在吗", "k2").data["session_no"]
    assert list_texts(list_as_patient(lin, session_no)) == ["在吗", "在吗"]


def test_same_key_with_another_text_is_a_conflict(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "在吗", "k1").data["session_no"]
    response = send_as_patient(lin, chen, "不在", "k1")
    assert (response.status, response.code) == (409, 10005)
    assert list_texts(list_as_patient(lin, session_no)) == ["在吗"]


def test_same_key_to_another_doctor_is_a_conflict(lin: Person, chen: Person, zhou: Person) -> None:
    send_as_patient(lin, chen, "在吗", "k1")
    assert send_as_patient(lin, zhou, "在吗", "k1").status == 409


def test_keys_of_different_senders_are_independent(lin: Person, wang: Person, chen: Person) -> None:
    assert (
        send_as_patient(lin, chen, "在吗", "k1").data["msg_id"]
        != send_as_patient(wang, chen, "在吗", "k1").data["msg_id"]
    )
    session_no = create_session(lin, chen)
    assert send_as_doctor(chen, session_no, "在", "k1").status == 200


def test_concurrent_resends_create_one_message(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: send_as_patient(lin, chen, "在吗", "k1").data["msg_id"], range(24)))
    assert len(set(sent)) == 1
    assert list_texts(list_as_patient(lin, session_no)) == ["在吗"]


def test_session_of_others_is_not_found(lin: Person, wang: Person, chen: Person, zhou: Person) -> None:
    session_no = create_session(lin, chen)
    assert send_as_patient(wang, chen, "我也在", session_no=session_no).status == 404
    assert send_as_doctor(zhou, session_no, "我也在").status == 404
    assert list_texts(list_as_patient(lin, session_no)) == []


def test_session_of_another_tenant_is_not_found(lin: Person, chen: Person, other_hospital: Hospital) -> None:
    session_no = create_session(lin, chen)
    assert send_as_doctor(other_hospital.chen, session_no, "别处").status == 404
    assert send_as_patient(other_hospital.lin, other_hospital.chen, "别处", session_no=session_no).status == 404


def test_session_is_not_found_with_another_doctor_id(lin: Person, chen: Person, zhou: Person) -> None:
    assert send_as_patient(lin, zhou, "在吗", session_no=create_session(lin, chen)).status == 404


def test_archived_conversation_can_be_read_but_not_written(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "在吗").data["session_no"]
    archive = "UPDATE conversations SET archived_at = 1 WHERE public_id = %(id)s"
    mysql.autocommit.execute(archive, id=session_no.encode())
    response = send_as_doctor(chen, session_no, "在")
    assert (response.status, response.code) == (403, 10003)
    assert list_texts(list_as_doctor(chen, session_no)) == ["在吗"]


def test_resend_into_archived_conversation_returns_same_message(lin: Person, chen: Person) -> None:
    sent = send_as_patient(lin, chen, "在吗", "k1").data
    archive = "UPDATE conversations SET archived_at = 1 WHERE public_id = %(id)s"
    mysql.autocommit.execute(archive, id=sent["session_no"].encode())
    assert send_as_patient(lin, chen, "在吗", "k1").data == sent
    assert send_as_patient(lin, chen, "在吗", "k2").status == 403


def test_disabled_doctor_gets_no_new_sessions(lin: Person, wang: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "在吗").data["session_no"]
    disable = "UPDATE staff SET disabled_at = 1 WHERE user_id = %(id)s"
    mysql.autocommit.execute(disable, id=chen.user_id)
    assert send_as_patient(wang, chen, "在吗").status == 404
    assert send_as_patient(lin, chen, "还在吗").data["session_no"] == session_no


@pytest.mark.parametrize("text", [None, "", "   \n", "字" * 4001, 5, ["在吗"], "a\x00b"])
def test_invalid_text_is_rejected(lin: Person, chen: Person, text: object) -> None:
    session_no = create_session(lin, chen)
    patients_response = post(PATIENT_TEXT, lin.token, member_id=lin.member_id, doctor_id=chen.user_id, message=text)
    doctors_response = post(DOCTOR_TEXT, chen.token, session_no=session_no, message=text)
    for response in (patients_response, doctors_response):
        assert (response.status, response.code) == (400, 10001)
        assert response.error.startswith("message：")
    assert list_texts(list_as_patient(lin, session_no)) == []


def test_4000_characters_are_accepted(lin: Person, chen: Person) -> None:
    longest = "😷" * 4000
    assert list_texts(list_as_patient(lin, send_as_patient(lin, chen, longest).data["session_no"])) == [longest]


@pytest.mark.parametrize("field", ["member_id", "doctor_id"])
def test_member_and_doctor_are_required(lin: Person, chen: Person, field: str) -> None:
    body: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": chen.user_id}
    del body[field]
    response = post(PATIENT_TEXT, lin.token, message="在吗", **body)
    assert response.status == 400
    assert response.error.startswith(field)


def test_empty_session_no_counts_as_absent(lin: Person, chen: Person) -> None:
    assert send_as_patient(lin, chen, "在吗", session_no="").data["session_no"] == create_session(lin, chen)
    response = post(DOCTOR_TEXT, chen.token, session_no="", message="在")
    assert (response.status, response.code) == (400, 10001)


@pytest.mark.parametrize("session_no", ["../x", "x" * 65, 7, "';--"])
def test_invalid_session_no_is_rejected(lin: Person, chen: Person, session_no: object) -> None:
    patients_response = send_as_patient(lin, chen, "在吗", session_no=session_no)
    doctors_response = post(DOCTOR_TEXT, chen.token, session_no=session_no, message="在")
    assert (patients_response.status, doctors_response.status) == (400, 400)
    assert doctors_response.error.startswith("session_no")


@pytest.mark.parametrize("key", ["带中文", "x" * 129, "a b"])
def test_invalid_idempotency_key_is_rejected(lin: Person, chen: Person, key: str) -> None:
    fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": chen.user_id, "message": "在吗"}
    assert post(PATIENT_TEXT, lin.token, {"Idempotency-Key": key}, **fields).status == 400
    assert post(PATIENT_TEXT, lin.token, client_msg_id=key, **fields).status == 400
