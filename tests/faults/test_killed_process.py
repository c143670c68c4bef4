"""A process is killed at one exact point: readers see what MySQL has, and the cache is trusted again later."""

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

RunKilled = Callable[..., None]


@pytest.fixture(scope="module")
def job_process() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.support.faults.killed_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as job_process:
        yield job_process


@pytest.fixture
def run_killed(job_process: "subprocess.Popen[str]", conversation: str) -> RunKilled:
    def run_killed(point: str, work: str, user: Person, **more: Any) -> None:
        job = {"point": point, "work": work, "conversation": conversation, "principal": user.principal}
        assert job_process.stdin
        assert job_process.stdout
        job_process.stdin.write(json.dumps({**job, "tenant_id": user.tenant_id, **more}) + "\n")
        job_process.stdin.flush()
        assert int(job_process.stdout.readline()) == signal.SIGKILL

    return run_killed


def list_texts(conversation: str) -> list[str]:
    return ["" if entry.withdrawn else entry.text for entry in reversed(list_stored(conversation))]


def assert_trusted_again(conversation: str, user: Person, mysql_reads: list[str]) -> None:
    """The cache is trusted again after the first refill when the write intent is a minute old."""
    final_state.age_write_intents(conversation)
    read_newest(conversation, user)
    mysql_reads.clear()
    assert read_newest(conversation, user) == list_texts(conversation)
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
    run_killed: RunKilled,
    mysql_reads: list[str],
    point: str,
    written: bool,
) -> None:
    send_message("一", chen)
    read_newest(conversation, chen)
    run_killed(point, "send", lin, text="二", key="k2")
    assert read_newest(conversation, chen) == (["二", "一"] if written else ["一"])
    assert count_unread(conversation, chen) == 0
    assert_trusted_again(conversation, chen, mysql_reads)
    send_message("二", lin, "k2")  # the client repeats it
    assert read_newest(conversation, chen) == read_newest(conversation, lin) == ["二", "一"]
    assert_trusted_again(conversation, lin, mysql_reads)


def test_sender_killed_before_commit_returns(
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    run_killed: RunKilled,
    mysql_reads: list[str],
) -> None:
    send_message("一", chen)
    read_newest(conversation, chen)
    run_killed("before commit returns", "send", lin, text="二", key="k2")
    before, shown, after = list_texts(conversation), read_newest(conversation, chen), list_texts(conversation)
    assert shown in (before, after)
    wait_until(lambda: len(list_texts(conversation)) == 2)
    assert read_newest(conversation, chen) == ["二", "一"]
    assert_trusted_again(conversation, chen, mysql_reads)


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
    run_killed: RunKilled,
    mysql_reads: list[str],
    point: str,
    withdrawn: bool,
) -> None:
    wrong = send_message("说错了", lin)
    read_newest(conversation, chen)
    run_killed(point, "withdraw", lin, id=wrong.id)
    assert read_newest(conversation, chen) == ([""] if withdrawn else ["说错了"])
    assert_trusted_again(conversation, chen, mysql_reads)
    assert list_texts(conversation) == ([""] if withdrawn else ["说错了"])


def test_reader_killed_during_refill(
    conversation: str,
    lin: Person,
    chen: Person,
    send_message: SendMessage,
    run_killed: RunKilled,
    mysql_reads: list[str],
) -> None:
    send_message("一", lin)
    run_killed("between MySQL and the refill", "read", chen)
    send_message("二", lin)
    assert read_newest(conversation, chen) == ["二", "一"]
    assert_trusted_again(conversation, chen, mysql_reads)


@pytest.mark.parametrize("work", ["read", "hide"])
def test_reader_killed_before_its_state_reaches_redis(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage, run_killed: RunKilled, work: str
) -> None:
    send_message("一", lin)
    reading.fetch_newest_page(conversation, chen.principal, 10)
    run_killed("between MySQL and the participant state", work, chen)
    final_state.age_cache(conversation)
    state = reading.fetch_newest_pages([conversation], chen.principal)[conversation].participant
    assert state
    assert (state.read_seq, state.hidden_seq) == ((1, 0) if work == "read" else (0, 1))
