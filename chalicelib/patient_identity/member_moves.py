"""SQL of members, bookings and consultations, which move between two patient files that are merged or split.

The caller has locked both files. Bookings belong to the file of their member, charges to that of their booking.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingStatus
from chalicelib.messaging import listings
from chalicelib.people import patients


@dataclass(frozen=True, slots=True)
class FileMember:
    """A member of a patient file, perhaps a removed one."""

    member_id: int
    user_id: int
    is_live: bool
    is_default: bool


@dataclass(frozen=True, slots=True)
class LiveBooking:
    """A booking that is not cancelled."""

    book_id: int
    pati_id: int
    member_id: int | None
    day: date
    half_day: str
    doctor_id: int | None
    is_held: bool  # whether it holds the patient's half-day, and the doctor's day
    half_day_rule: bool  # of the hospital: a patient can have only one booking in a half-day

    @property
    def holds(self) -> set[tuple[str, date, object]]:
        """What a patient can have once."""
        half_day: set[tuple[str, date, object]] = {("half-day", self.day, self.half_day)}
        return (half_day if self.half_day_rule else set()) | (
            {("doctor", self.day, self.doctor_id)} if self.doctor_id else set()
        )


def list_members(tx: Tx, tenant_id: int, pati_id: int) -> list[FileMember]:
    """Return the members of a file, in the order of their creation, and lock them."""
    rows = tx.fetch_all(
        """
        SELECT member_id, user_id, live IS NOT NULL AS is_live, is_default FROM members
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s ORDER BY member_id FOR UPDATE
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
    )
    return [FileMember(row["member_id"], row["user_id"], bool(row["is_live"]), bool(row["is_default"])) for row in rows]


def set_file_of_members(tx: Tx, tenant_id: int, member_ids: Collection[int], source: int, target: int) -> None:
    """Give the members of one file to another."""
    if not member_ids:
        return
    tx.execute(
        """
        UPDATE members SET pati_id = %(target)s
        WHERE member_id IN %(member_ids)s AND pati_id = %(source)s AND tenant_id = %(tenant_id)s
        """,
        target=target,
        member_ids=member_ids,
        source=source,
        tenant_id=tenant_id,
    )


def replace_member(tx: Tx, tenant_id: int, member: FileMember, other_id: int, removed_by: int | None) -> None:
    """Remove a member whose account has another one with the same file, which becomes the default if this one was."""
    tx.execute(
        """
        UPDATE members SET live = NULL, is_default = 0, removed_at = %(now)s, removed_by = %(removed_by)s
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s
        """,
        now=clock.now(),
        removed_by=removed_by,
        member_id=member.member_id,
        tenant_id=tenant_id,
    )
    if member.is_default:
        tx.execute(
            "UPDATE members SET is_default = 1 WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s",
            member_id=other_id,
            tenant_id=tenant_id,
        )


def restore_member(tx: Tx, tenant_id: int, member_id: int, other_id: int) -> bool:
    """Let a member that `replace_member` has removed live again; return False if it stays removed.

    It does if the member that took its place was removed meanwhile, by whoever decided that. It is removed as that one
    then. The members of a closed account were removed with it.
    """
    tx.execute(
        """
        UPDATE members m JOIN members o ON o.member_id = %(other_id)s AND o.tenant_id = m.tenant_id
        SET m.live = o.live, m.removed_at = o.removed_at, m.removed_by = o.removed_by
        WHERE m.member_id = %(member_id)s AND m.tenant_id = %(tenant_id)s
        """,
        other_id=other_id,
        member_id=member_id,
        tenant_id=tenant_id,
    )
    sql = "SELECT live FROM members WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s"
    return tx.fetch_value(sql, member_id=member_id, tenant_id=tenant_id) is not None


def list_booked_of_member(tx: Tx, tenant_id: int, member_id: int) -> list[int]:
    """Return the bookings to come of a member."""
    rows = tx.fetch_all(
        """
        SELECT book_id FROM bookings
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s AND status = %(booked)s
        """,
        member_id=member_id,
        tenant_id=tenant_id,
        booked=BookingStatus.BOOKED,
    )
    return [row["book_id"] for row in rows]


def set_member_of_bookings(
    tx: Tx, tenant_id: int, book_ids: Collection[int], old_ids: Collection[int], member_id: int
) -> None:
    """Let bookings of one of some members be those of another of the same account."""
    if not book_ids:
        return
    tx.execute(
        """
        UPDATE bookings SET member_id = %(member_id)s
        WHERE book_id IN %(book_ids)s AND member_id IN %(old_ids)s AND tenant_id = %(tenant_id)s
        """,
        member_id=member_id,
        book_ids=book_ids,
        old_ids=old_ids,
        tenant_id=tenant_id,
    )


def list_waitlist_entries(tx: Tx, tenant_id: int, member_id: int, other_id: int) -> list[int]:
    """Return a member's places on the waitlist, without those in lines in which another member waits already."""
    rows = tx.fetch_all(
        """
        SELECT w.entry_id FROM waitlist_entries w
        LEFT JOIN waitlist_entries o ON o.member_id = %(other_id)s AND o.schedule_id = w.schedule_id AND o.live = 1
        WHERE w.member_id = %(member_id)s AND w.tenant_id = %(tenant_id)s AND w.live = 1 AND o.entry_id IS NULL
        ORDER BY w.entry_id
        """,
        member_id=member_id,
        other_id=other_id,
        tenant_id=tenant_id,
    )
    return [row["entry_id"] for row in rows]


def set_member_of_waitlist_entries(
    tx: Tx, tenant_id: int, entry_ids: Collection[int], old_ids: Collection[int], member_id: int
) -> None:
    """Let places on the waitlist of one of some members be those of another of the same account."""
    if not entry_ids:
        return
    tx.execute(
        """
        UPDATE waitlist_entries SET member_id = %(member_id)s
        WHERE entry_id IN %(entry_ids)s AND member_id IN %(old_ids)s AND tenant_id = %(tenant_id)s
        """,
        member_id=member_id,
        entry_ids=entry_ids,
        old_ids=old_ids,
        tenant_id=tenant_id,
    )


def list_sessions(tx: Tx, tenant_id: int, member_id: int, other_id: int) -> tuple[list[int], list[int]]:
    """Return the conversations of a member's consultations: with doctors without, and with a session of another member.

    A conversation that is archived already is not among the latter.
    """
    rows = tx.fetch_all(
        """
        SELECT s.conversation_id, o.conversation_id IS NOT NULL AS is_double, c.archived_at
        FROM consult_sessions s
        JOIN conversations c ON c.conversation_id = s.conversation_id
        LEFT JOIN consult_sessions o ON o.member_id = %(other_id)s AND o.doctor_id = s.doctor_id
        WHERE s.member_id = %(member_id)s AND s.tenant_id = %(tenant_id)s
        """,
        member_id=member_id,
        other_id=other_id,
        tenant_id=tenant_id,
    )
    single = [row["conversation_id"] for row in rows if not row["is_double"]]
    return single, [row["conversation_id"] for row in rows if row["is_double"] and row["archived_at"] is None]


def set_member_of_sessions(
    tx: Tx, tenant_id: int, conversation_ids: Collection[int], old_ids: Collection[int], member_id: int
) -> None:
    """Let consultations of one of some members be those of another of the same account."""
    if not conversation_ids:
        return
    tx.execute(
        """
        UPDATE consult_sessions SET member_id = %(member_id)s
        WHERE conversation_id IN %(conversation_ids)s AND member_id IN %(old_ids)s AND tenant_id = %(tenant_id)s
        """,
        member_id=member_id,
        conversation_ids=conversation_ids,
        old_ids=old_ids,
        tenant_id=tenant_id,
    )


def set_archived(tx: Tx, tenant_id: int, conversation_ids: Collection[int], archived_at: int | None) -> None:
    """Archive conversations, so that the doctor does not write where the patient no longer reads; None: reopen them."""
    if not conversation_ids:
        return
    tx.execute(
        """
        UPDATE conversations SET archived_at = %(archived_at)s
        WHERE conversation_id IN %(conversation_ids)s AND tenant_id = %(tenant_id)s
        """,
        archived_at=archived_at,
        conversation_ids=conversation_ids,
        tenant_id=tenant_id,
    )
    listings.copy_to_participants(tx, tenant_id, conversation_ids)


def list_live_bookings(tx: Tx, tenant_id: int, pati_ids: Collection[int]) -> list[LiveBooking]:
    """Return the bookings of files that are not cancelled, the first made first, and lock them."""
    half_day_rule = has_half_day_rule(tx, tenant_id)
    rows = tx.fetch_all(
        """
        SELECT book_id, pati_id, member_id, day, half_day, doctor_id, person_live IS NOT NULL AS is_held
        FROM bookings WHERE tenant_id = %(tenant_id)s AND pati_id IN %(pati_ids)s AND live = 1
        ORDER BY book_id FOR UPDATE
        """,
        tenant_id=tenant_id,
        pati_ids=pati_ids,
    )
    return [LiveBooking(**{**row, "is_held": bool(row["is_held"])}, half_day_rule=half_day_rule) for row in rows]


def has_half_day_rule(tx: Tx, tenant_id: int) -> bool:
    """Return whether the hospital lets a patient have only one booking in a half-day."""
    rule = tx.fetch_value(
        "SELECT half_day_rule FROM booking_rules WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id
    )
    return rule is None or bool(rule)


def list_bookings_without_member(tx: Tx, tenant_id: int, pati_id: int) -> list[int]:
    """Return the bookings of a file that the front desk made without an account."""
    rows = tx.fetch_all(
        "SELECT book_id FROM bookings WHERE tenant_id = %(tenant_id)s AND pati_id = %(pati_id)s AND member_id IS NULL",
        tenant_id=tenant_id,
        pati_id=pati_id,
    )
    return [row["book_id"] for row in rows]


def move_bookings(
    tx: Tx,
    tenant_id: int,
    source: int,
    target: int,
    member_ids: Collection[int],
    book_ids: Collection[int],
    conflicting: Collection[int],
) -> None:
    """Give the bookings of members to another file, with the charges of all bookings of the file.

    Args:
        book_ids: bookings without a member that are moved too.
        conflicting: book_ids that hold neither the patient's half-day nor the doctor's day, because another one does.
    """
    if not (member_ids or book_ids):
        return
    tx.execute(
        """
        UPDATE bookings
        SET pati_id = %(target)s, person_live = IF(live = 1 AND book_id NOT IN %(conflicting)s, 1, NULL),
            half_day_live = IF(%(half_day_rule)s, person_live, NULL)
        WHERE tenant_id = %(tenant_id)s AND pati_id = %(source)s
          AND (member_id IN %(member_ids)s OR book_id IN %(book_ids)s)
        """,
        target=target,
        conflicting=conflicting or [0],
        half_day_rule=has_half_day_rule(tx, tenant_id),
        tenant_id=tenant_id,
        source=source,
        member_ids=member_ids or [0],
        book_ids=book_ids or [0],
    )
    tx.execute(
        """
        UPDATE charges c JOIN bookings b ON b.book_id = c.book_id SET c.pati_id = b.pati_id
        WHERE b.tenant_id = %(tenant_id)s AND b.pati_id = %(target)s AND c.pati_id = %(source)s
        """,
        tenant_id=tenant_id,
        target=target,
        source=source,
    )


def hold_free_times(tx: Tx, tenant_id: int, pati_id: int) -> None:
    """Let bookings of a file hold their half-day and doctor's day again, which another file's bookings have left."""
    live = list_live_bookings(tx, tenant_id, [pati_id])
    held = {hold for one in live if one.is_held for hold in one.holds}
    for one in live:
        if not one.is_held and not held & one.holds:
            held |= one.holds
            tx.execute(
                """
                UPDATE bookings SET person_live = 1, half_day_live = %(half_day_live)s
                WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s
                """,
                book_id=one.book_id,
                half_day_live=1 if one.half_day_rule else None,
                tenant_id=tenant_id,
            )


def count_booked_for_person(tx: Tx, tenant_id: int, pati_id: int) -> None:
    """Let the bookings to come of a file that is verified now count against the person, no longer the account."""
    tx.execute(
        """
        UPDATE bookings SET is_declared = FALSE
        WHERE tenant_id = %(tenant_id)s AND pati_id = %(pati_id)s AND status = %(booked)s
        """,
        tenant_id=tenant_id,
        pati_id=pati_id,
        booked=BookingStatus.BOOKED,
    )


def remove_verification(tx: Tx, tenant_id: int, pati_id: int) -> None:
    """Let a locked file that owns no identity any more be self-declared, and its bookings count against the account."""
    if patients.mark_declared(tx, tenant_id, pati_id):
        count_all_for_account(tx, tenant_id, pati_id)


def count_all_for_account(tx: Tx, tenant_id: int, pati_id: int) -> None:
    """Let all bookings of a file that is only self-declared again count against the account."""
    tx.execute(
        "UPDATE bookings SET is_declared = TRUE WHERE tenant_id = %(tenant_id)s AND pati_id = %(pati_id)s",
        tenant_id=tenant_id,
        pati_id=pati_id,
    )
