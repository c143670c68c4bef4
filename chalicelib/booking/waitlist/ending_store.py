"""SQL of requests of the waitlist that end without a booking."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from chalicelib.adapters.mysql import Tx
from chalicelib.booking.reservations.waitlist_store import WaitState


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRequest:
    """A request of which no entry is live any more."""

    group_id: int  # the entry_id of its first entry
    user_id: int
    member_name: str
    dept_name: str
    doctor_name: str  # "" for a general clinic
    first_day: date
    last_day: date


def lock_groups_of_schedule(tx: Tx, tenant_id: int, schedule_id: int) -> list[int]:
    """Lock the entries that wait for a schedule, and return the group_ids of their requests."""
    rows = tx.fetch_all(
        """
        SELECT group_id FROM waitlist_entries
        WHERE schedule_id = %(schedule_id)s AND tenant_id = %(tenant_id)s AND state IN %(waiting)s FOR UPDATE
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
        waiting=(WaitState.WAITING, WaitState.PAUSED),
    )
    return [row["group_id"] for row in rows]


def list_ended(tx: Tx, tenant_id: int, group_ids: Collection[int]) -> list[EndedRequest]:
    """Return those of the requests of which no entry is live any more."""
    if not group_ids:
        return []
    rows = tx.fetch_all(
        """
        SELECT w.group_id, MIN(w.user_id) AS user_id, MIN(m.name) AS member_name,
               MIN((SELECT d.name FROM departments d WHERE d.dept_id = x.dept_id)) AS dept_name,
               MIN(COALESCE((SELECT s.name FROM staff s WHERE s.user_id = x.doctor_id), '')) AS doctor_name,
               MIN(x.day) AS first_day, MAX(x.day) AS last_day
        FROM waitlist_entries w JOIN schedules x ON x.schedule_id = w.schedule_id
        JOIN members m ON m.member_id = w.member_id
        WHERE w.group_id IN %(group_ids)s AND w.tenant_id = %(tenant_id)s
        GROUP BY w.group_id HAVING COUNT(w.live) = 0
        """,
        group_ids=group_ids,
        tenant_id=tenant_id,
    )
    return [EndedRequest(**row) for row in rows]
