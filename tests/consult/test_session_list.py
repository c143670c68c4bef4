"""session_list and new_session of patients and doctors."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.consult import session_cache, store
from chalicelib.messaging import ids
from tests.support import factories
from tests.support.accounts_client import MEMBER
from tests.support.client import get, post
from tests.support.consult_client import (
    DOCTOR_NEW_SESSION,
    DOCTOR_SESSIONS,
    PATIENT_NEW_SESSION,
    PATIENT_SESSIONS,
    create_session,
    list_as_doctor,
    list_as_patient,
    list_doctor_sessions,
    list_patient_sessions,
    send_as_doctor,
    send_as_patient,
)
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_id_number
from tests.support.long_lists import insert_sessions
from tests.support.row_reads import count_rows_read


def test_patients_sessions_are_sorted_by_newest_message(lin: Person, chen: Person, zhou: Person) -> None:
    with_chen = send_as_patient(lin, chen, "一").data
    with_zhou = send_as_patient(lin, zhou, "二").data
    response = send_as_doctor(chen, with_chen["session_no"], "三").data
    first, second = list_patient_sessions(lin)
    assert first == {
        "session_id": with_chen["session_no"],
        "session_no": with_chen["session_no"],
        "doctor_id": str(chen.user_id),
        "doctor_name": "陈医生",
        "doctor_photo_url": "",
        "duty_code": "2",
        "member_id": str(lin.member_id),
        "member_name": "林小雨",
        "last_message": "三",
        "last_message_type": 0,
        "last_message_date": response["msg_date"],
        "last_msg_id": response["msg_id"],
        "last_message_id": response["msg_id"],
        "unread": 1,
    }
    assert (second["session_no"], second["last_message"], second["unread"]) == (with_zhou["session_no"], "二", 0)


def test_doctor_sees_member_details_with_masked_phone(lin: Person, chen: Person) -> None:
    sent = send_as_patient(lin, chen, "我发烧了").data
    assert list_doctor_sessions(chen) == [
        {
            "session_id": sent["session_no"],
            "session_no": sent["session_no"],
            "member_id": str(lin.member_id),
            "member_name": "林小雨",
            "member_photo_url": "",
            "gender": 2,
            "age": "36岁",
            "phone": "138****0001",
            "member_verified": False,
            "guardian_name": "",
            "guardian_phone": "",
            "last_message": "我发烧了",
            "last_message_type": 0,
            "last_msg_date": sent["msg_date"],
            "last_msg_id": sent["msg_id"],
            "unread": 1,
        }
    ]


def test_reading_resets_unread_count(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    send_as_doctor(chen, session_no, "二")
    assert (list_patient_sessions(lin)[0]["unread"], list_doctor_sessions(chen)[0]["unread"]) == (1, 1)
    list_as_patient(lin, session_no)
    list_as_doctor(chen, session_no)
    assert (list_patient_sessions(lin)[0]["unread"], list_doctor_sessions(chen)[0]["unread"]) == (0, 0)


def test_new_session_is_listed_at_once(lin: Person, chen: Person, zhou: Person) -> None:
    send_as_patient(lin, zhou, "一")
    assert (len(list_patient_sessions(lin)), list_doctor_sessions(chen)) == (1, []), "both lists are cached"
    session_no = create_session(lin, chen)
    [first, second] = list_patient_sessions(lin)
    names = ("session_no", "last_message", "last_message_type", "last_msg_id", "last_message_id", "unread")
    assert [first[name] for name in names] == [session_no, "", 0, "", "", 0]
    assert (first["doctor_name"], second["doctor_name"]) == ("陈医生", "周医生")
    assert first["last_message_date"] >= second["last_message_date"]
    [found] = list_doctor_sessions(chen)
    doctors_names = ("session_no", "member_name", "last_message", "last_message_type", "unread")
    assert [found[name] for name in doctors_names] == [session_no, "林小雨", "", 0, 0]
    assert found["last_msg_date"] == first["last_message_date"]
    assert get(PATIENT_NEW_SESSION, lin.token).data == first
    assert get(DOCTOR_NEW_SESSION, chen.token).data == found
    redis.get_client().flushall()
    assert (list_patient_sessions(lin), list_doctor_sessions(chen)) == ([first, second], [found])
    send_as_patient(lin, zhou, "二")
    assert [one["doctor_name"] for one in list_patient_sessions(lin)] == ["周医生", "陈医生"]
    send_as_doctor(chen, session_no, "三")
    assert list_patient_sessions(lin)[0]["last_message"] == "三"


def test_position_of_a_new_session_is_accepted_as_message_id(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    position = list_doctor_sessions(chen)[0]["last_msg_id"]
    assert list_as_doctor(chen, session_no, msg_id=position).data == []
    send_as_patient(lin, chen, "一")
    assert list_as_doctor(chen, session_no, msg_id=position).data == []


def test_new_session_invalidates_cached_list(lin: Person, chen: Person, zhou: Person) -> None:
    send_as_patient(lin, chen, "一")
    assert len(list_patient_sessions(lin)) == 1
    send_as_patient(lin, zhou, "二")
    assert len(list_patient_sessions(lin)) == 2
    assert len(list_doctor_sessions(zhou)) == 1


def test_doctor_name_filters_by_substring(lin: Person, chen: Person, zhou: Person) -> None:
    send_as_patient(lin, chen, "一")
    send_as_patient(lin, zhou, "二")
    assert [s["doctor_name"] for s in list_patient_sessions(lin, doctor_name="陈")] == ["陈医生"]
    assert len(list_patient_sessions(lin, doctor_name="")) == 2
    assert list_patient_sessions(lin, doctor_name="%") == []


def test_doctors_list_has_pages(hospital: Hospital, chen: Person) -> None:
    patients = [factories.create_patient(hospital.tenant_id, f"1370000000{n}", f"病人{n}") for n in range(5)]
    for number, patient in enumerate(patients):
        create_session(patient, chen)
        if number % 2:  # the others have no messages
            send_as_patient(patient, chen, "您好")
    pages: list[list[str]] = []
    older: dict[str, str] = {}
    while page := list_doctor_sessions(chen, 2, **older):
        pages.append([session["member_name"] for session in page])
        older = {"msg_id": page[-1]["last_msg_id"]}
    assert pages == [["病人4", "病人3"], ["病人2", "病人1"], ["病人0"]]


def test_list_too_long_for_the_cache_has_same_pages(
    hospital: Hospital, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_cache, "MAX_CACHED_SESSIONS", 1)
    test_doctors_list_has_pages(hospital, chen)


@pytest.mark.parametrize("before", [(ids.TICK_LIMIT, 0), (ids.compute_first_tick(clock.now()), 5)])
def test_page_of_a_long_list_reads_as_many_rows_as_one_of_a_short_list(
    lin: Person, chen: Person, zhou: Person, before: tuple[int, int]
) -> None:
    for doctor, number in ((chen, 60), (zhou, 2_000)):
        insert_sessions(doctor, lin.member_id, number)
    mysql.autocommit.fetch_all("ANALYZE TABLE participants, conversations, messages, consult_sessions, members")

    def count_reads(tx: Tx, doctor: Person) -> int:
        sessions, reads = count_rows_read(
            tx, lambda: store.list_recent_by_doctor(tx, doctor.tenant_id, doctor.user_id, before, 20)
        )
        assert len(sessions) == 20
        return reads

    few = mysql.run_autocommit(lambda tx: count_reads(tx, chen))
    many = mysql.run_autocommit(lambda tx: count_reads(tx, zhou))
    assert many <= few + 20


def test_lists_are_equal_after_redis_is_flushed(lin: Person, chen: Person, zhou: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    send_as_patient(lin, zhou, "二")
    send_as_doctor(chen, session_no, "三")
    before = list_patient_sessions(lin), list_doctor_sessions(chen)
    redis.get_client().flushall()
    assert (list_patient_sessions(lin), list_doctor_sessions(chen)) == before


def test_newest_session_equals_first_of_list(lin: Person, chen: Person, zhou: Person) -> None:
    assert get(PATIENT_NEW_SESSION, lin.token).data is None
    assert get(DOCTOR_NEW_SESSION, chen.token).data is None
    send_as_patient(lin, chen, "一")
    send_as_patient(lin, zhou, "二")
    assert get(PATIENT_NEW_SESSION, lin.token).data == list_patient_sessions(lin)[0]
    assert get(DOCTOR_NEW_SESSION, chen.token).data == list_doctor_sessions(chen)[0]


def test_sessions_of_others_are_not_listed(hospital: Hospital, other_hospital: Hospital) -> None:
    send_as_patient(hospital.lin, hospital.chen, "私密")
    assert list_patient_sessions(hospital.wang) == list_doctor_sessions(hospital.zhou) == []
    assert list_patient_sessions(other_hospital.lin) == list_doctor_sessions(other_hospital.chen) == []


@pytest.mark.parametrize(
    ("field", "invalid"), [("page_size", None), ("page_size", "0"), ("page_size", "x"), ("msg_id", "x")]
)
def test_invalid_field_is_rejected_with_its_name(chen: Person, field: str, invalid: str | None) -> None:
    query: dict[str, Any] = {
        name: value for name, value in {"page_size": "10", field: invalid}.items() if value is not None
    }
    response = get(DOCTOR_SESSIONS, chen.token, **query)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(field)


def test_empty_msg_id_returns_first_page(lin: Person, chen: Person) -> None:
    send_as_patient(lin, chen, "一")
    assert len(list_doctor_sessions(chen, msg_id="")) == 1


def test_too_long_doctor_name_is_rejected(lin: Person) -> None:
    assert get(PATIENT_SESSIONS, lin.token, doctor_name="陈" * 65).status == 400


@pytest.mark.parametrize("path", [PATIENT_SESSIONS, PATIENT_NEW_SESSION, DOCTOR_SESSIONS, DOCTOR_NEW_SESSION])
def test_each_path_is_limited_to_its_role(hospital: Hospital, path: str) -> None:
    people = {"patient": hospital.lin, "doctor": hospital.chen, "desk": hospital.desk, "admin": hospital.admin}
    allowed = "patient" if "/patient/" in path else "doctor"
    for kind, person in people.items():
        assert get(path, person.token, page_size=10).status == (200 if kind == allowed else 403)
    assert get(path, page_size=10).status == 401


def test_doctor_sees_whether_the_member_is_verified(lin: Person, wang: Person, chen: Person) -> None:
    factories.create_patient_file(lin)
    factories.create_patient_file(wang, is_verified=False)
    for patient in (lin, wang):
        send_as_patient(patient, chen, "您好")
    assert [one["member_verified"] for one in list_doctor_sessions(chen)] == [False, True]


@pytest.mark.parametrize(("days", "shown"), [(365 * 5, True), (366 * 6, False)])
def test_doctor_sees_the_guardian_of_a_small_child(lin: Person, chen: Person, days: int, shown: bool) -> None:
    birthday = clock.today() - timedelta(days)
    guardian = {"name": "林大山", "IDNo": build_id_number(), "phone": "13800000009", "relation": 3, "consent": True}
    fields: dict[str, Any] = {"name": "林小宝", "gender": 1, "birthday": f"{birthday}", "IDNo": ""}
    fields |= {"phone": "13800000008", "guardian": guardian}
    child = replace(lin, member_id=post(MEMBER, lin.token, **fields).data["memberId"])
    send_as_patient(child, chen, "您好")
    [one] = list_doctor_sessions(chen)
    assert one["phone"] == "138****0008"
    assert (one["guardian_name"], one["guardian_phone"]) == (("林大山", "138****0009") if shown else ("", ""))
    [session] = get(PATIENT_SESSIONS, lin.token).data
    assert "guardian_name" not in session


def test_redis_has_no_phone_in_plain_text(lin: Person, chen: Person) -> None:
    session_no, client, version = create_session(lin, chen), redis.get_client(), session_cache.SCHEMA_VERSION
    keys = (f"consults:{version}:{{{chen.principal}}}", f"consult:{version}:{{{session_no}}}")
    send_as_patient(lin, chen, "您好")
    client.delete(keys[0])  # the new session's tombstone
    assert list_doctor_sessions(chen)[0]["phone"] == "138****0001"
    list_as_doctor(chen, session_no)
    stored = [str(client.get(key)) for key in keys]
    assert [(session_no in text, "13800000001" in text) for text in stored] == [(True, False)] * 2
