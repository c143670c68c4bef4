"""Tests of the history checker: each shows it one fault in an otherwise correct history."""

from dataclasses import replace

import pytest

from tests.support.faults.history_checker import (
    GRACE_SECONDS,
    AcknowledgedWrite,
    ObservedRead,
    StoredLogs,
    StoredMessage,
    find_problems,
)

LOG = [
    StoredMessage(1, "A", "lin/1"),
    StoredMessage(2, "B", "chen/1"),
    StoredMessage(3, "C", "lin/2"),
    StoredMessage(4, "D", "lin/3", withdrawn=True),
]
STORED: StoredLogs = {"s": LOG}
WRITES = [
    *(AcknowledgedWrite("send", "s", entry.id, entry.text, acknowledged_at=entry.seq) for entry in LOG),
    AcknowledgedWrite("withdraw", "s", "D", "lin/3", acknowledged_at=5.0),
]
THREE = (("C", "lin/2"), ("B", "chen/1"), ("A", "lin/1"))
AT_THREE = ObservedRead("r1", "s", 3.1, 3.2, THREE)
AT_FOUR = ObservedRead("r1", "s", 4.1, 4.2, (("D", "lin/3"), *THREE))
AT_FIVE = ObservedRead("r1", "s", 5.1, 5.2, (("D", ""), *THREE))
READS = [AT_THREE, AT_FOUR, AT_FIVE, ObservedRead("r2", "s", 5.1, 5.2, THREE[1:], older=True)]


def test_correct_history_has_no_problems() -> None:
    assert find_problems(STORED, WRITES, READS) == []


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (LOG[:2] + LOG[3:], "gap"),
        ([*LOG[:3], replace(LOG[3], text="lin/2")], "2 times"),
        ([*LOG[:3], replace(LOG[3], text="lin/4")], "lin/3 was acknowledged and is lost"),
        ([*LOG[:3], replace(LOG[3], id="E")], "lin/3 was acknowledged and is lost"),
        ([replace(LOG[0], text="lin/2"), LOG[1], replace(LOG[2], text="lin/1"), LOG[3]], "out of order"),
        ([*LOG[:3], replace(LOG[3], id="BB")], "ascend"),
        ([*LOG[:3], replace(LOG[3], withdrawn=False)], "withdrawn and is not"),
    ],
)
def test_fault_in_log_is_found(log: list[StoredMessage], problem: str) -> None:
    assert any(problem in one for one in find_problems({"s": log}, WRITES, []))


@pytest.mark.parametrize(
    ("reads", "problem"),
    [
        ([replace(AT_THREE, page=(THREE[0], THREE[2]))], "gap: [3, 1]"),
        ([replace(AT_THREE, page=(THREE[1], THREE[0], THREE[2]))], "with a gap"),
        ([replace(AT_THREE, page=(THREE[0], THREE[0]))], "with a gap"),
        ([replace(AT_THREE, page=(("X", "lin/9"), *THREE))], "not in MySQL"),
        ([replace(AT_THREE, page=(("C", "lin/9"), *THREE[1:]))], "'lin/9' for lin/2"),
        ([replace(AT_THREE, page=(("C", ""), *THREE[1:]))], "'' for lin/2"),
        ([replace(AT_THREE, page=THREE[1:])], "shown 2 where 3 had been acknowledged"),
        ([replace(AT_THREE, page=())], "shown 0 where 3 had been acknowledged"),
        ([AT_FIVE, replace(AT_FOUR, started_at=5.3, ended_at=5.4)], "lin/3 after it was withdrawn"),
    ],
)
def test_fault_in_page_is_found(reads: list[ObservedRead], problem: str) -> None:
    assert any(problem in one for one in find_problems(STORED, WRITES, reads))


UNPUBLISHED = [replace(write, published=False) for write in WRITES]


def test_unpublished_write_may_be_missing_for_ten_seconds() -> None:
    assert find_problems(STORED, UNPUBLISHED, [replace(AT_THREE, page=THREE[1:])]) == []
    late = replace(AT_THREE, started_at=3.1 + GRACE_SECONDS, ended_at=3.2 + GRACE_SECONDS, page=THREE[1:])
    assert find_problems(STORED, UNPUBLISHED, [late]) == ["r1 was shown 2 where 3 had been acknowledged"]


def test_page_older_than_earlier_page_is_found() -> None:
    less = replace(AT_THREE, started_at=3.3, ended_at=3.4, page=THREE[1:])
    assert find_problems(STORED, UNPUBLISHED, [AT_THREE, less]) == ["r1 was shown 2 after 3"]
    assert find_problems(STORED, UNPUBLISHED, [AT_THREE, replace(less, process="r2")]) == []
    assert find_problems(STORED, UNPUBLISHED, [AT_THREE, replace(less, started_at=3.15)]) == []  # at the same time


def test_older_page_is_found_after_many_reads() -> None:
    between = [replace(AT_FOUR, started_at=4.3 + n / 100, ended_at=4.3 + n / 100) for n in range(9)]
    less = replace(AT_THREE, started_at=4.5, ended_at=4.6)
    assert find_problems(STORED, UNPUBLISHED, [AT_FOUR, *between, less]) == ["r1 was shown 3 after 4"]


def test_text_shown_after_its_tombstone_is_found() -> None:
    shown_again = replace(AT_FOUR, started_at=5.3, ended_at=5.4)
    assert find_problems(STORED, UNPUBLISHED, [AT_FIVE, shown_again]) == ["r1 was shown lin/3 again"]
    assert find_problems(STORED, UNPUBLISHED, [AT_FIVE, replace(shown_again, process="r2")]) == []
