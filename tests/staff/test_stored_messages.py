"""Consultations of closed accounts: read by doctors and admins, each time for a logged reason."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.audit import audit_log
from tests.support import consult_client, factories, helpdesk_client
from tests.support.factories import Hospital, Person
from tests.support.staff_client import get_stored_messages

pytestmark = pytest.mark.store


@pytest.fixture
def session_no(lin: Person, chen: Person) -> str:
    """A consultation with two texts, of an account that is closed afterwards (by `close`)."""
    factories.create_patient_file(lin)
    session_no = consult_client.create_session(lin, chen)
    consult_client.send_as_patient(lin, chen, "我发烧两天了")
    consult_client.send_as_doctor(chen, session_no, "多喝水")
    return session_no


def close(patient: Person) -> None:
    """Mark an account as closed, and its members as removed."""
    for table, end in (("accounts", "closed_at = 1000000"), ("members", "live = NULL, removed_at = 1000000")):
        mysql.autocommit.execute(f"UPDATE {table} SET {end} WHERE user_id = %(id)s", id=patient.user_id)


def get_pati_id(patient: Person) -> int:
    sql = "SELECT pati_id FROM members WHERE member_id = %(id)s"
    return int(mysql.autocommit.fetch_value(sql, id=patient.member_id))


def list_audit_entries(hospital: Hospital) -> list[Row]:
    sql = "SELECT actor, action, subject, reason FROM audit_log WHERE tenant_id = %(id)s ORDER BY entry_id"
    return mysql.autocommit.fetch_all(sql, id=hospital.tenant_id)


def test_messages_are_shown_with_who_wrote_them(hospital: Hospital, lin: Person, session_no: str) -> None:
    close(lin)
    for query in ({"session_no": session_no}, {"pati_id": get_pati_id(lin)}):
        found = get_stored_messages(hospital.zhou, **query).data
        shown = [(one["from_doctor"], one["message"], one["msg_type"]) for one in found["list"]]
        assert shown == [(True, "多喝水", 0), (False, "我发烧两天了", 0)]
        assert found["session_no"] == session_no
        [session] = found["sessions"]
        assert (session["member_name"], session["doctor_name"]) == ("林小雨", "陈医生")
        assert session["closed_date"] == "1970-01-01 08:00:01"


def test_each_reading_is_logged_with_its_reason(hospital: Hospital, lin: Person, session_no: str) -> None:
    close(lin)
    for who, reason in ((hospital.chen, "复诊"), (hospital.admin, "司法调取")):
        assert get_stored_messages(who, reason, session_no=session_no).status == 200
    subject = f"patient:{get_pati_id(lin)}".encode()
    assert [tuple(row.values()) for row in list_audit_entries(hospital)] == [
        (hospital.chen.principal.encode(), "read_stored_messages", subject, "复诊"),
        (hospital.admin.principal.encode(), "read_stored_messages", subject, "司法调取"),
    ]


def test_messages_are_not_shown_if_the_log_cannot_be_written(
    hospital: Hospital, lin: Person, session_no: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    close(lin)

    def raise_error(*_: Any, **__: Any) -> None:
        raise mysql.StatementError(1114, "The table 'audit_log' is full")

    monkeypatch.setattr(audit_log, "insert_entry", raise_error)
    response = get_stored_messages(hospital.admin, session_no=session_no)
    assert (response.status, "多喝水" in str(response.body)) == (500, False)


def test_consultations_of_open_accounts_and_other_hospitals_are_not_found(
    hospital: Hospital, other_hospital: Hospital, lin: Person, session_no: str
) -> None:
    pati_id = get_pati_id(lin)
    unknown = "87ba7679-b682-47e7-8499-0385dda22b66"
    responses = [get_stored_messages(hospital.chen, session_no=session_no)]
    responses += [get_stored_messages(hospital.admin, **one) for one in ({"pati_id": pati_id}, {"session_no": unknown})]
    close(lin)
    responses += [get_stored_messages(other_hospital.admin, session_no=session_no)]
    responses += [get_stored_messages(other_hospital.admin, pati_id=pati_id)]
    responses += [get_stored_messages(hospital.admin, pati_id=pati_id, session_no=unknown)]
    assert {(one.status, one.code, one.error) for one in responses} == {(404, 10004, "没有已注销账号的这次问诊")}
    assert list_audit_entries(hospital) == list_audit_entries(other_hospital) == []


def test_patients_and_service_staff_may_not_read_them(hospital: Hospital, lin: Person, session_no: str) -> None:
    close(lin)
    for who in (hospital.wang, hospital.desk):
        assert get_stored_messages(who, session_no=session_no).status == 403
    assert list_audit_entries(hospital) == []


def test_all_consultations_of_the_file_are_listed_the_last_first(
    hospital: Hospital, lin: Person, session_no: str
) -> None:
    later = consult_client.create_session(lin, hospital.zhou)
    close(lin)
    pati_id = get_pati_id(lin)
    found = get_stored_messages(hospital.admin, pati_id=pati_id).data
    assert [one["session_no"] for one in found["sessions"]] == [later, session_no]
    assert (found["session_no"], found["list"]) == (later, [])
    found = get_stored_messages(hospital.admin, pati_id=pati_id, session_no=session_no).data
    assert [one["message"] for one in found["list"]] == ["多喝水", "我发烧两天了"]


def test_pages_continue_after_msg_id(hospital: Hospital, lin: Person, chen: Person, session_no: str) -> None:
    for number in range(3):
        consult_client.send_as_patient(lin, chen, str(number))
    close(lin)
    pages, last = [], ""
    while page := get_stored_messages(chen, session_no=session_no, page_size=2, msg_id=last).data["list"]:
        pages.append([one["message"] for one in page])
        last = page[-1]["msg_id"]
    assert pages == [["2", "1"], ["0", "多喝水"], ["我发烧两天了"]]
    other = consult_client.send_as_patient(hospital.wang, chen, "您好").data["msg_id"]
    response = get_stored_messages(chen, session_no=session_no, msg_id=other)
    assert (response.status, response.error) == (400, "msg_id：不是该会话的消息")


def test_withdrawn_messages_have_no_content_and_pictures_a_link(
    hospital: Hospital, lin: Person, chen: Person, session_no: str
) -> None:
    file_id = consult_client.upload_picture(lin, session_no)
    consult_client.send_picture_as_patient(lin, chen, file_id)
    wrong = consult_client.send_as_patient(lin, chen, "说错了").data["msg_id"]
    helpdesk_client.call_messagecenter(lin, "withdrawMessage", messageId=wrong, userType=2)
    close(lin)
    withdrawn, picture, *_ = get_stored_messages(hospital.admin, session_no=session_no).data["list"]
    assert (withdrawn["message"], withdrawn["withdrawn"]) == ("", True)
    assert (picture["msg_type"], picture["message"], picture["res_url"].startswith("http")) == (1, "", True)


@pytest.mark.parametrize(
    ("field", "query"),
    [
        *(("reason", {"reason": one}) for one in ("", "查", "x" * 256)),
        *(("pati_id", {"session_no": "", "pati_id": one}) for one in ("", "x", "-1")),
        *(("session_no", {"session_no": one}) for one in ("a b", "x" * 65)),
        *(("msg_id", {"msg_id": one}) for one in ("x", "7")),
        ("page_size", {"page_size": "x"}),
    ],
)
def test_invalid_field_is_named(hospital: Hospital, field: str, query: dict[str, Any]) -> None:
    response = get_stored_messages(hospital.admin, **{"session_no": "none", **query})
    assert (response.status, response.error.partition("：")[0]) == (400, field)
