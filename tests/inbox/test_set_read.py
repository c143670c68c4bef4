"""set_read and all_set_read: mark one message, or all that are visible, as read."""

from functools import partial
from typing import Any

import pytest

from chalicelib.inbox import messages
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import create_external_user
from tests.support.inbox_client import (
    MESSAGE_PATH,
    get_unread_count,
    list_messages,
    list_rows,
    list_texts,
    send,
    set_all_read,
    set_read,
)
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
PATHS = ["set_read", "all_set_read"]


def test_one_message_is_marked_read(hospital: Hospital, lin: Person, wang: Person) -> None:
    for text in ("一", "二"):
        send(hospital.desk, text, lin, wang)
    assert set_read(lin, list_messages(lin)[0]["msg_id"]).data is None
    assert (list_texts(lin), list_texts(wang)) == (["一"], ["二", "一"])


def test_marking_twice_keeps_the_first_time(hospital: Hospital, lin: Person) -> None:
    send(hospital.desk, "一", lin)
    msg_id = list_messages(lin)[0]["msg_id"]
    set_read(lin, msg_id)
    [first] = list_rows("site_deliveries", lin.tenant_id)
    assert first["read_at"]
    for response in (set_read(lin, int(msg_id)), set_all_read(lin), set_read(lin, msg_id)):
        assert response.data is None
    assert list_rows("site_deliveries", lin.tenant_id) == [first]


def test_message_of_others_is_not_found(
    hospital: Hospital, other_hospital: Hospital, lin: Person, wang: Person
) -> None:
    send(hospital.desk, "给林", lin)
    msg_id = list_messages(lin)[0]["msg_id"]
    unknown = set_read(wang, 2**52)
    assert (unknown.status, unknown.code, unknown.error) == (404, 10004, "消息不存在")
    for stranger in (wang, hospital.desk, hospital.admin, other_hospital.lin):
        response = set_read(stranger, msg_id)
        assert (response.status, response.body) == (404, unknown.body)
    assert list_texts(lin) == ["给林"]


def test_all_messages_are_marked_read(
    hospital: Hospital, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MARK_READ_BATCH_SIZE", 2)
    for number in range(5):
        send(hospital.desk, str(number), lin, wang)
    for user_id in (lin.user_id, str(lin.user_id)):
        assert set_all_read(lin, user_id).data is None
    assert (get_unread_count(lin), get_unread_count(wang)) == (0, 5)
    assert len(list_texts(lin, status="read")) == 5


def test_empty_inbox_can_be_marked_read(lin: Person) -> None:
    assert set_all_read(lin).data is None


def test_messages_of_others_cannot_be_marked_read(
    hospital: Hospital, other_hospital: Hospital, lin: Person, wang: Person
) -> None:
    send(hospital.desk, "一", lin, wang)
    for stranger in (wang, hospital.admin, other_hospital.lin):
        response = set_all_read(stranger, lin.user_id)
        assert (response.status, response.code) == (403, 10003)
    assert get_unread_count(lin) == get_unread_count(wang) == 1


@pytest.mark.parametrize("path", PATHS)
def test_other_callers_are_rejected(hospital: Hospital, lin: Person, path: str) -> None:
    body: dict[str, Any] = {"msg_id": "1", "userId": str(lin.user_id)}
    for token, status in (("", 401), ("unknown", 401), (create_external_user(hospital, "guo").token, 403)):
        assert post(f"{MESSAGE_PATH}/{path}", token, **body).status == status
    assert post(f"{MESSAGE_PATH}/{path}", headers={"X-Internal-Key": hospital.internal_key}, **body).status == 401


@pytest.mark.parametrize("invalid", [None, "", "x", 0, -1, 1.5, True, [], {}, "9" * 30])
@pytest.mark.parametrize(("path", "field"), [("set_read", "msg_id"), ("all_set_read", "userId")])
def test_invalid_field_is_rejected_with_its_name(lin: Person, path: str, field: str, invalid: Any) -> None:
    response = post(f"{MESSAGE_PATH}/{path}", lin.token, **({} if invalid is None else {field: invalid}))
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{field}：")


def test_concurrent_marking_of_one_and_all(hospital: Hospital, lin: Person) -> None:
    for number in range(10):
        send(hospital.desk, str(number), lin)
    calls = [partial(set_all_read, lin)] * 3
    calls += [partial(set_read, lin, one["msg_id"]) for one in list_messages(lin)]
    assert {response.status for response in run_in_threads(calls)} == {200}
    assert get_unread_count(lin) == 0
