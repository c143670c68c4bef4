from typing import Any
from unittest.mock import patch

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.consult import session_cache, store
from chalicelib.messaging import ids
from tests.support import factories
from tests.support.client import get
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


def test_a_patient_sees_sessions_by_their_last_message(lin: Person, chen: Person, zhou: Person) -> None:
    with_chen = send_as_patient(lin, chen, "一").data
    with_zhou = send_as_patient(lin, zhou, "二").data
    answer = send_as_doctor(chen, with_chen["session_no"], "三").data
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
        "last_message_date": answer["msg_date"],
        "last_msg_id": answer["msg_id"],
        "last_message_id": answer["msg_id"],
        "unread": 1,
    }
    assert (second["session_no"], second["last_message"], second["unread"]) == (with_zhou["session_no"], "二", 0)


def test_a_doctor_sees_who_asks_with_the_phone_masked(lin: Person, chen: Person) -> None:
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
            "last_message": "我发烧了",
            "last_message_type": 0,
            "last_msg_date": sent["msg_date"],
            "last_msg_id": sent["msg_id"],
            "unread": 1,
        }
    ]


def test_reading_takes_the_unread_away(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    send_as_doctor(chen, session_no, "二")
    assert (list_patient_sessions(lin)[0]["unread"], list_doctor_sessions(chen)[0]["unread"]) == (1, 1)
    list_as_patient(lin, session_no)
    list_as_doctor(chen, session_no)
    assert (list_patient_sessions(lin)[0]["unread"], list_doctor_sessions(chen)[0]["unread"]) == (0, 0)


def test_a_session_is_listed_from_its_first_message_on(lin: Person, chen: Person) -> None:
    create_session(lin, chen)
    assert list_patient_sessions(lin) == list_doctor_sessions(chen) == []
    send_as_patient(lin, chen, "在吗")
    assert len(list_patient_sessions(lin)) == len(list_doctor_sessions(chen)) == 1


def test_a_new_session_appears_at_once_in_a_list_that_was_just_read(lin: Person, chen: Person, zhou: Person) -> None:
    send_as_patient(lin, chen, "一")
    assert len(list_patient_sessions(lin)) == 1
    send_as_patient(lin, zhou, "二")
    assert len(list_patient_sessions(lin)) == 2
    assert len(list_doctor_sessions(zhou)) == 1


def test_a_patient_finds_a_doctor_by_part_of_the_name(lin: Person, chen: Person, zhou: Person) -> None:
    send_as_patient(lin, chen, "一")
    send_as_patient(lin, zhou, "二")
    assert [s["doctor_name"] for s in list_patient_sessions(lin, doctor_name="陈")] == ["陈医生"]
    assert len(list_patient_sessions(lin, doctor_name="")) == 2
    assert list_patient_sessions(lin, doctor_name="%") == []


def test_a_doctors_list_has_pages(hospital: Hospital, chen: Person) -> None:
    patients = [factories.create_patient(hospital.tenant_id, f"1370000000{n}", f"病人{n}") for n in range(5)]
    for patient in patients:
        send_as_patient(patient, chen, "您好")
    pages: list[list[str]] = []
    older_than: dict[str, str] = {}
    while page := list_doctor_sessions(chen, 2, **older_than):
        pages.append([session["member_name"] for session in page])
        older_than = {"msg_id": page[-1]["last_msg_id"]}
    assert pages == [["病人4", "病人3"], ["病人2", "病人1"], ["病人0"]]


def test_a_list_too_long_to_keep_has_the_same_pages(
    hospital: Hospital, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_cache, "MAX_CACHED_SESSIONS", 1)
    test_a_doctors_list_has_pages(hospital, chen)


def test_a_long_list_is_read_by_its_doctor(hospital: Hospital, chen: Person) -> None:
    """Whatever the database chooses first, it begins with one doctor's rows and never with a whole table."""
    send_as_patient(hospital.lin, chen, "您好")
    with_plan = mysql.run_autocommit(lambda tx: _plan(tx, chen.user_id))
    assert {row["table"] for row in with_plan} >= {"s", "c", "own"}
    assert [row["table"] for row in with_plan if row["type"] in ("ALL", "index")] == []


def _plan(tx: Tx, doctor_id: int) -> list[Row]:
    asked: list[str] = []
    real = tx._cursor.execute

    def execute(sql: str, args: Any = None) -> int:
        asked.append(tx._cursor.mogrify(sql, args))
        return real(sql, args)

    with patch.object(tx._cursor, "execute", execute):
        store.list_recent_by_doctor(tx, doctor_id, (ids.TICK_LIMIT, 0), 20)
    return tx.fetch_all(f"EXPLAIN {asked[0].replace('%', '%%')}")


def test_lists_are_the_same_after_a_flush(lin: Person, chen: Person, zhou: Person) -> None:
    session_no = send_as_patient(lin, chen, "一").data["session_no"]
    send_as_patient(lin, zhou, "二")
    send_as_doctor(chen, session_no, "三")
    before = list_patient_sessions(lin), list_doctor_sessions(chen)
    redis.get_client().flushall()
    assert (list_patient_sessions(lin), list_doctor_sessions(chen)) == before


def test_the_newest_session_is_the_first_of_the_list(lin: Person, chen: Person, zhou: Person) -> None:
    assert get(PATIENT_NEW_SESSION, lin.token).data is None
    assert get(DOCTOR_NEW_SESSION, chen.token).data is None
    send_as_patient(lin, chen, "一")
    send_as_patient(lin, zhou, "二")
    assert get(PATIENT_NEW_SESSION, lin.token).data == list_patient_sessions(lin)[0]
    assert get(DOCTOR_NEW_SESSION, chen.token).data == list_doctor_sessions(chen)[0]


def test_nobody_sees_anothers_sessions(hospital: Hospital, other_hospital: Hospital) -> None:
    send_as_patient(hospital.lin, hospital.chen, "私密")
    assert list_patient_sessions(hospital.wang) == list_doctor_sessions(hospital.zhou) == []
    assert list_patient_sessions(other_hospital.lin) == list_doctor_sessions(other_hospital.chen) == []


@pytest.mark.parametrize(
    ("field", "bad"), [("page_size", None), ("page_size", "0"), ("page_size", "x"), ("msg_id", "x")]
)
def test_a_bad_field_is_refused_by_name(chen: Person, field: str, bad: str | None) -> None:
    query: dict[str, Any] = {
        name: value for name, value in {"page_size": "10", field: bad}.items() if value is not None
    }
    answer = get(DOCTOR_SESSIONS, chen.token, **query)
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith(field)


def test_an_empty_msg_id_is_the_first_page(lin: Person, chen: Person) -> None:
    send_as_patient(lin, chen, "一")
    assert len(list_doctor_sessions(chen, msg_id="")) == 1


def test_a_name_is_not_endless(lin: Person) -> None:
    assert get(PATIENT_SESSIONS, lin.token, doctor_name="陈" * 65).status == 400


@pytest.mark.parametrize("path", [PATIENT_SESSIONS, PATIENT_NEW_SESSION, DOCTOR_SESSIONS, DOCTOR_NEW_SESSION])
def test_each_side_has_its_own_lists(hospital: Hospital, path: str) -> None:
    people = {"patient": hospital.lin, "doctor": hospital.chen, "desk": hospital.desk, "admin": hospital.admin}
    allowed = "patient" if "/patient/" in path else "doctor"
    for kind, person in people.items():
        assert get(path, person.token, page_size=10).status == (200 if kind == allowed else 403)
    assert get(path, page_size=10).status == 401
