"""Optional fields that are null, "" or 0, as clients in Go send absent values, count as absent in all requests."""

from typing import Any

import pytest

from tests.support.factories import Person
from tests.support.helpdesk_client import (
    add_message,
    call_messagecenter,
    create_session,
    find_messages,
    get_message_count,
    list_contents,
    list_conversations,
    send_all,
)

pytestmark = pytest.mark.store


def with_each_empty_value(**fields: bool) -> pytest.MarkDecorator:
    """Run a test with each empty value of each field; True for fields to which "0" is empty too."""
    cases = [(field, empty) for field in fields for empty in (None, "", 0, *(["0"] if fields[field] else []))]
    return pytest.mark.parametrize(("field", "empty"), cases)


@with_each_empty_value(sendId=True, receiverIds=False, groupIds=False)
def test_empty_fields_of_a_message(lin: Person, chen: Person, field: str, empty: Any) -> None:
    assert add_message(lin, "您好", **{"receiveId": chen.user_id, field: empty}).status == 200


@pytest.mark.parametrize("empty", [None, "", 0, "0"])
def test_empty_recipients_are_ignored(lin: Person, chen: Person, empty: Any) -> None:
    assert add_message(lin, "您好", receiveId=empty, receiverIds=[chen.user_id, "", "0", 0]).body["count"] == 1
    assert add_message(lin, "您好", receiveId=empty).error == "receiveId：必填"


@with_each_empty_value(lastId=False, sort=False, chatGroupId=True)
def test_empty_fields_of_a_page(lin: Person, chen: Person, field: str, empty: Any) -> None:
    send_all(lin, chen, "您好")
    assert list_contents(find_messages(chen, 2, **{"sendId": lin.user_id, field: empty})) == ["您好"]


@with_each_empty_value(userType=True, sendType=True)
def test_empty_fields_of_mark_read(lin: Person, chen: Person, field: str, empty: Any) -> None:
    send_all(lin, chen, "您好")
    assert call_messagecenter(chen, "updateReadById", sendId=lin.user_id, **{field: empty}).status == 200
    assert get_message_count(chen) == 0


@with_each_empty_value(
    phone=False, startTime=False, endTime=False, page=True, size=True, isArtificial=True, isTourist=True
)
def test_empty_filters_of_a_list(lin: Person, chen: Person, field: str, empty: Any) -> None:
    send_all(lin, chen, "您好")
    assert [one["name"] for one in list_conversations(chen, **{field: empty}).data] == ["林小雨"]


@with_each_empty_value(filtrationId=True, nameSearch=False, queryType=True)
def test_empty_filters_of_a_user_list(lin: Person, chen: Person, field: str, empty: Any) -> None:
    send_all(lin, chen, "您好")
    assert [one["name"] for one in list_conversations(chen, "userList", **{field: empty}).data] == ["林小雨"]


@with_each_empty_value(receiveId=True, receiveEntId=True, receiveAppId=False, customerserviceName=False)
def test_empty_fields_of_a_session(lin: Person, field: str, empty: Any) -> None:
    assert create_session(lin, 3, **{field: empty}).data["place"] == 1


@pytest.mark.parametrize("empty", ["", "0", "null", "undefined"])
@pytest.mark.parametrize("name", ["newUserId", "entUserId", "entId", "positionId", "appId"])
def test_empty_header_is_ignored(lin: Person, name: str, empty: str) -> None:
    assert call_messagecenter(lin, "messageCount", {name: empty}, userType=2).status == 200


@with_each_empty_value(senderId=True, recipientId=True, conversationType=True, chatGroupId=True)
def test_empty_fields_of_a_withdrawal(lin: Person, chen: Person, field: str, empty: Any) -> None:
    [sent] = send_all(lin, chen, "说错了")
    assert call_messagecenter(lin, "withdrawMessage", messageId=sent, userType=2, **{field: empty}).status == 200
