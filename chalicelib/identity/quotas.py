"""Quotas that come back continuously: token buckets in MySQL, which a flushed cache does not refill.

A bucket is one value, the time at which it will be full. tenant_id is 0 for those that all hospitals share.
"""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx


@dataclass(frozen=True, slots=True)
class Quota:
    """How often something may be done: at once, and again after how many microseconds."""

    burst: int
    interval: int


def find_wait(tx: Tx, tenant_id: int, subject: str, quota: Quota) -> int:
    """Return the microseconds until a subject may use its quota once more, 0 if it may now."""
    full_at = _find_full_at(tx, tenant_id, subject)
    return max(full_at - clock.now() - (quota.burst - 1) * quota.interval, 0)


def use(tx: Tx, tenant_id: int, subject: str, quota: Quota) -> int:
    """Use a quota once; return 0, or how much it is exceeded by: then the transaction must not be committed."""
    now = clock.now()
    tx.execute(
        """
        INSERT INTO quotas (tenant_id, subject, full_at)
        VALUES (%(tenant_id)s, %(subject)s, %(now)s + %(interval)s)
        ON DUPLICATE KEY UPDATE full_at = GREATEST(full_at, %(now)s) + %(interval)s
        """,
        tenant_id=tenant_id,
        subject=subject.encode(),
        now=now,
        interval=quota.interval,
    )
    return max(_find_full_at(tx, tenant_id, subject) - now - quota.burst * quota.interval, 0)


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


def _find_full_at(tx: Tx, tenant_id: int, subject: str) -> int:
    full_at = tx.fetch_value(
        "SELECT full_at FROM quotas WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s",
        tenant_id=tenant_id,
        subject=subject.encode(),
    )
    return full_at or 0
