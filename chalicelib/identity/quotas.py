"""Quotas that come back continuously: token buckets in MySQL, which a flushed cache does not refill.

A bucket is one value, the time at which it will be full. tenant_id is 0 for those that all hospitals share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx

CLOCK_TOLERANCE = clock.SECOND  # by which the clocks of functions may differ


@dataclass(frozen=True, slots=True)
class Quota:
    """How often something may be done: at once, and again after how many microseconds."""

    burst: int
    interval: int


def find_wait(tx: Tx, tenant_id: int, subject: str, quota: Quota) -> int:
    """Return the microseconds until a subject may use its quota once more, 0 if it may now."""
    return find_waits(tx, tenant_id, [subject], quota)[subject]


def find_waits(tx: Tx, tenant_id: int, subjects: Sequence[str], quota: Quota) -> dict[str, int]:
    """Return the same for several subjects."""
    used = _find_used(tx, tenant_id, subjects, quota, clock.now())
    return {subject: max(used[subject] - (quota.burst - 1) * quota.interval, 0) for subject in subjects}


def use(tx: Tx, tenant_id: int, subject: str, quota: Quota) -> int:
    """Use a quota once.

    Returns:
        0, or the microseconds to wait if it is used up: then the transaction must be rolled back.
    """
    return use_each(tx, tenant_id, [subject], quota)[subject]


def use_each(tx: Tx, tenant_id: int, subjects: Sequence[str], quota: Quota) -> dict[str, int]:
    """Use the quotas of several subjects once; return the same for each.

    The order of the subjects is that in which their rows are locked. Where the transaction is not rolled back, a quota
    stays used up.
    """
    now = clock.now()
    tx.execute_many(
        f"""
        INSERT INTO quotas (tenant_id, subject, full_at) VALUES (%(tenant_id)s, %(subject)s, %(full_at)s)
        ON DUPLICATE KEY UPDATE
            full_at = VALUES(full_at)
                + IF(full_at BETWEEN VALUES(full_at) - {quota.interval}
                        AND VALUES(full_at) + {quota.interval * quota.burst + CLOCK_TOLERANCE},
                    LEAST(full_at - VALUES(full_at) + {quota.interval}, {quota.interval * quota.burst}), 0)
        """,
        [
            {"tenant_id": tenant_id, "subject": subject.encode(), "full_at": now + quota.interval}
            for subject in subjects
        ],
    )
    used = _find_used(tx, tenant_id, subjects, quota, now)
    return {subject: max(used[subject] - quota.burst * quota.interval, 0) for subject in subjects}


def give_back(tx: Tx, tenant_id: int, quota: Quota, *subjects: str) -> None:
    """Undo `use`. A quota of which nothing is used stays as it is."""
    tx.execute(
        """
        UPDATE quotas SET full_at = full_at - %(interval)s
        WHERE tenant_id = %(tenant_id)s AND subject IN %(subjects)s AND full_at > %(now)s
        """,
        tenant_id=tenant_id,
        subjects=[subject.encode() for subject in subjects],
        now=clock.now(),
        interval=quota.interval,
    )


def _find_used(tx: Tx, tenant_id: int, subjects: Sequence[str], quota: Quota, now: int) -> dict[str, int]:
    """Return the microseconds until each bucket is full.

    One that is full later than it can be is from a clock that was wrong, and counts as full.
    """
    rows = tx.fetch_all(
        "SELECT subject, full_at FROM quotas WHERE tenant_id = %(tenant_id)s AND subject IN %(subjects)s",
        tenant_id=tenant_id,
        subjects=[subject.encode() for subject in subjects],
    )
    latest = now + (quota.burst + 1) * quota.interval + CLOCK_TOLERANCE
    full_at = {row["subject"].decode(): row["full_at"] for row in rows if now <= row["full_at"] <= latest}
    return {subject: full_at.get(subject, now) - now for subject in subjects}
