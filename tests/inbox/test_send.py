"""send: a site message to all recipients, or to none."""

from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.outbox import outbox
from chalicelib.people import double_submission
from tests.support import consult_client, factories, notify_client
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import wait_until
from tests.support.gateway_client import create_external_user
from tests.support.inbox_client import (
    MESSAGE_PATH,
    disable_user,
    list_rows,
    list_texts,
    send,
    send_as_system,
    set_all_read,
)
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def test_message_reaches_only_its_recipients(hospital: Hospital, lin: Person, wang: Person, chen: Person) -> None:
    assert send(hospital.desk, "明日停水", lin, chen).data is None
    assert (list_texts(lin), list_texts(chen)) == (["明日停水"], ["明日停水"])
    assert list_texts(wang) == list_texts(hospital.zhou) == list_texts(hospital.desk) == []


def test_staff_and_the_hospitals_system_may_send(hospital: Hospital, lin: Person) -> None:
    consult_client.create_session(lin, hospital.chen)
    for number, sender in enumerate((hospital.chen, hospital.desk, hospital.admin)):
        assert send(sender, f"通知{number}", lin).status == 200
    assert send_as_system(hospital, "体检报告已出", lin).status == 200
    assert list_texts(lin) == ["体检报告已出", "通知2", "通知1", "通知0"]


def test_other_callers_may_not_send(hospital: Hospital, other_hospital: Hospital, lin: Person) -> None:
    session = create_external_user(hospital, "guo-7f1a")
    fields: dict[str, Any] = {"tenantId": hospital.tenant_id, "msg_text": "x", "user_list": [{"user_id": lin.user_id}]}
    for token, status in (("", 401), ("unknown", 401), (lin.token, 403), (session.token, 403)):
        assert post(f"{MESSAGE_PATH}/send", token, **fields).status == status
    assert post(f"{MESSAGE_PATH}/send", headers={"X-Internal-Key": "unknown"}, **fields).status == 401
    assert send_as_system(other_hospital, "x", lin, tenantId=hospital.tenant_id).status == 403
    assert send(other_hospital.desk, "x", lin).status == send_as_system(other_hospital, "x", lin).status == 404
    assert list_texts(lin) == []


def test_unknown_recipients_are_named_and_nothing_is_sent(
    hospital: Hospital, other_hospital: Hospital, lin: Person
) -> None:
    unknown_id = 2**52
    for send_as in (send, send_as_system):
        sender: Any = hospital.desk if send_as is send else hospital
        named = [{"user_id": one} for one in (lin.user_id, other_hospital.lin.user_id, unknown_id)]
        response = send_as(sender, "x", user_list=named)
        assert (response.status, response.code) == (404, 10004)
        assert response.error == f"用户不存在：{other_hospital.lin.user_id}、{unknown_id}"
    too_many = send(hospital.desk, "x", user_list=[{"user_id": unknown_id + n} for n in range(12)])
    assert too_many.error.endswith(f"、{unknown_id + 9} 等 12 人")
    assert list_texts(lin) == []
    assert list_rows("site_messages", hospital.tenant_id) == []


def test_disabled_recipient_is_rejected_except_in_a_duplicate_request(
    hospital: Hospital, lin: Person, chen: Person
) -> None:
    assert send(hospital.desk, "明日停水", lin, chen, key="k1").status == 200
    disable_user(hospital, chen)
    assert send(hospital.desk, "明日停水", lin, chen, key="k1").status == 200
    response = send(hospital.desk, "后天停水", lin, chen)
    assert (response.status, response.error) == (404, f"用户不存在：{chen.user_id}")
    assert list_texts(lin) == ["明日停水"]
    disable_user(hospital, chen, "staff_enable")
    assert send(hospital.desk, "后天停水", lin, chen).status == 200


INVALID_VALUES: dict[str, list[Any]] = {
    "tenantId": [None, "", "x", 0, -1, 1.5, True],
    "msg_text": [None, "", "  \n", "a\0b", 12, "文" * 4001],
    "user_list": [None, [], {}, "1", [1], [{}], [{"user_id": "x"}], [{"user_id": 0}], [{"user_id": 1}] * 1001],
    "client_msg_id": ["带中文", "x" * 129],
}


@pytest.mark.parametrize(
    ("field", "invalid"), [(field, invalid) for field, values in INVALID_VALUES.items() for invalid in values]
)
def test_invalid_field_is_rejected_with_its_name(hospital: Hospital, lin: Person, field: str, invalid: Any) -> None:
    response = send(hospital.desk, "明日停水", lin, **{field: invalid})
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(field)
    assert list_texts(lin) == []


@pytest.mark.parametrize("key", ["带中文".encode().decode("latin-1"), "a b", "x" * 129])
def test_invalid_idempotency_key_is_rejected(hospital: Hospital, lin: Person, key: str) -> None:
    response = send(hospital.desk, "明日停水", lin, key=key)
    assert (response.status, response.error.partition("：")[0]) == (400, "Idempotency-Key")


def test_another_tenant_in_the_body_is_rejected(hospital: Hospital, other_hospital: Hospital, lin: Person) -> None:
    assert send(hospital.desk, "x", lin, tenantId=other_hospital.tenant_id).status == 403
    assert send(hospital.desk, "x", lin, tenantId=str(hospital.tenant_id)).status == 200


def test_recipient_named_twice_gets_one_message(hospital: Hospital, lin: Person) -> None:
    send(hospital.desk, "明日停水", lin, lin)
    assert list_texts(lin) == ["明日停水"]


def test_text_is_stored_unchanged(hospital: Hospital, lin: Person) -> None:
    text = '  ‘引号’ "; DROP TABLE messages; -- \\ %s %(x)s 😷\n第二行  '
    send(hospital.desk, text, lin)
    send(hospital.desk, "文" * 4000, lin)
    send(hospital.desk, "😷" * 4000, lin)
    assert list_texts(lin) == ["😷" * 4000, "文" * 4000, text]
    assert send(hospital.desk, "😷" * 4001, lin).status == 400


def test_thousand_recipients_are_one_message_and_a_delivery_each(hospital: Hospital) -> None:
    patients = [factories.create_patient(hospital.tenant_id, f"1370000{number:04d}", "患者") for number in range(1000)]
    notify_client.poll_messages(patients[999].token, events=1)
    send(hospital.admin, "明日停水", *patients)
    assert list_texts(patients[0]) == list_texts(patients[999]) == ["明日停水"]
    wait_until(lambda: not list_outbox_jobs(hospital))
    assert len(notify_client.poll_messages(patients[999].token, events=1)[0]) == 1
    assert len(list_rows("site_messages", hospital.tenant_id)) == 1
    assert len(list_rows("site_deliveries", hospital.tenant_id)) == 1000


def test_retry_with_recipients_in_another_order_is_the_same_message(
    hospital: Hospital, lin: Person, wang: Person
) -> None:
    first = send(hospital.desk, "明日停水", lin, wang, key="k1")
    set_all_read(lin)
    for duplicate in (send(hospital.desk, "明日停水", wang, lin, wang, key="k1"), first):
        assert duplicate.body == first.body
    send(hospital.desk, "明日停水", lin, wang, client_msg_id="k1")
    assert (list_texts(lin, status="all"), list_texts(wang)) == (["明日停水"], ["明日停水"])
    assert list_texts(lin) == [], "a message that was read stays read"


def test_same_key_with_another_message_is_a_conflict(hospital: Hospital, lin: Person, wang: Person) -> None:
    send(hospital.desk, "明日停水", lin, key="k1")
    others = [("明日停电", [lin]), ("明日停水 ", [lin]), ("明日停水", [wang]), ("明日停水", [lin, wang])]
    for text, recipients in others:
        response = send(hospital.desk, text, *recipients, key="k1")
        assert (response.status, response.code) == (409, 10005)
    assert (list_texts(lin), list_texts(wang)) == (["明日停水"], [])
    send(hospital.desk, "请复查", lin, wang, key="k2")
    assert send(hospital.desk, "请复查", lin, key="k2").status == 409, "a part of the recipients is another message"


def test_keys_of_different_senders_are_independent(hospital: Hospital, other_hospital: Hospital, lin: Person) -> None:
    for doctor in (hospital.chen, hospital.zhou):
        consult_client.create_session(lin, doctor)
    for number, sender in enumerate((hospital.chen, hospital.zhou, hospital.admin)):
        assert send(sender, f"通知{number}", lin, key="k1").status == 200
    assert send_as_system(hospital, "体检报告已出", lin, key="k1").status == 200
    assert send(other_hospital.desk, "别处", other_hospital.lin, key="k1").status == 200
    assert len(list_texts(lin)) == 4


def test_text_that_is_submitted_twice_without_key_is_one_message(
    hospital: Hospital, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    responses = run_in_threads([partial(send, hospital.desk, "明日停水", lin)] * 4)
    assert [one.status for one in responses] == [200] * 4
    assert list_texts(lin) == ["明日停水"]
    send(hospital.desk, "明日停水", lin, wang)
    send(hospital.admin, "明日停水", lin)
    send_as_system(hospital, "明日停水", lin)
    send_as_system(hospital, "明日停水", lin)
    assert len(list_texts(lin)) == 4
    monkeypatch.setattr(clock, "now", lambda: now + double_submission.WINDOW)
    send(hospital.desk, "明日停水", lin)
    assert len(list_texts(lin)) == 5


def test_each_recipient_gets_one_event(hospital: Hospital, lin: Person, wang: Person, chen: Person) -> None:
    for who in (lin, wang, chen):
        notify_client.poll_messages(who.token, events=1)
    for _ in range(2):
        send(hospital.desk, "明日停水", lin, chen, key="k1")
    wait_until(lambda: not list_outbox_jobs(hospital))
    for who in (lin, chen):
        [event], _, _ = notify_client.poll_messages(who.token, events=1)
        [row] = list_rows("site_messages", hospital.tenant_id)
        assert (event["Type"], event["Content"]) == (1200, f'{{"msg_id":"{row["message_id"]}"}}')
    assert notify_client.poll_messages(wang.token, events=1)[0] == []


def test_client_without_events_receives_nothing(hospital: Hospital, lin: Person) -> None:
    notify_client.poll_messages(lin.token)
    send(hospital.desk, "明日停水", lin)
    wait_until(lambda: not list_outbox_jobs(hospital))
    assert notify_client.poll_messages(lin.token)[0] == []


def test_rejected_message_enqueues_no_event(hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)
    send(hospital.desk, "x", lin, user_list=[{"user_id": lin.user_id}, {"user_id": 2**52}])
    assert list_outbox_jobs(hospital) == []
    send(hospital.desk, "明日停水", lin, key="k1")
    send(hospital.desk, "别的", lin, key="k1")
    [row] = list_outbox_jobs(hospital)
    assert "明日停水" not in row["payload"]


def list_outbox_jobs(hospital: Hospital) -> list[Any]:
    return list_rows("outbox", hospital.tenant_id)
