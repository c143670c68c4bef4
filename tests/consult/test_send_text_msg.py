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


def test_a_patient_asks_and_the_doctor_answers(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "我发烧了").data["session_no"]
    send_as_doctor(chen, session_no, "多少度？")
    assert list_texts(list_as_doctor(chen, session_no)) == ["多少度？", "我发烧了"]
    assert list_texts(list_as_patient(lin, session_no)) == ["多少度？", "我发烧了"]


def test_the_first_text_opens_the_session_that_insert_session_finds(lin: Person, chen: Person) -> None:
    assert send_as_patient(lin, chen, "在吗").data["session_no"] == create_session(lin, chen)


def test_a_text_goes_into_the_session_it_names(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert send_as_patient(lin, chen, "在吗", session_no=session_no).data["session_no"] == session_no


def test_ids_sort_in_the_order_of_the_messages(lin: Person, chen: Person) -> None:
    sent = [send_as_patient(lin, chen, str(n)).data["msg_id"] for n in range(20)]
    assert sent == sorted(sent)
    assert len(set(sent)) == 20


def test_a_text_is_kept_as_it_was_written(lin: Person, chen: Person) -> None:
    written = '  ‘引号’ "; DROP TABLE messages; -- \\ %s %(x)s 😷\n第二行  '
    session_no = send_as_patient(lin, chen, written).data["session_no"]
    assert list_texts(list_as_doctor(chen, session_no)) == [written]


def test_a_resend_is_the_same_message(lin: Person, chen: Person) -> None:
    first, again = send_as_patient(lin, chen, "在吗", "k1"), send_as_patient(lin, chen, "在吗", "k1")
    assert first.data == again.data
    assert list_texts(list_as_patient(lin, first.data["session_no"])) == ["在吗"]


def test_client_msg_id_names_a_resend_too(lin: Person, chen: Person) -> None:
    first, again = (send_as_patient(lin, chen, "在吗", client_msg_id="k1") for _ in range(2))
    assert first.data == again.data


def test_a_doctors_resend_is_the_same_message(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert send_as_doctor(chen, session_no, "在", "k1").data == send_as_doctor(chen, session_no, "在", "k1").data
    assert list_texts(list_as_doctor(chen, session_no)) == ["在"]


def test_without_a_key_equal_texts_are_two_messages(lin: Person, chen: Person) -> None:
    send_as_patient(lin, chen, "在吗")
    session_no = send_as_patient(lin, chen, "在吗").data["session_no"]
    assert list_texts(list_as_patient(lin, session_no)) == ["在吗", "在吗"]


def test_the_same_key_with_another_text_is_a_conflict(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "在吗", "k1").data["session_no"]
    answer = send_as_patient(lin, chen, "不在", "k1")
    assert (answer.status, answer.code) == (409, 10005)
    assert list_texts(list_as_patient(lin, session_no)) == ["在吗"]


def test_the_same_key_to_another_doctor_is_a_conflict(lin: Person, chen: Person, zhou: Person) -> None:
    send_as_patient(lin, chen, "在吗", "k1")
    assert send_as_patient(lin, zhou, "在吗", "k1").status == 409


def test_two_people_may_choose_one_key(lin: Person, wang: Person, chen: Person) -> None:
    assert (
        send_as_patient(lin, chen, "在吗", "k1").data["msg_id"]
        != send_as_patient(wang, chen, "在吗", "k1").data["msg_id"]
    )
    session_no = create_session(lin, chen)
    assert send_as_doctor(chen, session_no, "在", "k1").status == 200


def test_one_key_sent_many_times_at_once_is_one_message(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: send_as_patient(lin, chen, "在吗", "k1").data["msg_id"], range(24)))
    assert len(set(sent)) == 1
    assert list_texts(list_as_patient(lin, session_no)) == ["在吗"]


def test_a_stranger_finds_no_session(lin: Person, wang: Person, chen: Person, zhou: Person) -> None:
    session_no = create_session(lin, chen)
    assert send_as_patient(wang, chen, "我也在", session_no=session_no).status == 404
    assert send_as_doctor(zhou, session_no, "我也在").status == 404
    assert list_texts(list_as_patient(lin, session_no)) == []


def test_another_tenant_finds_no_session(lin: Person, chen: Person, other_hospital: Hospital) -> None:
    session_no = create_session(lin, chen)
    assert send_as_doctor(other_hospital.chen, session_no, "别处").status == 404
    assert send_as_patient(other_hospital.lin, other_hospital.chen, "别处", session_no=session_no).status == 404


def test_a_session_is_not_found_under_another_doctor(lin: Person, chen: Person, zhou: Person) -> None:
    assert send_as_patient(lin, zhou, "在吗", session_no=create_session(lin, chen)).status == 404


def test_an_archived_conversation_is_read_but_not_written(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "在吗").data["session_no"]
    archive = "UPDATE conversations SET archived_at = 1 WHERE public_id = %(id)s"
    mysql.autocommit.execute(archive, id=session_no.encode())
    answer = send_as_doctor(chen, session_no, "在")
    assert (answer.status, answer.code) == (403, 10003)
    assert list_texts(list_as_doctor(chen, session_no)) == ["在吗"]


def test_a_resend_into_an_archived_conversation_is_still_the_same_message(lin: Person, chen: Person) -> None:
    sent = send_as_patient(lin, chen, "在吗", "k1").data
    archive = "UPDATE conversations SET archived_at = 1 WHERE public_id = %(id)s"
    mysql.autocommit.execute(archive, id=sent["session_no"].encode())
    assert send_as_patient(lin, chen, "在吗", "k1").data == sent
    assert send_as_patient(lin, chen, "在吗", "k2").status == 403


def test_a_doctor_who_has_left_begins_nothing_new(lin: Person, wang: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "在吗").data["session_no"]
    leave = "UPDATE staff SET disabled_at = 1 WHERE user_id = %(id)s"
    mysql.autocommit.execute(leave, id=chen.user_id)
    assert send_as_patient(wang, chen, "在吗").status == 404
    assert send_as_patient(lin, chen, "还在吗").data["session_no"] == session_no


@pytest.mark.parametrize("text", [None, "", "   \n", "字" * 4001, 5, ["在吗"], "a\x00b"])
def test_a_text_is_neither_blank_nor_endless(lin: Person, chen: Person, text: object) -> None:
    session_no = create_session(lin, chen)
    by_patient = post(PATIENT_TEXT, lin.token, member_id=lin.member_id, doctor_id=chen.user_id, message=text)
    by_doctor = post(DOCTOR_TEXT, chen.token, session_no=session_no, message=text)
    for answer in (by_patient, by_doctor):
        assert (answer.status, answer.code) == (400, 10001)
        assert answer.error.startswith("message：")
    assert list_texts(list_as_patient(lin, session_no)) == []


def test_four_thousand_characters_fit(lin: Person, chen: Person) -> None:
    longest = "😷" * 4000
    assert list_texts(list_as_patient(lin, send_as_patient(lin, chen, longest).data["session_no"])) == [longest]


@pytest.mark.parametrize("field", ["member_id", "doctor_id"])
def test_both_sides_must_be_named(lin: Person, chen: Person, field: str) -> None:
    named: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": chen.user_id}
    del named[field]
    answer = post(PATIENT_TEXT, lin.token, message="在吗", **named)
    assert answer.status == 400
    assert answer.error.startswith(field)


def test_an_empty_session_no_is_none(lin: Person, chen: Person) -> None:
    assert send_as_patient(lin, chen, "在吗", session_no="").data["session_no"] == create_session(lin, chen)
    answer = post(DOCTOR_TEXT, chen.token, session_no="", message="在")
    assert (answer.status, answer.code) == (400, 10001)


@pytest.mark.parametrize("session_no", ["../x", "x" * 65, 7, "';--"])
def test_a_bad_session_no_is_refused(lin: Person, chen: Person, session_no: object) -> None:
    by_patient = send_as_patient(lin, chen, "在吗", session_no=session_no)
    by_doctor = post(DOCTOR_TEXT, chen.token, session_no=session_no, message="在")
    assert (by_patient.status, by_doctor.status) == (400, 400)
    assert by_doctor.error.startswith("session_no")


@pytest.mark.parametrize("key", ["", "带中文", "x" * 129, "a b"])
def test_a_bad_key_is_refused(lin: Person, chen: Person, key: str) -> None:
    fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": chen.user_id, "message": "在吗"}
    assert post(PATIENT_TEXT, lin.token, {"Idempotency-Key": key}, **fields).status == 400
    assert post(PATIENT_TEXT, lin.token, client_msg_id=key, **fields).status == 400
