"""The outbox in MySQL. Nothing is decided here."""

from collections.abc import Collection

from chalicelib.adapters.mysql import Row, Tx


def insert(tx: Tx, tenant_id: int, job: str, once: str | None, payload: str, now: int) -> None:
    """One that is there already under the same name stays as it is."""
    tx.execute(
        """
        INSERT INTO outbox (tenant_id, job, once, payload, due_at, created_at)
        VALUES (%(tenant_id)s, %(job)s, %(once)s, %(payload)s, %(now)s, %(now)s)
        ON DUPLICATE KEY UPDATE outbox_id = outbox_id
        """,
        tenant_id=tenant_id,
        job=job,
        once=once.encode() if once else None,
        payload=payload,
        now=now,
    )


def list_due(tx: Tx, now: int, jobs: Collection[str], among: bool, limit: int, since: int = 0) -> list[Row]:
    """Return the rows that wait, of these jobs (`among`) or of all others, the longest due first.

    `since` leaves out what was due before.
    """
    return tx.fetch_all(
        """
        SELECT outbox_id, tenant_id, job, once, payload, due_at, tries FROM outbox
        WHERE waiting = 1 AND due_at BETWEEN %(since)s AND %(now)s AND (job IN %(jobs)s) = %(among)s
        ORDER BY due_at LIMIT %(limit)s
        """,
        now=now,
        since=since,
        jobs=jobs,
        among=among,
        limit=limit,
    )


def claim(tx: Tx, row: Row, until: int) -> bool:
    """Take a row as it was seen; False where somebody else was faster."""
    taken = tx.execute(
        """
        UPDATE outbox SET due_at = %(until)s, tries = tries + 1
        WHERE outbox_id = %(outbox_id)s AND waiting = 1 AND due_at = %(due_at)s AND tries = %(tries)s
        """,
        until=until,
        outbox_id=row["outbox_id"],
        due_at=row["due_at"],
        tries=row["tries"],
    )
    return taken == 1


def finish(tx: Tx, row: Row, now: int) -> None:
    """It goes, unless it has a name: that stays, and keeps it from being promised anew."""
    if row["once"] is None:
        tx.execute("DELETE FROM outbox WHERE outbox_id = %(outbox_id)s AND waiting = 1", outbox_id=row["outbox_id"])
        return
    tx.execute(
        "UPDATE outbox SET waiting = NULL, done_at = %(now)s WHERE outbox_id = %(outbox_id)s AND waiting = 1",
        outbox_id=row["outbox_id"],
        now=now,
    )


def postpone(tx: Tx, outbox_id: int, until: int) -> None:
    tx.execute(
        "UPDATE outbox SET due_at = %(until)s WHERE outbox_id = %(outbox_id)s AND waiting = 1",
        outbox_id=outbox_id,
        until=until,
    )


def dead_letter(tx: Tx, outbox_id: int, now: int) -> None:
    tx.execute(
        "UPDATE outbox SET waiting = NULL, parked_at = %(now)s WHERE outbox_id = %(outbox_id)s AND waiting = 1",
        outbox_id=outbox_id,
        now=now,
    )


def delete_finished(tx: Tx, before: int, limit: int) -> None:
    """Rows that were done long ago go."""
    tx.execute("DELETE FROM outbox WHERE done_at < %(before)s LIMIT %(limit)s", before=before, limit=limit)
