"""Withdrawn messages for admins: who withdrew what and why, and the original, each reading of which is logged."""

from typing import Any

import pytest
import requests

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.audit import audit_log
from chalicelib.outbox import outbox
from chalicelib.staff import withdrawn_store
from tests.support import consult_client, factories, gateway_client, helpdesk_client
from tests.support.client import ApiResponse
from tests.support.factories import Hospital, Person
from tests.support.file_samples import VALID
from tests.support.row_reads import count_rows_read
from tests.support.staff_client import get_withdrawn_message, list_withdrawn_messages

pytestmark = pytest.mark.store


def withdraw(who: Person, message_id: str, **more: Any) -> ApiResponse:
    return helpdesk_client.call_messagecenter(
        who, "withdrawMessage", **{"messageId": message_id, "userType": 2, **more}
    )


def send_and_withdraw(sender: Person, recipient: Person, text: str, by: Person | None = None, reason: Any = "") -> str:
    [message_id] = helpdesk_client.send_all(sender, recipient, text)
    assert withdraw(by or sender, message_id, reason=reason).status == 200
    return message_id


def list_audit_entries(hospital: Hospital) -> list[Row]:
    sql = "SELECT actor, action, subject, reason FROM audit_log WHERE tenant_id = %(id)s ORDER BY entry_id"
    return mysql.autocommit.fetch_all(sql, id=hospital.tenant_id)


def test_withdrawal_by_an_admin_is_on_record_with_reason_and_original(
    hospital: Hospital, lin: Person, chen: Person
) -> None:
    """Red team M6: an admin's withdrawal of a doctor's message kept no "by whom"."""
    factories.let_treat(chen, lin)
    message_id = send_and_withdraw(chen, lin, "请先转账", by=hospital.admin, reason=" 诱导转账 ")
    [listed] = list_withdrawn_messages(hospital.admin).data
    found = get_withdrawn_message(hospital.admin, message_id).data
    assert {name: found[name] for name in listed} == listed
    assert (listed["msg_id"], listed["sender_id"], listed["sender_name"]) == (message_id, str(chen.user_id), "陈医生")
    by = (listed["withdrawn_by"], listed["withdrawn_by_name"], listed["withdrawn_reason"])
    assert by == (str(hospital.admin.user_id), "管理员", "诱导转账")
    assert (found["message"], found["msg_type"], found["link"], found["title"]) == ("请先转账", 0, "", "")
    assert "请先转账" not in str(listed)


def test_each_reading_is_logged_with_its_reason(hospital: Hospital, lin: Person, chen: Person) -> None:
    message_id = send_and_withdraw(lin, chen, "说错了")
    for reason in ("患者投诉", "复核"):
        assert get_withdrawn_message(hospital.admin, message_id, reason).status == 200
    entry = {"actor": hospital.admin.principal.encode(), "action": "read_withdrawn_message"}
    entry["subject"] = f"message:{message_id}".encode()
    assert list_audit_entries(hospital) == [{**entry, "reason": reason} for reason in ("患者投诉", "复核")]


def test_original_is_not_shown_if_the_log_cannot_be_written(
    hospital: Hospital, lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = send_and_withdraw(lin, chen, "说错了")

    def raise_error(*_: Any, **__: Any) -> None:
        raise mysql.StatementError(1114, "The table 'audit_log' is full")

    monkeypatch.setattr(audit_log, "insert_entry", raise_error)
    response = get_withdrawn_message(hospital.admin, message_id)
    assert (response.status, "说错了" in str(response.body)) == (500, False)


@pytest.mark.parametrize("reason", ["", " ", "查", "x" * 256, "a\nb"])
def test_reason_is_required(hospital: Hospital, lin: Person, chen: Person, reason: str) -> None:
    message_id = send_and_withdraw(lin, chen, "说错了")
    response = get_withdrawn_message(hospital.admin, message_id, reason)
    assert (response.status, response.error.partition("：")[0]) == (400, "reason")
    assert list_audit_entries(hospital) == []


def test_only_admins_read_withdrawn_messages(hospital: Hospital, lin: Person, chen: Person) -> None:
    message_id = send_and_withdraw(lin, chen, "说错了")
    for who in (lin, chen, hospital.desk):
        assert get_withdrawn_message(who, message_id).status == list_withdrawn_messages(who).status == 403
    assert list_audit_entries(hospital) == []


def test_other_messages_are_not_found(hospital: Hospital, other_hospital: Hospital, lin: Person, chen: Person) -> None:
    [shown] = helpdesk_client.send_all(lin, chen, "您好")
    withdrawn = send_and_withdraw(lin, chen, "说错了")
    for admin, message_id in (
        *((hospital.admin, one) for one in (shown, "22222-2222-2222-222")),
        (other_hospital.admin, withdrawn),
    ):
        response = get_withdrawn_message(admin, message_id)
        assert (response.status, response.code, response.error) == (404, 10004, "没有这条已撤回的消息")
    assert list_audit_entries(hospital) == list_audit_entries(other_hospital) == []
    assert list_withdrawn_messages(other_hospital.admin).data == []


def test_list_is_newest_first_paged_and_filtered(hospital: Hospital, lin: Person, chen: Person) -> None:
    first, second = send_and_withdraw(lin, chen, "一"), send_and_withdraw(chen, lin, "二")
    third = send_and_withdraw(lin, chen, "三", by=hospital.admin)
    pages, last = [], ""
    while page := list_withdrawn_messages(hospital.admin, page_size=2, withdrawal_id=last).data:
        pages.append([one["msg_id"] for one in page])
        last = page[-1]["withdrawal_id"]
    assert pages == [[third, second], [first]]
    for who, expected in ((lin, [first]), (chen, [second]), (hospital.admin, [third]), (hospital.desk, [])):
        listed = list_withdrawn_messages(hospital.admin, withdrawn_by=who.user_id).data
        assert [one["msg_id"] for one in listed] == expected


@pytest.mark.parametrize("name", ["page_size", "withdrawal_id", "withdrawn_by"])
@pytest.mark.parametrize("value", ["-1", "x", "1.5"])
def test_invalid_field_of_the_list_is_named(hospital: Hospital, name: str, value: str) -> None:
    response = list_withdrawn_messages(hospital.admin, **{name: value})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


def test_invalid_message_id_is_named(hospital: Hospital) -> None:
    response = get_withdrawn_message(hospital.admin, "7")
    assert (response.status, response.error.partition("：")[0]) == (400, "msg_id")


def test_announcement_names_its_author(hospital: Hospital, lin: Person) -> None:
    card: dict[str, Any] = {"itemType": 2, "title": "缴费", "link": "https://example.com/pay"}
    [sent] = helpdesk_client.add_message(hospital.desk, "点此缴费", ownType=2, receiveId=lin.user_id, **card).data
    assert withdraw(hospital.admin, sent["messageId"], reason="发错了").status == 200
    found = get_withdrawn_message(hospital.admin, sent["messageId"]).data
    assert (found["sender_id"], found["sender_name"]) == ("0", "医院")
    assert (found["author_id"], found["author_name"]) == (str(hospital.desk.user_id), "客服小李")
    shown = (found["msg_type"], found["title"], found["message"], found["link"])
    assert shown == (2, "缴费", "点此缴费", "https://example.com/pay")


def test_picture_of_document_002_has_link_and_caption(hospital: Hospital, lin: Person, chen: Person) -> None:
    picture: dict[str, Any] = {"itemType": 1, "link": "https://example.com/a.png"}
    [sent] = helpdesk_client.add_message(lin, "化验单", receiveId=chen.user_id, **picture).data
    withdraw(lin, sent["messageId"])
    found = get_withdrawn_message(hospital.admin, sent["messageId"]).data
    assert (found["msg_type"], found["message"], found["link"]) == (1, "化验单", picture["link"])


def test_link_to_an_uploaded_picture_works_after_it_has_moved(
    hospital: Hospital, lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)  # which would move it between link and request
    session_no = consult_client.create_session(lin, chen)
    file_id = consult_client.upload_picture(lin, session_no)
    first, second = (
        consult_client.send_picture_as_patient(lin, chen, file_id, key).data["msg_id"] for key in ("k1", "k2")
    )
    for message_id in (first, second):  # the other message still shows the picture, and then none does
        withdraw(lin, message_id)
        outbox.run_due_jobs()
        found = get_withdrawn_message(hospital.admin, message_id).data
        assert (found["msg_type"], found["message"]) == (1, "")
        assert requests.get(found["link"], timeout=10).content == VALID["jpg"]


def test_users_of_the_hospitals_system_have_no_name(hospital: Hospital) -> None:
    guo = gateway_client.create_external_user(hospital, "guo-7f1a")
    conversation = gateway_client.create_conversation(guo)
    [message_id] = gateway_client.send_all(guo, conversation, "说错了")
    assert withdraw(hospital.admin, message_id).status == 200
    found = get_withdrawn_message(hospital.admin, message_id).data
    assert (found["sender_id"], found["sender_name"]) == ("guo-7f1a", "")
    assert (found["session_id"], found["message"]) == (conversation, "说错了")


@pytest.mark.parametrize("withdrawn_by", ["", "user:1"])
def test_old_withdrawals_are_not_read(hospital: Hospital, lin: Person, chen: Person, withdrawn_by: str) -> None:
    """Counted in MySQL: rows that were read for a page of two."""
    for number in range(30):
        send_and_withdraw(lin, chen, str(number))
    by = withdrawn_by and lin.principal
    arguments = (hospital.tenant_id, by, 2**52, 2)
    found, read = mysql.run_autocommit(
        lambda tx: count_rows_read(tx, lambda: withdrawn_store.list_withdrawals(tx, *arguments))
    )
    assert (len(found), read <= 10) == (2, True)
