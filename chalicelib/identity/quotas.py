"""Quotas that come back continuously: token buckets in MySQL, which a flushed cache does not refill.

A bucket is one value, the time at which it will be full. tenant_id is 0 for those that all hospitals share.
"""

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
    used = _find_used(tx, tenant_id, subject, quota, clock.now())
    return max(used - (quota.burst - 1) * quota.interval, 0)


def use(tx: Tx, tenant_id: int, subject: str, quota: Quota) -> int:
    """Use a quota once.

    Returns:
        0, or the microseconds to wait if it is used up: then the transaction must be rolled back.
    """
    now = clock.now()
    tx.execute(
        """
        INSERT INTO quotas (tenant_id, subject, full_at)
        VALUES (%(tenant_id)s, %(subject)s, %(now)s + %(interval)s)
        ON DUPLICATE KEY UPDATE
            full_at = IF(full_at BETWEEN %(now)s AND %(latest)s, full_at, %(now)s) + %(interval)s
        """,
        tenant_id=tenant_id,
        subject=subject.encode(),
        now=now,
        latest=_find_latest(quota, now),
        interval=quota.interval,
    )
    return max(_find_used(tx, tenant_id, subject, quota, now) - quota.burst * quota.interval, 0)


def give_back(tx: Tx, tenant_id: int, subject: str, quota: Quota) -> None:
    """Undo `use`. A quota of which nothing is used stays as it is."""
    tx.execute(
        """
        UPDATE quotas SET full_at = full_at - %(interval)s
        WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND full_at > %(now)s
        """,
        tenant_id=tenant_id,
        subject=subject.encode(),
        now=clock.now(),
        interval=quota.interval,
    )


def _find_used(tx: Tx, tenant_id: int, subject: str, quota: Quota, now: int) -> int:
    """Return the microseconds until a bucket is full."""
    full_at = tx.fetch_value(
        "SELECT full_at FROM quotas WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s",
        tenant_id=tenant_id,
        subject=subject.encode(),
    )
    return full_at - now if full_at and now <= full_at <= _find_latest(quota, now) + quota.interval else 0


def _find_latest(quota: Quota, now: int) -> int:
    """Return the latest time at which a bucket can be full. A later one is from a clock that was wrong, and ignored."""
    return now + quota.burst * quota.interval + CLOCK_TOLERANCE
