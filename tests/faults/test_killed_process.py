"""A process is killed at one exact line: whoever reads next sees the truth, and the tail is believed again later."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.messaging import reading
from tests.support.conversation_log import SendMessage, count_unread, read_newest
from tests.support.factories import Person
from tests.support.faults import final_state
from tests.support.faults.final_state import list_stored, wait_until

Die = Callable[..., None]


@pytest.fixture(scope="module")
def mother() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.support.faults.killed_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as mother:
        yield mother


@pytest.fixture
def die(mother: "subprocess.Popen[str]", conversation: str) -> Die:
    def die(point: str, work: str, who: Person, **more: Any) -> None:
        job = {"point": point, "work": work, "conversation": conversation, "principal": who.principal}
        assert mother.stdin
        assert mother.stdout
        mother.stdin.write(json.dumps({**job, "tenant_id": who.tenant_id, **more}) + "\n")
        mother.stdin.flush()
        assert int(mother.stdout.readline()) == signal.SIGKILL

    return die


def truth(conversation: str) -> list[str]:
    return ["" if entry.withdrawn else entry.text for entry in reversed(list_stored(conversation))]


def assert_believed_again(conversation: str, who: Person, mysql_reads: list[str]) -> None:
    """Once the mark is a minute old: at the next refill, and not before."""
    final_state.age_write_intents(conversation)
    read_newest(conversation, who)
    mysql_reads.clear()
    assert read_newest(conversation, who) == truth(conversation)
    assert mysql_reads == []


@pytest.mark.parametrize(
    ("point", "written"),
    [
        ("before the write intent", False),
        ("before the transaction", False),
        ("between commit and Redis", True),
    ],
)
def test_sender_killed(
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    die: Die,
    mysql_reads: list[str],
    point: str,
    written: bool,
) -> None:
    send_message("一", chen)
    read_newest(conversation, chen)
    die(point, "send", lin, text="二", key="k2")
    assert read_newest(conversation, chen) == (["二", "一"] if written else ["一"])
    assert count_unread(conversation, chen) == 0
    assert_believed_again(conversation, chen, mysql_reads)
    send_message("二", lin, "k2")  # her phone sends it again
    assert read_newest(conversation, chen) == read_newest(conversation, lin) == ["二", "一"]
    assert_believed_again(conversation, lin, mysql_reads)


def test_sender_killed_before_commit_returns(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, die: Die, mysql_reads: list[str]
) -> None:
    send_message("一", chen)
    read_newest(conversation, chen)
    die("before its commit is answered", "send", lin, text="二", key="k2")
    before, shown, after = truth(conversation), read_newest(conversation, chen), truth(conversation)
    assert shown in (before, after)
    wait_until(lambda: len(truth(conversation)) == 2)
    assert read_newest(conversation, chen) == ["二", "一"]
    assert_believed_again(conversation, chen, mysql_reads)


@pytest.mark.parametrize(
    ("point", "withdrawn"),
    [
        ("before the write intent", False),
        ("before the transaction", False),
        ("between two statements", False),
        ("between commit and Redis", True),
    ],
)
def test_withdrawing_process_killed(
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    die: Die,
    mysql_reads: list[str],
    point: str,
    withdrawn: bool,
) -> None:
    wrong = send_message("说错了", lin)
    read_newest(conversation, chen)
    die(point, "withdraw", lin, id=wrong.id)
    assert read_newest(conversation, chen) == ([""] if withdrawn else ["说错了"])
    assert_believed_again(conversation, chen, mysql_reads)
    assert truth(conversation) == ([""] if withdrawn else ["说错了"])


def test_reader_killed_during_refill(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, die: Die, mysql_reads: list[str]
) -> None:
    send_message("一", lin)
    die("between MySQL and the refill", "read", chen)
    send_message("二", lin)
    assert read_newest(conversation, chen) == ["二", "一"]
    assert_believed_again(conversation, chen, mysql_reads)


@pytest.mark.parametrize("work", ["read", "hide"])
def test_reader_killed_before_its_state_reaches_redis(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, die: Die, work: str
) -> None:
    send_message("一", lin)
    reading.fetch_newest_page(conversation, chen.principal, 10)
    die("between MySQL and the participant state", work, chen)
    final_state.age_cache(conversation)
    seat = reading.fetch_newest_pages([conversation], chen.principal)[conversation].participant
    assert seat
    assert (seat.read_seq, seat.hidden_seq) == ((1, 0) if work == "read" else (0, 1))
