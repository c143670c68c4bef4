"""Reading: one message, or all that is there; what arrives meanwhile stays unread."""

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


def test_one_is_read_and_the_others_are_not(hospital: Hospital, lin: Person, wang: Person) -> None:
    for text in ("一", "二"):
        send(hospital.desk, text, lin, wang)
    assert set_read(lin, list_messages(lin)[0]["msg_id"]).data is None
    assert (list_texts(lin), list_texts(wang)) == (["一"], ["二", "一"])


def test_reading_it_twice_changes_nothing(hospital: Hospital, lin: Person) -> None:
    send(hospital.desk, "一", lin)
    msg_id = list_messages(lin)[0]["msg_id"]
    set_read(lin, msg_id)
    [first] = list_rows("site_deliveries", lin.tenant_id)
    assert first["read_at"]
    for answer in (set_read(lin, int(msg_id)), set_all_read(lin), set_read(lin, msg_id)):
        assert answer.data is None
    assert list_rows("site_deliveries", lin.tenant_id) == [first]


def test_anothers_does_not_exist(hospital: Hospital, other_hospital: Hospital, lin: Person, wang: Person) -> None:
    send(hospital.desk, "给林", lin)
    msg_id = list_messages(lin)[0]["msg_id"]
    absent = set_read(wang, 2**52)
    assert (absent.status, absent.code, absent.error) == (404, 10004, "消息不存在")
    for stranger in (wang, hospital.desk, hospital.admin, other_hospital.lin):
        answer = set_read(stranger, msg_id)
        assert (answer.status, answer.body) == (404, absent.body)
    assert list_texts(lin) == ["给林"]


def test_all_that_is_there_is_read(
    hospital: Hospital, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MARK_READ_BATCH_SIZE", 2)
    for number in range(5):
        send(hospital.desk, str(number), lin, wang)
    for user_id in (lin.user_id, str(lin.user_id)):
        assert set_all_read(lin, user_id).data is None
    assert (get_unread_count(lin), get_unread_count(wang)) == (0, 5)
    assert len(list_texts(lin, status="read")) == 5


def test_an_empty_inbox_can_be_read(lin: Person) -> None:
    assert set_all_read(lin).data is None


def test_nobody_reads_for_another(hospital: Hospital, other_hospital: Hospital, lin: Person, wang: Person) -> None:
    send(hospital.desk, "一", lin, wang)
    for stranger in (wang, hospital.admin, other_hospital.lin):
        answer = set_all_read(stranger, lin.user_id)
        assert (answer.status, answer.code) == (403, 10003)
    assert get_unread_count(lin) == get_unread_count(wang) == 1


@pytest.mark.parametrize("path", PATHS)
def test_who_may_not(hospital: Hospital, lin: Person, path: str) -> None:
    body: dict[str, Any] = {"msg_id": "1", "userId": str(lin.user_id)}
    for token, status in (("", 401), ("nobody's", 401), (create_external_user(hospital, "guo").token, 403)):
        assert post(f"{MESSAGE_PATH}/{path}", token, **body).status == status
    assert post(f"{MESSAGE_PATH}/{path}", headers={"X-Internal-Key": hospital.internal_key}, **body).status == 401


@pytest.mark.parametrize("bad", [None, "", "x", 0, -1, 1.5, True, [], {}, "9" * 30])
@pytest.mark.parametrize(("path", "field"), [("set_read", "msg_id"), ("all_set_read", "userId")])
def test_a_bad_field_is_named(lin: Person, path: str, field: str, bad: Any) -> None:
    answer = post(f"{MESSAGE_PATH}/{path}", lin.token, **({} if bad is None else {field: bad}))
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith(f"{field}：")


def test_reading_one_and_all_from_many_devices_at_once(hospital: Hospital, lin: Person) -> None:
    for number in range(10):
        send(hospital.desk, str(number), lin)
    calls = [partial(set_all_read, lin)] * 3
    calls += [partial(set_read, lin, one["msg_id"]) for one in list_messages(lin)]
    assert {answer.status for answer in run_in_threads(calls)} == {200}
    assert get_unread_count(lin) == 0
