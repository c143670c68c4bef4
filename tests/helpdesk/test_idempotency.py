"""messageAdd with an Idempotency-Key: one message to each recipient, however often it is sent."""

from typing import Any

import pytest

from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    add_message,
    build_key_header,
    call_messagecenter,
    find_messages,
    get_message_count,
    list_rows,
)
from tests.support.inbox_client import disable_user

pytestmark = pytest.mark.store


def test_one_key_sends_one_message_to_each_and_rejects_other_content(
    hospital: Hospital, chen: Person, lin: Person, wang: Person
) -> None:
    factories.let_treat(chen, lin, wang)
    both = {"receiverIds": [lin.user_id, wang.user_id]}
    first = add_message(chen, "明天停诊", "k1", **both)
    duplicate = add_message(chen, "明天停诊", "k1", **both)
    assert first.data == duplicate.data
    assert len(list_rows("messages", hospital)) == 2
    others: list[dict[str, Any]] = [
        {**both, "title": "停诊"},
        {**both, "link": "/a"},
        {**both, "item": 1},
        {**both, "itemType": 2},
        {"receiverIds": [lin.user_id]},
        {"receiverIds": [wang.user_id, lin.user_id]},
        {"receiverIds": [lin.user_id, wang.user_id, hospital.zhou.user_id]},
    ]
    for other in others:
        response = add_message(chen, "明天停诊", "k1", **other)
        assert (response.status, response.error) == (409, "Idempotency-Key：已用于另一条消息")
    assert add_message(chen, "后天停诊", "k1", **both).status == 409
    assert len(list_rows("messages", hospital)) == 2
    factories.let_treat(hospital.zhou, lin, wang)
    assert add_message(hospital.zhou, "明天停诊", "k1", **both).status == 200, (
        "keys of different senders are independent"
    )


def test_disabled_recipient_of_announcement_is_rejected_except_in_a_resend(hospital: Hospital, chen: Person) -> None:
    announcement: dict[str, Any] = {"ownType": 2, "receiveId": chen.user_id}
    sent = add_message(hospital.desk, "明天停诊", "k1", **announcement)
    disable_user(hospital, chen)
    assert add_message(hospital.desk, "明天停诊", "k1", **announcement).data == sent.data
    response = add_message(hospital.desk, "后天停诊", "k2", **announcement)
    assert (response.status, response.error) == (404, f"用户不存在：{chen.user_id}")
    assert len(list_rows("messages", hospital)) == 1


def test_keys_of_announcements_are_independent_by_sender(hospital: Hospital, lin: Person) -> None:
    for who in (hospital.desk, hospital.admin, hospital.desk):
        assert add_message(who, f"来自 {who.user_id}", "k1", ownType=2, receiveId=lin.user_id).status == 200
    assert len(find_messages(lin, 1).data) == 2


@pytest.mark.parametrize("own_types", [(1, 2), (2, 1)])
def test_one_key_for_announcement_and_own_message_is_rejected(
    hospital: Hospital, lin: Person, own_types: tuple[int, int]
) -> None:
    first, second = own_types
    sent = add_message(hospital.desk, "明天停诊", "k1", ownType=first, receiveId=lin.user_id)
    response = add_message(hospital.desk, "明天停诊", "k1", ownType=second, receiveId=lin.user_id)
    assert (response.status, response.error) == (409, "Idempotency-Key：已用于另一条消息")
    assert add_message(hospital.desk, "明天停诊", "k1", ownType=first, receiveId=lin.user_id).data == sent.data
    assert get_message_count(lin) == 1


def test_invalid_idempotency_key_is_rejected(lin: Person, chen: Person) -> None:
    for invalid in ("a b", "x" * 129):
        body = {"ownType": 1, "title": "", "item": 0, "type": 0, "link": "", "itemType": 0, "content": "您好"}
        response = call_messagecenter(lin, "messageAdd", build_key_header(invalid), **body, receiveId=chen.user_id)
        assert (response.status, response.error.partition("：")[0]) == (400, "Idempotency-Key")
