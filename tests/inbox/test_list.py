"""One's own site messages: the unread, the newest first, a page at a time."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
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

pytestmark = pytest.mark.store
OLD = 100_000


def test_an_empty_inbox_is_an_empty_list(lin: Person) -> None:
    assert list_messages(lin) == []
    assert get_unread_count(lin) == 0


def test_the_unread_are_listed_the_newest_first_and_listing_is_not_reading(hospital: Hospital, lin: Person) -> None:
    for text in ("一", "二", "三"):
        send(hospital.desk, text, lin)
    for _ in range(2):
        assert list_texts(lin) == ["三", "二", "一"]
    newest = list_messages(lin)[0]
    assert newest["msg_id"].isdigit()
    assert newest["is_read"] is False
    assert get_unread_count(lin) == 3


def test_what_is_read_is_listed_where_it_is_asked_for(hospital: Hospital, lin: Person) -> None:
    for text in ("一", "二", "三"):
        send(hospital.desk, text, lin)
    set_read(lin, list_messages(lin)[1]["msg_id"])
    shown = {
        status: [(one["msg_text"], one["is_read"]) for one in list_messages(lin, status=status)] for status in STATES
    }
    assert shown == {
        "unread": [("三", False), ("一", False)],
        "read": [("二", True)],
        "all": [("三", False), ("二", True), ("一", False)],
    }
    assert get_unread_count(lin) == 2


STATES = ("unread", "read", "all")


@pytest.mark.parametrize("status", STATES)
def test_pages_go_on_where_the_last_one_ended(hospital: Hospital, lin: Person, status: str) -> None:
    for number in range(5):
        send(hospital.desk, str(number), lin)
    if status == "read":
        set_all_read(lin)
    pages, msg_id = [], ""
    while page := list_messages(lin, status=status, page_size=2, msg_id=msg_id):
        pages.append([one["msg_text"] for one in page])
        msg_id = page[-1]["msg_id"]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]


def test_nobody_sees_what_is_anothers(hospital: Hospital, other_hospital: Hospital, lin: Person, wang: Person) -> None:
    send(hospital.desk, "给林", lin)
    send(other_hospital.desk, "别处", other_hospital.lin)
    assert list_texts(lin, status="all") == ["给林"]
    for stranger in (wang, hospital.desk, hospital.admin, other_hospital.wang):
        assert list_messages(stranger, status="all") == []
        assert get_unread_count(stranger) == 0


@pytest.mark.parametrize("path", ["list", "unread_count"])
def test_who_may_not(hospital: Hospital, path: str) -> None:
    for token, status in (("", 401), ("nobody's", 401), (create_external_user(hospital, "guo").token, 403)):
        assert get(f"{MESSAGE_PATH}/{path}", token).status == status
    assert get(f"{MESSAGE_PATH}/{path}", headers={"X-Internal-Key": hospital.internal_key}).status == 401


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *(("status", bad) for bad in ("new", "0")),
        *(("page_size", bad) for bad in ("0", "-1", "x")),
        *(("msg_id", bad) for bad in ("x", "0", "-1", "9" * 30, "EDCZL-SY32-243Y-VWQ")),
    ],
)
def test_a_bad_field_is_named(lin: Person, field: str, bad: Any) -> None:
    answer = get(f"{MESSAGE_PATH}/list", lin.token, **{field: bad})
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith(f"{field}：")


@pytest.mark.parametrize("status", STATES)
def test_a_hundred_thousand_old_ones_are_not_looked_at(hospital: Hospital, lin: Person, status: str) -> None:
    """Counted in MySQL: rows that were read for a page of 20, and for counting 20."""
    grow(lin, is_read=status != "read")
    for number in range(20):
        send(hospital.desk, str(number), lin)
        if status == "read":
            set_read(lin, list_messages(lin, page_size=1)[0]["msg_id"])
    who, is_read = (lin.tenant_id, lin.user_id), {"unread": False, "read": True, "all": None}[status]
    found, read = mysql.run_autocommit(
        lambda tx: counted(tx, lambda: store.list_messages(tx, *who, is_read, ID_LIMIT, 20))
    )
    assert [message.text for message in found] == [str(number) for number in reversed(range(20))]
    assert read <= 50
    if status == "unread":
        count, read = mysql.run_autocommit(lambda tx: counted(tx, lambda: store.count_unread(tx, *who)))
        assert count == 20
        assert read <= 30


def counted(tx: Tx, ask: Any) -> tuple[Any, int]:
    """Return what was asked, and how many rows were read for it."""

    def so_far() -> int:
        return sum(int(row["Value"]) for row in tx.fetch_all("SHOW SESSION STATUS LIKE 'Handler_read%'"))

    first = so_far()
    looking = so_far() - first  # costs reads itself
    answer = ask()
    return answer, so_far() - first - 2 * looking


def grow(person: Person, is_read: bool) -> None:
    """Give somebody so many old messages, by ids below all others."""
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
