"""SQL of what notices about patient files contain, and whom they go to."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.patient_identity import merge_records
from chalicelib.people import patients
from chalicelib.people.roles import Role


@dataclass(frozen=True, slots=True)
class NotifiedMember:
    """A member whose account is notified."""

    user_id: int
    name: str
    phone_sealed: bytes | None  # of the account
    phone_blind: bytes | None


@dataclass(frozen=True, slots=True)
class ClashingBooking:
    """A booking that clashes with another one of the same person."""

    pati_id: int
    book_code: str
    day: date
    slot_time: str  # HH:MM


def list_members_of_merge(tx: Tx, tenant_id: int, merge_id: int) -> list[NotifiedMember]:
    """Return the live members that a merge has moved."""
    found = merge_records.find(tx, tenant_id, merge_id)
    if found is None or not found.moved.member_ids:
        return []
    rows = tx.fetch_all(
        f"{_SELECT_MEMBER_SQL} AND m.member_id IN %(member_ids)s AND m.live = 1 ORDER BY m.member_id",
        tenant_id=tenant_id,
        member_ids=found.moved.member_ids,
    )
    return [_parse_member(row) for row in rows]


def get_member(tx: Tx, tenant_id: int, member_id: int) -> NotifiedMember:
    """Return a member, also a removed one."""
    row = tx.fetch_one(
        f"{_SELECT_MEMBER_SQL} AND m.member_id = %(member_id)s", tenant_id=tenant_id, member_id=member_id
    )
    assert row is not None, "members are not deleted"
    return _parse_member(row)


def find_file_of_merge(tx: Tx, tenant_id: int, merge_id: int) -> int | None:
    """Return the pati_id of the file that has what a merge moved; None if the files are split again."""
    found = merge_records.find(tx, tenant_id, merge_id)
    if found is None or found.split_at is not None:
        return None
    return patients.find_current_id(tx, tenant_id, found.target_pati_id)


def list_bookings(tx: Tx, tenant_id: int, book_ids: Collection[int]) -> list[ClashingBooking]:
    """Return those of the bookings that are not cancelled, by day."""
    if not book_ids:
        return []
    rows = tx.fetch_all(
        """
        SELECT pati_id, book_code, day, DATE_FORMAT(slot_time, '%%H:%%i') AS slot_time FROM bookings
        WHERE book_id IN %(book_ids)s AND tenant_id = %(tenant_id)s AND live = 1 ORDER BY day, slot_time
        """,
        book_ids=book_ids,
        tenant_id=tenant_id,
    )
    return [ClashingBooking(**row) for row in rows]


def list_service_staff(tx: Tx, tenant_id: int) -> list[int]:
    """Return the user_ids of the service staff who are not disabled."""
    rows = tx.fetch_all(
        """
        SELECT user_id FROM staff
        WHERE tenant_id = %(tenant_id)s AND role = %(service_staff)s AND disabled_at IS NULL ORDER BY user_id
        """,
        tenant_id=tenant_id,
        service_staff=Role.SERVICE_STAFF,
    )
    return [row["user_id"] for row in rows]


_SELECT_MEMBER_SQL = """
    SELECT m.user_id, m.name, a.phone_sealed, a.phone_blind
    FROM members m JOIN accounts a ON a.user_id = m.user_id
    WHERE m.tenant_id = %(tenant_id)s
"""


def _parse_member(row: Row) -> NotifiedMember:
    return NotifiedMember(**row)
