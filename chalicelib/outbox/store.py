"""SQL of the outbox table."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from chalicelib.adapters.mysql import Row, Tx


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job that waits to be run. Instants are microseconds."""

    outbox_id: int
    tenant_id: int
    job: str  # of jobs.Job, unless a newer version enqueued it
    dedup_key: bytes | None
    payload: str  # JSON
    due_at: int
    attempts: int


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A dead-lettered job that this transaction has locked."""

    outbox_id: int
    tenant_id: int
    job: str
    attempts: int


def insert(
    tx: Tx, tenant_id: int, job: str, dedup_key: str | None, payload: str, now: int, due_at: int | None = None
) -> None:
    """Insert a job, unless the tenant has one with that key.

    Args:
        due_at: when to run it; None for now.
    """
    tx.execute(
        """
        INSERT INTO outbox (tenant_id, job, dedup_key, payload, due_at, created_at)
        VALUES (%(tenant_id)s, %(job)s, %(dedup_key)s, %(payload)s, %(due_at)s, %(now)s)
        ON DUPLICATE KEY UPDATE outbox_id = outbox_id
        """,
        tenant_id=tenant_id,
        job=job,
        dedup_key=dedup_key.encode() if dedup_key else None,
        payload=payload,
        now=now,
        due_at=now if due_at is None else due_at,
    )


def list_due(tx: Tx, now: int, jobs: Collection[str], included: bool, limit: int, since: int = 0) -> list[DueJob]:
    """Return pending jobs, the longest due first: those of `jobs` if `included`, else all others.

    Args:
        since: leave out jobs that were due before this instant.
    """
    rows = tx.fetch_all(
        """
        SELECT outbox_id, tenant_id, job, dedup_key, payload, due_at, attempts FROM outbox
        WHERE pending = 1 AND due_at BETWEEN %(since)s AND %(now)s AND (job IN %(jobs)s) = %(included)s
        ORDER BY due_at LIMIT %(limit)s
        """,
        now=now,
        since=since,
        jobs=jobs,
        included=included,
        limit=limit,
    )
    return [DueJob(**row) for row in rows]


def find_next_due(tx: Tx, jobs: Collection[str], until: int) -> int | None:
    """Return when the first pending job of these is due, None if none is due before `until`."""
    due_at: int | None = tx.fetch_value(
        """
        SELECT due_at FROM outbox WHERE pending = 1 AND due_at < %(until)s AND job IN %(jobs)s
        ORDER BY due_at LIMIT 1
        """,
        until=until,
        jobs=jobs,
    )
    return due_at


def claim(tx: Tx, job: DueJob, until: int) -> bool:
    """Lease a job until an instant; False if another worker was faster."""
    claimed = tx.execute(
        """
        UPDATE outbox SET due_at = %(until)s, attempts = attempts + 1
        WHERE outbox_id = %(outbox_id)s AND pending = 1 AND due_at = %(due_at)s AND attempts = %(attempts)s
        """,
        until=until,
        outbox_id=job.outbox_id,
        due_at=job.due_at,
        attempts=job.attempts,
    )
    return claimed == 1


def finish(tx: Tx, job: DueJob, now: int) -> None:
    """Delete a job, or mark it done if it has a dedup_key."""
    if job.dedup_key is None:
        tx.execute("DELETE FROM outbox WHERE outbox_id = %(outbox_id)s AND pending = 1", outbox_id=job.outbox_id)
        return
    tx.execute(
        "UPDATE outbox SET pending = NULL, done_at = %(now)s WHERE outbox_id = %(outbox_id)s AND pending = 1",
        outbox_id=job.outbox_id,
        now=now,
    )


def postpone(tx: Tx, outbox_id: int, until: int) -> None:
    """Set when a pending job is due again."""
    tx.execute(
        "UPDATE outbox SET due_at = %(until)s WHERE outbox_id = %(outbox_id)s AND pending = 1",
        outbox_id=outbox_id,
        until=until,
    )


def dead_letter(tx: Tx, outbox_id: int, error: str, now: int) -> None:
    """Keep a pending job for an admin; it is not run again.

    Args:
        error: type and codes of the last error, without its message, which may quote personal data.
    """
    tx.execute(
        """
        UPDATE outbox SET pending = NULL, dead_lettered_at = %(now)s, error = %(error)s
        WHERE outbox_id = %(outbox_id)s AND pending = 1
        """,
        outbox_id=outbox_id,
        error=error[:64],
        now=now,
    )


def list_dead_lettered(
    tx: Tx, tenant_id: int, *, job: str | None, since: int, until: int, condition: str, **page: Any
) -> list[Row]:
    """Return dead-lettered jobs of a tenant, the last failed first.

    Args:
        job: only those with this name.
        condition, page: of http/pagination.py.
    """
    return tx.fetch_all(
        f"""
        SELECT outbox_id, job, attempts, error, created_at, dead_lettered_at
        FROM outbox FORCE INDEX (dead_lettered)
        WHERE tenant_id = %(tenant_id)s AND dead_lettered_at >= %(since)s AND dead_lettered_at < %(until)s
          {"AND job = %(job)s" if job else ""} {condition}
        ORDER BY dead_lettered_at DESC, outbox_id DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        job=job,
        since=since,
        until=until,
        **page,
    )


def lock_dead_lettered(tx: Tx, tenant_id: int, outbox_id: int) -> DeadJob | None:
    """Lock a dead-lettered job of a tenant and return it; None if there is none."""
    row = tx.fetch_one(
        """
        SELECT outbox_id, tenant_id, job, attempts FROM outbox
        WHERE outbox_id = %(outbox_id)s AND tenant_id = %(tenant_id)s AND dead_lettered_at IS NOT NULL FOR UPDATE
        """,
        outbox_id=outbox_id,
        tenant_id=tenant_id,
    )
    return DeadJob(**row) if row else None


def revive(tx: Tx, job: DeadJob, now: int) -> None:
    """Make a locked dead-lettered job due now, with all its attempts."""
    tx.execute(
        """
        UPDATE outbox SET pending = 1, attempts = 0, due_at = %(now)s, dead_lettered_at = NULL
        WHERE outbox_id = %(outbox_id)s AND tenant_id = %(tenant_id)s
        """,
        outbox_id=job.outbox_id,
        tenant_id=job.tenant_id,
        now=now,
    )


def drop(tx: Tx, job: DeadJob, now: int) -> None:
    """Let a locked dead-lettered job count as done, without its payload; its dedup_key stays for a while."""
    tx.execute(
        """
        UPDATE outbox SET done_at = %(now)s, dead_lettered_at = NULL, payload = '{}'
        WHERE outbox_id = %(outbox_id)s AND tenant_id = %(tenant_id)s
        """,
        outbox_id=job.outbox_id,
        tenant_id=job.tenant_id,
        now=now,
    )


def delete_finished(tx: Tx, before: int, limit: int) -> None:
    """Delete at most `limit` jobs that were done before an instant."""
    tx.execute("DELETE FROM outbox WHERE done_at < %(before)s LIMIT %(limit)s", before=before, limit=limit)
