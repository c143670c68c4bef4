"""SQL of the waitlist (候补)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.booking.reservations.booking_store import MemberFile
from chalicelib.booking.schedules.slots import Schedule, parse_time
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people.patient_status import PatientStatus


class WaitState(StrEnum):
    """waitlist_entries.state."""

    WAITING = "waiting"
    OFFERED = "offered"  # it has a booking that is to be confirmed
    PAUSED = "paused"  # another entry of the request has one
    ACCEPTED = "accepted"
    DECLINED = "declined"
    LAPSED = "lapsed"  # not confirmed in time
    LEFT = "left"
    ENDED = "ended"  # the half-day is over or stopped, or the person can no longer take a slot of it


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEntry:
    """Somebody who waits for a schedule."""

    entry_id: int
    group_id: int
    schedule_id: int
    user_id: int
    member_id: int
    file: MemberFile | None  # of the member; None if the member was removed


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEntry:
    """An entry with what its holder and the front desk see."""

    entry_id: int
    schedule_id: int
    state: WaitState
    position: int  # 1 for the first one who waits; 0 in other states
    book_id: int | None
    day: date
    half_day: str
    dept_name: str
    doctor_name: str  # "" for a general clinic
    member_name: str
    created_at: int


# A state, with the two columns that depend on it.
_SET_STATE = """
    state = %(state)s, waiting = IF(%(state)s = %(waiting)s, 1, NULL),
    live = IF(%(state)s IN %(open)s, 1, NULL), changed_at = %(now)s
"""
_OPEN_STATES = (WaitState.WAITING, WaitState.OFFERED, WaitState.PAUSED)
_SELECT_LISTED = """
    SELECT w.entry_id, w.schedule_id, w.state, w.book_id, w.created_at, x.day, x.half_day, m.name AS member_name,
           IF(w.waiting = 1, (SELECT COUNT(*) FROM waitlist_entries o
                              WHERE o.schedule_id = w.schedule_id AND o.waiting = 1 AND o.entry_id <= w.entry_id), 0)
               AS position,
           (SELECT d.name FROM departments d WHERE d.dept_id = x.dept_id) AS dept_name,
           COALESCE((SELECT s.name FROM staff s WHERE s.user_id = x.doctor_id), '') AS doctor_name
    FROM waitlist_entries w JOIN schedules x ON x.schedule_id = w.schedule_id
    JOIN members m ON m.member_id = w.member_id
    WHERE w.tenant_id = %(tenant_id)s
"""


def insert(tx: Tx, tenant_id: int, user_id: int, member_id: int, schedule_ids: Collection[int]) -> list[int]:
    """Insert the entries of a request, and return their ids.

    Raises:
        mysql.DuplicateKeyError: "member" if the member waits for one of the schedules already.
    """
    entry_ids: list[int] = []
    for schedule_id in schedule_ids:
        entry_id = tx.insert(
            """
            INSERT INTO waitlist_entries (tenant_id, group_id, schedule_id, user_id, member_id, state, changed_at,
                                          created_at)
            VALUES (%(tenant_id)s, %(group_id)s, %(schedule_id)s, %(user_id)s, %(member_id)s, %(state)s, %(now)s,
                    %(now)s)
            """,
            tenant_id=tenant_id,
            group_id=entry_ids[0] if entry_ids else 0,
            schedule_id=schedule_id,
            user_id=user_id,
            member_id=member_id,
            state=WaitState.WAITING,
            now=clock.now(),
        )
        entry_ids.append(entry_id)
    tx.execute(
        """
        UPDATE waitlist_entries SET group_id = entry_id WHERE entry_id = %(entry_id)s AND tenant_id = %(tenant_id)s
        """,
        entry_id=entry_ids[0],
        tenant_id=tenant_id,
    )
    return entry_ids


def find_live(tx: Tx, tenant_id: int, pati_id: int, schedule_ids: Collection[int]) -> set[int]:
    """Return the schedules among these for which a person waits or has an offer, by any account."""
    rows = tx.fetch_all(
        """
        SELECT w.schedule_id FROM waitlist_entries w JOIN members m ON m.member_id = w.member_id
        WHERE m.pati_id = %(pati_id)s AND w.tenant_id = %(tenant_id)s AND w.live = 1
          AND w.schedule_id IN %(schedule_ids)s
        """,
        tenant_id=tenant_id,
        pati_id=pati_id,
        schedule_ids=schedule_ids,
    )
    return {row["schedule_id"] for row in rows}


def count_live_requests(tx: Tx, tenant_id: int, pati_id: int) -> int:
    """Return for how many requests a person waits, by any account."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(DISTINCT w.group_id) FROM members m JOIN waitlist_entries w ON w.member_id = m.member_id
            WHERE m.pati_id = %(pati_id)s AND w.tenant_id = %(tenant_id)s AND w.live = 1
            """,
            tenant_id=tenant_id,
            pati_id=pati_id,
        )
    )


def find_first(tx: Tx, tenant_id: int, schedule_id: int) -> WaitingEntry | None:
    """Return who is the first in line for a schedule, or None."""
    row = tx.fetch_one(
        """
        SELECT w.entry_id, w.group_id, w.schedule_id, w.user_id, w.member_id, m.pati_id, p.status
        FROM waitlist_entries w
        LEFT JOIN members m ON m.member_id = w.member_id AND m.live = 1
        LEFT JOIN patients p ON p.pati_id = m.pati_id
        WHERE w.schedule_id = %(schedule_id)s AND w.waiting = 1 AND w.tenant_id = %(tenant_id)s
        ORDER BY w.entry_id LIMIT 1
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
    )
    return _parse_entry(row) if row else None


def is_first(tx: Tx, entry: WaitingEntry, tenant_id: int) -> bool:
    """Lock an entry, and return whether it still is the first in line."""
    locked = tx.fetch_value(
        """
        SELECT waiting FROM waitlist_entries
        WHERE entry_id = %(entry_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        entry_id=entry.entry_id,
        tenant_id=tenant_id,
    )
    first = find_first(tx, tenant_id, entry.schedule_id) if locked else None
    return first is not None and first.entry_id == entry.entry_id


def mark_offered(tx: Tx, tenant_id: int, entry: WaitingEntry, book_id: int) -> None:
    """Record which booking the waitlist gave to a locked entry; the others of its request pause."""
    tx.execute(
        "UPDATE waitlist_entries SET book_id = %(book_id)s WHERE entry_id = %(entry_id)s AND tenant_id = %(tenant_id)s",
        book_id=book_id,
        entry_id=entry.entry_id,
        tenant_id=tenant_id,
    )
    _set_state(tx, tenant_id, "entry_id", entry.entry_id, WaitState.WAITING, WaitState.OFFERED)
    _set_state(tx, tenant_id, "group_id", entry.group_id, WaitState.WAITING, WaitState.PAUSED)


def accept(tx: Tx, tenant_id: int, book_id: int) -> None:
    """Record that a booking of the waitlist was confirmed, which ends the other entries of its request."""
    group_id = _find_group(tx, tenant_id, book_id)
    if _set_state(tx, tenant_id, "book_id", book_id, WaitState.OFFERED, WaitState.ACCEPTED):
        _set_state(tx, tenant_id, "group_id", group_id, WaitState.PAUSED, WaitState.ENDED)


def end_offer(tx: Tx, tenant_id: int, book_id: int, has_lapsed: bool) -> None:
    """Record that a booking of the waitlist that was not confirmed is cancelled. No effect on other bookings.

    Who declines keeps the place in the other lines of the request; who does not answer leaves them.
    """
    group_id = _find_group(tx, tenant_id, book_id)
    if group_id is None:
        return
    state = WaitState.LAPSED if has_lapsed else WaitState.DECLINED
    if _set_state(tx, tenant_id, "book_id", book_id, WaitState.OFFERED, state):
        others = WaitState.ENDED if has_lapsed else WaitState.WAITING
        _set_state(tx, tenant_id, "group_id", group_id, WaitState.PAUSED, others)


def leave(tx: Tx, tenant_id: int, user_id: int, entry_id: int) -> WaitState | None:
    """Let an account's entry leave the line; return its state before, None if the account has no such entry."""
    state = tx.fetch_value(
        """
        SELECT state FROM waitlist_entries
        WHERE entry_id = %(entry_id)s AND tenant_id = %(tenant_id)s AND user_id = %(user_id)s FOR UPDATE
        """,
        entry_id=entry_id,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    for before in (WaitState.WAITING, WaitState.PAUSED):
        _set_state(tx, tenant_id, "entry_id", entry_id if state else 0, before, WaitState.LEFT)
    return WaitState(state) if state else None


def end(tx: Tx, tenant_id: int, entry_id: int) -> int:
    """End an entry that waits; return how many have ended: 0 if it does not wait any more."""
    return _set_state(tx, tenant_id, "entry_id", entry_id, WaitState.WAITING, WaitState.ENDED)


def end_all(tx: Tx, tenant_id: int, schedule_id: int) -> int:
    """End the entries that wait for a schedule; return how many."""
    states = (WaitState.WAITING, WaitState.PAUSED)
    return sum(_set_state(tx, tenant_id, "schedule_id", schedule_id, one, WaitState.ENDED) for one in states)


def list_own(tx: Tx, tenant_id: int, user_id: int, limits: tuple[int, int]) -> tuple[int, list[ListedEntry]]:
    """Return the number of an account's entries, and one page of them, the newest first.

    Args:
        limits: offset and page size.
    """
    [total], rows = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n FROM waitlist_entries WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s;
        {_SELECT_LISTED} AND w.user_id = %(user_id)s ORDER BY w.entry_id DESC LIMIT %(offset)s, %(size)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        offset=limits[0],
        size=limits[1],
    )
    return total["n"], [_parse_listed(row) for row in rows]


def list_of_schedule(
    tx: Tx, tenant_id: int, schedule_id: int, limits: tuple[int, int]
) -> tuple[int, list[ListedEntry]]:
    """Return the number of a schedule's entries, and one page of them in their order.

    Args:
        limits: offset and page size.
    """
    [total], rows = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n FROM waitlist_entries
        WHERE schedule_id = %(schedule_id)s AND tenant_id = %(tenant_id)s;
        {_SELECT_LISTED} AND w.schedule_id = %(schedule_id)s ORDER BY w.entry_id LIMIT %(offset)s, %(size)s
        """,
        tenant_id=tenant_id,
        schedule_id=schedule_id,
        offset=limits[0],
        size=limits[1],
    )
    return total["n"], [_parse_listed(row) for row in rows]


def list_live_of_member(tx: Tx, tenant_id: int, member_id: int, schedule_ids: Collection[int]) -> list[ListedEntry]:
    """Return the entries of a member for some schedules that may still lead to a booking."""
    rows = tx.fetch_all(
        f"""
        {_SELECT_LISTED} AND w.member_id = %(member_id)s AND w.schedule_id IN %(schedule_ids)s AND w.live = 1
        ORDER BY w.entry_id
        """,
        tenant_id=tenant_id,
        member_id=member_id,
        schedule_ids=schedule_ids,
    )
    return [_parse_listed(row) for row in rows]


def list_offerable(schedule: Schedule, stop_minutes: int, reserved: frozenset[int]) -> list[int]:
    """Return the slots that are not reserved and begin late enough to be given to those who wait."""
    latest = clock.now() + stop_minutes * 60 * clock.SECOND
    return [
        serial_no
        for serial_no in range(1, schedule.slots + 1)
        if serial_no not in reserved
        and schedule.can_be_offered(serial_no)
        and clock.to_instant(schedule.day, parse_time(schedule.get_slot_time(serial_no))) > latest
    ]


def set_deadlines(tx: Tx, tenant_id: int, book_id: int, pay_by: int | None) -> None:
    """Let a locked booking need no confirmation, and have this payment deadline."""
    tx.execute(
        """
        UPDATE bookings SET confirm_by = NULL, pay_by = %(pay_by)s
        WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s
        """,
        pay_by=pay_by,
        book_id=book_id,
        tenant_id=tenant_id,
    )


def list_waited_for(tx: Tx) -> list[tuple[int, int]]:
    """Return tenant_id and schedule_id of the schedules of all tenants for which somebody waits."""
    rows = tx.fetch_all("SELECT DISTINCT tenant_id, schedule_id FROM waitlist_entries WHERE waiting = 1")
    return [(row["tenant_id"], row["schedule_id"]) for row in rows]


def list_settled(tx: Tx, paid: int, booked: int, limit: int) -> list[tuple[int, int]]:
    """Return tenant_id and book_id of offers of all tenants that were accepted by a payment or a registration.

    Args:
        paid: the payment state, and booked: the status of a booking.
    """
    rows = tx.fetch_all(
        """
        SELECT w.tenant_id, w.book_id FROM waitlist_entries w JOIN bookings b ON b.book_id = w.book_id
        WHERE w.state = %(offered)s AND b.live = 1 AND (b.payment_state = %(paid)s OR b.status <> %(booked)s)
        LIMIT %(limit)s
        """,
        offered=WaitState.OFFERED,
        paid=paid,
        booked=booked,
        limit=limit,
    )
    return [(row["tenant_id"], row["book_id"]) for row in rows]


def enqueue_offers(tx: Tx, tenant_id: int, schedule_id: int, cause: str) -> None:
    """Enqueue the job that gives free slots to those who wait, if somebody does.

    Args:
        cause: what made a slot free, which makes the job's dedup_key unique.
    """
    waits = tx.fetch_value(
        """
        SELECT 1 FROM waitlist_entries
        WHERE schedule_id = %(schedule_id)s AND waiting = 1 AND tenant_id = %(tenant_id)s LIMIT 1
        """,
        schedule_id=schedule_id,
        tenant_id=tenant_id,
    )
    if waits:
        payload = {"schedule_id": schedule_id}
        outbox.enqueue(tx, tenant_id, Job.OFFER_WAITLIST, payload, dedup_key=f"waitlist:{schedule_id}:{cause}")


def _find_group(tx: Tx, tenant_id: int, book_id: int) -> int | None:
    group_id: int | None = tx.fetch_value(
        "SELECT group_id FROM waitlist_entries WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return group_id


def _set_state(tx: Tx, tenant_id: int, column: str, value: int | None, before: WaitState, state: WaitState) -> int:
    """Change the state of the entries with this value in a column, if it is `before`; return how many."""
    return tx.execute(
        f"""
        UPDATE waitlist_entries SET {_SET_STATE}
        WHERE {column} = %(value)s AND state = %(before)s AND tenant_id = %(tenant_id)s
        """,
        value=value,
        before=before,
        state=state,
        waiting=WaitState.WAITING,
        open=_OPEN_STATES,
        tenant_id=tenant_id,
        now=clock.now(),
    )


def _parse_entry(row: Row) -> WaitingEntry:
    file = MemberFile(row["pati_id"], row["status"] != PatientStatus.VERIFIED) if row["pati_id"] else None
    names = ("entry_id", "group_id", "schedule_id", "user_id", "member_id")
    return WaitingEntry(**{name: row[name] for name in names}, file=file)


def _parse_listed(row: Row) -> ListedEntry:
    return ListedEntry(**{**row, "state": WaitState(row["state"]), "position": int(row["position"])})
