"""list and unread_count: the caller's own messages, newest first, in pages."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.http.fields import ID_LIMIT
from chalicelib.inbox import store
from tests.support.client import get
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import create_external_user
from tests.support.inbox_client import (
    MESSAGE_PATH,
    get_unread_count,
    list_messages,
    list_texts,
    send,
    set_all_read,
    set_read,
)
from tests.support.row_reads import count_rows_read

pytestmark = pytest.mark.store
STATUSES = ("unread", "read", "all")


def test_empty_inbox_is_an_empty_list(lin: Person) -> None:
    assert list_messages(lin) == []
    assert get_unread_count(lin) == 0


def test_unread_messages_are_listed_newest_first_and_stay_unread(hospital: Hospital, lin: Person) -> None:
    for text in ("一", "二", "三"):
        send(hospital.desk, text, lin)
    for _ in range(2):
        assert list_texts(lin) == ["三", "二", "一"]
    newest = list_messages(lin)[0]
    assert newest["msg_id"].isdigit()
    assert newest["is_read"] is False
    assert get_unread_count(lin) == 3


def test_status_selects_read_and_unread_messages(hospital: Hospital, lin: Person) -> None:
    for text in ("一", "二", "三"):
        send(hospital.desk, text, lin)
    set_read(lin, list_messages(lin)[1]["msg_id"])
    listed = {
        status: [(one["msg_text"], one["is_read"]) for one in list_messages(lin, status=status)] for status in STATUSES
    }
    assert listed == {
        "unread": [("三", False), ("一", False)],
        "read": [("二", True)],
        "all": [("三", False), ("二", True), ("一", False)],
    }
    assert get_unread_count(lin) == 2


@pytest.mark.parametrize("status", STATUSES)
def test_pages_continue_after_msg_id(hospital: Hospital, lin: Person, status: str) -> None:
    for number in range(5):
        send(hospital.desk, str(number), lin)
    if status == "read":
        set_all_read(lin)
    pages, msg_id = [], ""
    while page := list_messages(lin, status=status, page_size=2, msg_id=msg_id):
        pages.append([one["msg_text"] for one in page])
        msg_id = page[-1]["msg_id"]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]


def test_messages_of_others_are_not_listed(
    hospital: Hospital, other_hospital: Hospital, lin: Person, wang: Person
) -> None:
    send(hospital.desk, "给林", lin)
    send(other_hospital.desk, "别处", other_hospital.lin)
    assert list_texts(lin, status="all") == ["给林"]
    for stranger in (wang, hospital.desk, hospital.admin, other_hospital.wang):
        assert list_messages(stranger, status="all") == []
        assert get_unread_count(stranger) == 0


@pytest.mark.parametrize("path", ["list", "unread_count"])
def test_other_callers_are_rejected(hospital: Hospital, path: str) -> None:
    for token, status in (("", 401), ("unknown", 401), (create_external_user(hospital, "guo").token, 403)):
        assert get(f"{MESSAGE_PATH}/{path}", token).status == status
    assert get(f"{MESSAGE_PATH}/{path}", headers={"X-Internal-Key": hospital.internal_key}).status == 401


@pytest.mark.parametrize(
    ("field", "invalid"),
    [
        *(("status", invalid) for invalid in ("new", "1")),
        *(("page_size", invalid) for invalid in ("-1", "x")),
        *(("msg_id", invalid) for invalid in ("x", "-1", "9" * 30, "EDCZL-SY32-243Y-VWQ")),
    ],
)
def test_invalid_field_is_rejected_with_its_name(lin: Person, field: str, invalid: Any) -> None:
    response = get(f"{MESSAGE_PATH}/list", lin.token, **{field: invalid})
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{field}：")


@pytest.mark.parametrize("status", STATUSES)
def test_old_messages_are_not_read_from_the_table(hospital: Hospital, lin: Person, status: str) -> None:
    """Counted in MySQL: rows that were read for a page of 20, and for counting 20."""
    insert_old_messages(lin, is_read=status != "read")
    for number in range(20):
        send(hospital.desk, str(number), lin)
        if status == "read":
            set_read(lin, list_messages(lin, page_size=1)[0]["msg_id"])
    who, is_read = (lin.tenant_id, lin.user_id), {"unread": False, "read": True, "all": None}[status]
    found, read = mysql.run_autocommit(
        lambda tx: count_rows_read(tx, lambda: store.list_messages(tx, *who, is_read, ID_LIMIT, 20))
    )
    assert [message.text for message in found] == [str(number) for number in reversed(range(20))]
    assert read <= 50
    if status == "unread":
        count, read = mysql.run_autocommit(lambda tx: count_rows_read(tx, lambda: store.count_unread(tx, *who)))
        assert count == 20
        assert read <= 30


def insert_old_messages(person: Person, is_read: bool) -> None:
    """Give a person 100,000 messages with ids below all others."""
    digits = " UNION ALL ".join(f"SELECT {digit} AS n" for digit in range(10))
    places = " CROSS JOIN ".join(f"({digits}) AS d{place}" for place in range(5))
    number = " + ".join(f"d{place}.n * {10**place}" for place in range(5))
    mysql.autocommit.execute(
        f"""
            INSERT INTO site_deliveries (tenant_id, user_id, message_id, is_read)
            SELECT %(tenant_id)s, %(user_id)s, -1 - ({number}), %(is_read)s FROM {places}
            """,
        tenant_id=person.tenant_id,
        user_id=person.user_id,
        is_read=is_read,
    )
