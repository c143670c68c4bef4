"""msg_list of patients and doctors: content, pages and access."""

import re
from typing import Any

import pytest

from chalicelib.adapters import redis
from tests.support.client import get
from tests.support.consult_client import (
    DOCTOR_LIST,
    PATIENT_LIST,
    create_session,
    list_as_doctor,
    list_as_patient,
    list_texts,
    send_as_doctor,
    send_as_patient,
)
from tests.support.factories import Hospital, Person, add_member


def test_from_to_distinguishes_sent_and_received_messages(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "我发烧了").data["session_no"]
    send_as_doctor(chen, session_no, "多少度？")
    assert [m["from_to"] for m in list_as_patient(lin, session_no).data] == [1, 0]
    assert [m["from_to"] for m in list_as_doctor(chen, session_no).data] == [0, 1]


def test_patient_sees_doctor_details_on_every_message(lin: Person, chen: Person) -> None:
    sent = send_as_patient(lin, chen, "我发烧了").data
    [message] = list_as_patient(lin, sent["session_no"]).data
    assert message == {
        "msg_id": sent["msg_id"],
        "msg_date": sent["msg_date"],
        "msg_type": 0,
        "from_to": 0,
        "message": "我发烧了",
        "res_url": "",
        "res_type": "",
        "res_displayable": True,
        "doctor_id": str(chen.user_id),
        "doctor_name": "陈医生",
        "doctor_photo_url": "",
        "withdrawn": False,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", message["msg_date"])


def test_new_session_has_no_messages(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    assert list_as_patient(lin, session_no).data == list_as_doctor(chen, session_no).data == []


def test_pages_reach_the_first_message(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    for n in range(7):
        send_as_patient(lin, chen, str(n))
    pages: list[list[str]] = []
    older: dict[str, str] = {}
    while page := list_as_doctor(chen, session_no, 3, **older).data:
        pages.append([message["message"] for message in page])
        older = {"msg_id": page[-1]["msg_id"]}
    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


@pytest.mark.parametrize("spelling", ["msg_id", "last_msg_id", "last_message_id"])
def test_each_spelling_of_msg_id_selects_older_messages(lin: Person, chen: Person, spelling: str) -> None:
    send_as_patient(lin, chen, "一")
    second = send_as_patient(lin, chen, "二").data
    assert list_texts(list_as_patient(lin, second["session_no"], **{spelling: second["msg_id"]})) == ["一"]


def test_empty_spellings_of_msg_id_are_ignored(lin: Person, chen: Person) -> None:
    send_as_patient(lin, chen, "一")
    second = send_as_patient(lin, chen, "二").data
    query: dict[str, Any] = {"msg_id": "", "last_msg_id": second["msg_id"], "last_message_id": ""}
    assert list_texts(list_as_patient(lin, second["session_no"], **query)) == ["一"]
    assert list_texts(list_as_doctor(chen, second["session_no"], **query)) == ["一"]


def test_empty_msg_id_returns_newest_page(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    assert list_texts(list_as_patient(lin, session_no, msg_id="")) == ["一"]


def test_page_has_at_most_100_messages(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    for n in range(103):
        send_as_patient(lin, chen, str(n))
    assert len(list_as_patient(lin, session_no, 5000).data) == 100


def test_session_of_others_is_not_found(lin: Person, wang: Person, chen: Person, zhou: Person) -> None:
    sent = send_as_patient(lin, chen, "私密").data
    assert list_as_patient(wang, sent["session_no"]).status == 404
    assert list_as_patient(wang, sent["session_no"], member_id=lin.member_id).status == 404
    assert list_as_doctor(zhou, sent["session_no"]).status == 404
    assert list_as_doctor(zhou, sent["session_no"], msg_id=sent["msg_id"]).status == 404


def test_denied_read_leaves_no_lasting_redis_key(lin: Person, chen: Person, zhou: Person) -> None:
    redis.get_client().flushall()
    assert list_as_doctor(zhou, create_session(lin, chen)).status == 404
    assert list_as_doctor(zhou, "no-such-session").status == 404
    lasting_keys = [key for key in redis.get_client().keys("log:*") if redis.get_client().ttl(key) > 60]
    assert lasting_keys == []


def test_session_of_another_tenant_is_not_found(lin: Person, chen: Person, other_hospital: Hospital) -> None:
    session_no = send_as_patient(lin, chen, "私密").data["session_no"]
    assert list_as_doctor(other_hospital.chen, session_no).status == 404
    assert list_as_patient(other_hospital.lin, session_no).status == 404


def test_session_is_not_found_for_another_member_of_the_account(lin: Person, chen: Person) -> None:
    child = add_member(lin, "林小宝")
    session_no = send_as_patient(lin, chen, "私密").data["session_no"]
    assert list_as_patient(lin, session_no, member_id=child).status == 404


def test_msg_id_of_another_session_is_rejected(lin: Person, wang: Person, chen: Person) -> None:
    other_msg_id = send_as_patient(wang, chen, "别处").data["msg_id"]
    session_no = send_as_patient(lin, chen, "这里").data["session_no"]
    response = list_as_doctor(chen, session_no, msg_id=other_msg_id)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("msg_id")


def test_unknown_session_is_not_found(lin: Person, chen: Person) -> None:
    assert list_as_patient(lin, "no-such-session").status == 404
    assert list_as_doctor(chen, "no-such-session").status == 404


@pytest.mark.parametrize(
    ("field", "invalid"),
    [
        ("session_no", None),
        ("session_no", ""),
        ("session_no", "带中文"),
        ("page_size", None),
        ("page_size", "0"),
        ("page_size", "-1"),
        ("page_size", "many"),
        ("page_size", "1.5"),
        ("page_size", "99999999999999999999"),
        ("msg_id", "x"),
        ("msg_id", "EDCZL-SY32-243Y-VW0"),
        ("member_id", None),
        ("member_id", "0"),
        ("member_id", "x"),
    ],
)
def test_invalid_field_is_rejected_with_its_name(lin: Person, chen: Person, field: str, invalid: str | None) -> None:
    query: dict[str, Any] = {
        "session_no": create_session(lin, chen),
        "page_size": "10",
        "member_id": str(lin.member_id),
        field: invalid,
    }
    present: dict[str, Any] = {name: value for name, value in query.items() if value is not None}
    patients_response = get(PATIENT_LIST, lin.token, **present)
    assert (patients_response.status, patients_response.code) == (400, 10001)
    assert patients_response.error.startswith(field)
    doctors_response = get(DOCTOR_LIST, chen.token, **present)
    assert doctors_response.status == (200 if field == "member_id" else 400)
