"""Optional fields that are null, "" or 0, as clients in Go send what they do not have: not given, everywhere."""

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


def each_zero(**fields: bool) -> pytest.MarkDecorator:
    """Have a test run with each way of not giving each field; True for those to which "0" is a zero too."""
    tried = [(field, zero) for field in fields for zero in (None, "", 0, *(["0"] if fields[field] else []))]
    return pytest.mark.parametrize(("field", "zero"), tried)


@each_zero(sendId=True, receiverIds=False, groupIds=False)
def test_zeros_beside_a_message(lin: Person, chen: Person, field: str, zero: Any) -> None:
    assert add_message(lin, "您好", **{"receiveId": chen.user_id, field: zero}).status == 200


@pytest.mark.parametrize("zero", [None, "", 0, "0"])
def test_a_zero_is_no_receiver(lin: Person, chen: Person, zero: Any) -> None:
    assert add_message(lin, "您好", receiveId=zero, receiverIds=[chen.user_id, "", "0", 0]).body["count"] == 1
    assert add_message(lin, "您好", receiveId=zero).error == "receiveId：必填"


@each_zero(lastId=False, sort=False, chatGroupId=True)
def test_zeros_of_a_page(lin: Person, chen: Person, field: str, zero: Any) -> None:
    send_all(lin, chen, "您好")
    assert list_contents(find_messages(chen, 2, **{"sendId": lin.user_id, field: zero})) == ["您好"]


@each_zero(userType=True, sendType=True)
def test_zeros_of_who_reads(lin: Person, chen: Person, field: str, zero: Any) -> None:
    send_all(lin, chen, "您好")
    assert call_messagecenter(chen, "updateReadById", sendId=lin.user_id, **{field: zero}).status == 200
    assert get_message_count(chen) == 0


@each_zero(phone=False, startTime=False, endTime=False, page=True, size=True, isArtificial=True, isTourist=True)
def test_zeros_of_a_list(lin: Person, chen: Person, field: str, zero: Any) -> None:
    send_all(lin, chen, "您好")
    assert [one["name"] for one in list_conversations(chen, **{field: zero}).data] == ["林小雨"]


@each_zero(filtrationId=True, nameSearch=False, queryType=True)
def test_zeros_of_who_is_wanted(lin: Person, chen: Person, field: str, zero: Any) -> None:
    send_all(lin, chen, "您好")
    assert [one["name"] for one in list_conversations(chen, "userList", **{field: zero}).data] == ["林小雨"]


@each_zero(receiveId=True, receiveEntId=True, receiveAppId=False, customerserviceName=False)
def test_zeros_of_a_session(lin: Person, field: str, zero: Any) -> None:
    assert create_session(lin, 3, **{field: zero}).data["place"] == 1


@each_zero(senderId=True, recipientId=True, conversationType=True, chatGroupId=True)
def test_zeros_beside_what_is_withdrawn(lin: Person, chen: Person, field: str, zero: Any) -> None:
    [sent] = send_all(lin, chen, "说错了")
    assert call_messagecenter(lin, "withdrawMessage", messageId=sent, userType=2, **{field: zero}).status == 200
