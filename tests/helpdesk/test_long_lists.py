"""Lists and counters of a member of staff who has had many chats: what they cost, their totals, and their pages."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.helpdesk import list_store, list_totals
from chalicelib.helpdesk.codes import QueryType
from chalicelib.helpdesk.list_store import ListFilters, ListKey, Position
from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    add_message,
    create_session,
    get_message_count,
    list_conversations,
    send_all,
)
from tests.support.long_lists import insert_chats
from tests.support.query_plans import explain
from tests.support.row_reads import count_rows_read

pytestmark = pytest.mark.store

EVERYTHING: dict[str, Any] = {
    "since": 0,
    "until": 2**53,
    "phone_blind": b"",
    "name": "",
    "excluded_id": "",
    "query_type": QueryType.ALL,
    "served_only": False,
    "visitors_only": False,
}
NEWEST_FIRST = Position(2**62, 0)


def build_filters(**changes: Any) -> ListFilters:
    return ListFilters(**(EVERYTHING | changes))


def count_page_reads(person: Person, key: ListKey, before: Position | None = None, **filters: Any) -> int:
    """Return how many rows the server reads for a page of ten entries, without those that it counts."""

    def fetch(tx: Tx) -> int:
        conditions = build_filters(**filters)
        params = list_store.build_params(person.tenant_id, person.principal, conditions, before)
        sql = list_store.build_page_sql(key, conditions, before)
        rows, reads = count_rows_read(tx, lambda: tx.fetch_all(sql, limit=10, offset=0, end=10, **params))
        assert len(rows) == 10
        return reads

    return mysql.run_autocommit(fetch)


@pytest.fixture
def chats(chen: Person, zhou: Person) -> tuple[Person, Person]:
    """Two doctors with 100 and 2,000 chats; in each case the oldest 50 are unread."""
    for person, number in ((chen, 100), (zhou, 2_000)):
        insert_chats(person, number, unread=50)
    mysql.autocommit.fetch_all("ANALYZE TABLE participants, conversations, messages")
    return chen, zhou


@pytest.mark.parametrize("key", ListKey)
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"query_type": QueryType.CLOSED},
        {"query_type": QueryType.UNREAD},
        {"since": 1},
        {"excluded_id": "5"},
        {"excluded_id": "long-7"},
    ],
    ids=str,
)
def test_page_of_a_long_list_reads_as_many_rows_as_one_of_a_short_list(
    chats: tuple[Person, Person], key: ListKey, filters: dict[str, Any]
) -> None:
    for before in (None, NEWEST_FIRST):
        few, many = (count_page_reads(person, key, before, **filters) for person in chats)
        assert many <= few + 20
        assert many < 400


def count_entries(person: Person, key: ListKey, **filters: Any) -> tuple[int, int]:
    """Return the counted number of entries, and how many rows the server reads for it."""
    conditions = build_filters(**filters)
    params = list_store.build_params(person.tenant_id, person.principal, conditions, None)
    sql = list_store.build_count_sql(key, conditions, "LIMIT 1001")
    return mysql.run_autocommit(lambda tx: count_rows_read(tx, lambda: tx.fetch_value(sql, **params)))


@pytest.mark.parametrize("key", ListKey)
def test_count_reads_at_most_a_thousand_entries(chats: tuple[Person, Person], key: ListKey) -> None:
    total, reads = count_entries(chats[1], key)
    assert total == 1_001
    assert reads < 3_100


@pytest.mark.parametrize("key", ListKey)
def test_count_of_few_entries_reads_no_others(chats: tuple[Person, Person], key: ListKey) -> None:
    total, reads = count_entries(chats[1], key, query_type=QueryType.UNREAD)
    assert total == 50
    assert reads < 250


def test_unread_count_reads_unread_conversations_only(chats: tuple[Person, Person]) -> None:
    _, zhou = chats
    (unread, conversations), reads = mysql.run_autocommit(
        lambda tx: count_rows_read(tx, lambda: list_store.sum_unread(tx, zhou.tenant_id, zhou.principal, limited=True))
    )
    assert (unread, conversations) == (50, 50)
    assert reads < 250


@pytest.mark.parametrize("key", ListKey)
def test_lists_are_read_in_the_order_of_an_index(chats: tuple[Person, Person], key: ListKey) -> None:
    """The rows of a page need no sorting: it would read them all."""
    _, zhou = chats
    params = list_store.build_params(zhou.tenant_id, zhou.principal, build_filters(), None)
    sql = list_store.build_page_sql(key, build_filters(), None)
    plan = [row for row in explain(sql, limit=10, offset=0, end=10, **params) if row["table"] == "p"]
    assert [row["key"] for row in plan] == ["by_activity"] * 4
    assert not [row for row in plan if "filesort" in (row["Extra"] or "")]


def test_pages_after_an_entry_contain_each_chat_once(hospital: Hospital, chen: Person) -> None:
    insert_chats(chen, 23)
    listed: list[str] = []
    position = ""
    while page := list_conversations(chen, size=5, before=position).data:
        listed += [one["sessionId"] for one in page]
        position = page[-1]["position"]
        send_all(hospital.lin, chen, "插队")  # a chat that becomes the newest one
    assert len(listed) == len(set(listed)) == 23
    assert listed == [one["sessionId"] for one in list_conversations(chen, size=100).data[1:]]


def test_pages_of_persons_after_an_entry_contain_each_once(chen: Person) -> None:
    insert_chats(chen, 7)
    pages = []
    position = ""
    while page := list_conversations(chen, "userList", size=3, before=position).data:
        pages.append([one["userId"] or one["sessionId"] for one in page])
        position = page[-1]["position"]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert len({one for page in pages for one in page}) == 7


def test_page_number_counts_from_the_entry(chen: Person) -> None:
    insert_chats(chen, 10)
    everything = [one["sessionId"] for one in list_conversations(chen, size=10).data]
    position = list_conversations(chen, size=2).data[1]["position"]
    page = list_conversations(chen, size=2, page=2, before=position)
    assert [one["sessionId"] for one in page.data] == everything[4:6]
    assert page.body["count"] == 10


@pytest.fixture
def short_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (list_store, list_totals):
        monkeypatch.setattr(module, "MAX_COUNTED", 3)


@pytest.mark.usefixtures("short_counts")
@pytest.mark.parametrize("what", ["conversationList", "userList"])
def test_total_of_a_long_list_is_counted_once_a_minute(hospital: Hospital, chen: Person, what: str) -> None:
    insert_chats(chen, 3)
    assert list_conversations(chen, what).body["count"] == 3
    add_patient(hospital, chen, 1)
    assert list_conversations(chen, what).body["count"] == 4
    add_patient(hospital, chen, 2)
    assert list_conversations(chen, what).body["count"] == 4, "counted a moment ago"
    assert list_conversations(chen, what, queryType=2).body["count"] == 2, "of another list"
    redis.get_client().flushall()
    assert list_conversations(chen, what).body["count"] == 5


@pytest.mark.usefixtures("short_counts")
def test_unread_messages_of_many_conversations_are_counted_once_a_minute(hospital: Hospital, chen: Person) -> None:
    insert_chats(chen, 4, unread=4)
    assert get_message_count(chen) == 4
    add_patient(hospital, chen, 1)
    assert get_message_count(chen) == 4
    redis.get_client().flushall()
    assert get_message_count(chen) == 5


def add_patient(hospital: Hospital, doctor: Person, number: int) -> None:
    patient = factories.create_patient(hospital.tenant_id, f"1370000000{number}", f"患者{number}")
    send_all(patient, doctor, "您好")


def test_chat_without_messages_is_placed_by_its_creation(lin: Person, wang: Person, chen: Person) -> None:
    send_all(lin, chen, "您好")
    create_session(wang, 2, receiveId=chen.user_id)
    assert [one["name"] for one in list_conversations(chen).data] == ["王强", "林小雨"]
    add_message(lin, "在吗", receiveId=chen.user_id)
    assert [one["name"] for one in list_conversations(chen).data] == ["林小雨", "王强"]


def test_until_excludes_the_second_after_it(lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are compared by the millisecond in which the newest message was sent."""
    day = clock.to_instant(clock.today())
    monkeypatch.setattr(clock, "now", lambda: day + 10 * 3600 * clock.SECOND - 1)
    send_all(lin, chen, "差一微秒十点")
    text = clock.today().isoformat()
    assert len(list_conversations(chen, endTime=f"{text} 09:59:59").data) == 1
    assert list_conversations(chen, startTime=f"{text} 10:00:00").data == []
