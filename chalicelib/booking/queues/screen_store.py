"""SQL of the screens in waiting rooms."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.queues.queue_store import LIVE_BOOKING, QueueState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScreen:
    """A screen as admins see it."""

    screen_id: int
    name: str
    dept_id: int
    dept_name: str
    area: str
    created_at: int
    revoked_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntry:
    """An entry of a queue that a screen shows."""

    schedule_id: int
    doctor_name: str  # "" for a general clinic
    half_day: str
    area: str
    state: QueueState
    serial_no: int
    name: str
    is_returning: bool
    calls: int
    called_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenContent:
    """What a screen shows."""

    dept_name: str
    checkin_code: str
    entries: list[ShownEntry]  # by half-day and schedule; those who wait in their order


def insert(tx: Tx, tenant_id: int, dept_id: int, area: str, name: str, user_id: int) -> int:
    """Insert a screen and return its screen_id."""
    return tx.insert(
        """
        INSERT INTO screens (tenant_id, dept_id, area, name, created_by, created_at)
        VALUES (%(tenant_id)s, %(dept_id)s, %(area)s, %(name)s, %(user_id)s, %(now)s)
        """,
        tenant_id=tenant_id,
        dept_id=dept_id,
        area=area,
        name=name,
        user_id=user_id,
        now=clock.now(),
    )


def find_double_submission(tx: Tx, tenant_id: int, since: int, **fields: Any) -> int | None:
    """Return the screen that an equal request of the same person has created since then, or None.

    Args:
        fields: dept_id, area, name and user_id.
    """
    screen_id: int | None = tx.fetch_value(
        """
        SELECT screen_id FROM screens
        WHERE tenant_id = %(tenant_id)s AND dept_id = %(dept_id)s AND area = %(area)s AND name = %(name)s
          AND created_by = %(user_id)s AND created_at > %(since)s AND revoked_at IS NULL LIMIT 1
        """,
        tenant_id=tenant_id,
        since=since,
        **fields,
    )
    return screen_id


def list_all(tx: Tx, tenant_id: int) -> list[StoredScreen]:
    """Return the screens of a tenant, also revoked ones, the newest first."""
    rows = tx.fetch_all(
        """
        SELECT s.screen_id, s.name, s.dept_id, d.name AS dept_name, s.area, s.created_at, s.revoked_at
        FROM screens s JOIN departments d ON d.dept_id = s.dept_id
        WHERE s.tenant_id = %(tenant_id)s ORDER BY s.screen_id DESC
        """,
        tenant_id=tenant_id,
    )
    return [StoredScreen(**row) for row in rows]


def exists(tx: Tx, tenant_id: int, screen_id: int) -> bool:
    """Return whether the tenant has a screen, and lock it."""
    found = tx.fetch_value(
        "SELECT 1 FROM screens WHERE screen_id = %(screen_id)s AND tenant_id = %(tenant_id)s FOR UPDATE",
        screen_id=screen_id,
        tenant_id=tenant_id,
    )
    return found is not None


def revoke(tx: Tx, tenant_id: int, screen_id: int) -> bool:
    """Mark a screen as revoked; return False if it is already."""
    changed = tx.execute(
        """
        UPDATE screens SET revoked_at = %(now)s
        WHERE screen_id = %(screen_id)s AND tenant_id = %(tenant_id)s AND revoked_at IS NULL
        """,
        now=clock.now(),
        screen_id=screen_id,
        tenant_id=tenant_id,
    )
    return changed == 1


def find_content(tx: Tx, tenant_id: int, screen_id: int, today: date) -> ScreenContent | None:
    """Return what a screen shows of today's queues, in one query; None if it is revoked."""
    rows = tx.fetch_all(
        f"""
        SELECT d.name AS dept_name, COALESCE(c.code, '') AS checkin_code, q.*
        FROM screens s JOIN departments d ON d.dept_id = s.dept_id LEFT JOIN checkin_codes c ON c.dept_id = s.dept_id
        LEFT JOIN (
            SELECT x.dept_id, x.schedule_id, x.half_day, x.area, e.state, e.place, e.is_returning, e.calls, e.called_at,
                   b.serial_no, p.name,
                   COALESCE((SELECT f.name FROM staff f WHERE f.user_id = x.doctor_id), '') AS doctor_name
            FROM screens o JOIN schedules x ON x.tenant_id = o.tenant_id AND x.dept_id = o.dept_id
                AND x.day = %(today)s AND x.live = 1 AND o.area IN ('', x.area)
            JOIN queue_entries e ON e.schedule_id = x.schedule_id AND e.state IN %(shown)s {LIVE_BOOKING}
            JOIN patients p ON p.pati_id = b.pati_id
            WHERE o.screen_id = %(screen_id)s AND o.tenant_id = %(tenant_id)s
        ) q ON q.dept_id = s.dept_id
        WHERE s.screen_id = %(screen_id)s AND s.tenant_id = %(tenant_id)s AND s.revoked_at IS NULL
        ORDER BY q.half_day, q.schedule_id, q.place
        """,
        screen_id=screen_id,
        tenant_id=tenant_id,
        today=today,
        shown=[QueueState.CALLED, QueueState.WAITING],
    )
    if not rows:
        return None
    return ScreenContent(
        dept_name=rows[0]["dept_name"],
        checkin_code=rows[0]["checkin_code"],
        entries=[_parse_entry(row) for row in rows if row["schedule_id"]],
    )


def _parse_entry(row: Row) -> ShownEntry:
    parsed: dict[str, Any] = {"state": QueueState(row["state"]), "is_returning": bool(row["is_returning"])}
    fields = {name: row[name] for name in ShownEntry.__dataclass_fields__ if name not in parsed}
    return ShownEntry(**fields, **parsed)
