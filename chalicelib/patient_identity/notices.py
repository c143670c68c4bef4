"""Enqueue the notices that an account is bound to a patient file, or no longer.

Separate from notice_delivery.py, so that functions which only enqueue do not import delivery. The jobs are of the
external queue, because the owner of a file gets a text message too: call outbox.wake_worker(Queue.EXTERNAL) after the
commit.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job


class Notice(StrEnum):
    """What a job of NOTIFY_FILE_BOUND reports."""

    BOUND = "bound"  # members of accounts got the file into which theirs was merged
    SPLIT = "split"  # they got their own file back
    REMOVED = "removed"  # the owner or the front desk removed a member from its account


def enqueue_bound(tx: Tx, tenant_id: int, merge_id: int, conflicts: Collection[int]) -> None:
    """Enqueue the notices of a merge.

    Args:
        conflicts: book_ids of bookings to come that clash with another one of the person.
    """
    _enqueue(tx, tenant_id, Notice.BOUND, merge_id, conflicts=list(conflicts))


def enqueue_split(tx: Tx, tenant_id: int, merge_id: int) -> None:
    """Enqueue the notices of a split."""
    _enqueue(tx, tenant_id, Notice.SPLIT, merge_id)


def enqueue_removed(tx: Tx, tenant_id: int, member_id: int, has_moved_bookings: bool) -> None:
    """Enqueue the notice that a member was removed from its account.

    Args:
        has_moved_bookings: whether its bookings to come moved to the owner of the file.
    """
    _enqueue(tx, tenant_id, Notice.REMOVED, member_id, has_moved_bookings=has_moved_bookings)


def _enqueue(tx: Tx, tenant_id: int, notice: Notice, subject_id: int, **more: Any) -> None:
    payload = {"notice": notice, "id": subject_id, "at": clock.now(), **more}
    outbox.enqueue(tx, tenant_id, Job.NOTIFY_FILE_BOUND, payload, dedup_key=f"file:{notice}:{subject_id}")
