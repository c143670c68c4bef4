"""The accounts that are bound to a patient file through their members, and who its owner is among them.

The owner of a verified file is the account whose phone is the file's phone, once it has a member with this file, and
as long as this phone proves it (people/patient_status.py).
"""

from dataclasses import dataclass

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import BookingStatus
from chalicelib.patient_identity import notices
from chalicelib.people import accounts, members
from chalicelib.people.patient_status import PROVES_OWNER_SQL, PatientStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A live member of an account with a patient file."""

    tenant_id: int
    member_id: int
    user_id: int
    name: str  # as the account entered it
    cont_relation: int
    created_at: int
    phone_sealed: bytes | None  # of the account, see account_phones.unseal
    is_owner: bool


def list_of_patient(tx: Tx, tenant_id: int, pati_id: int) -> list[Binding]:
    """Return the live members with a file, in the order of their creation."""
    rows = tx.fetch_all(
        f"""
        SELECT m.tenant_id, m.member_id, m.user_id, m.name, m.cont_relation, m.created_at, a.phone_sealed,
               p.status = %(verified)s AND {PROVES_OWNER_SQL} AS is_owner
        FROM members m
        JOIN patients p ON p.pati_id = m.pati_id
        JOIN accounts a ON a.user_id = m.user_id
        WHERE m.pati_id = %(pati_id)s AND m.tenant_id = %(tenant_id)s AND m.live = 1
        ORDER BY m.member_id
        """,
        pati_id=pati_id,
        tenant_id=tenant_id,
        verified=PatientStatus.VERIFIED,
    )
    return [_parse(row) for row in rows]


def remove(tx: Tx, tenant_id: int, binding: Binding, present: list[Binding], removed_by: int) -> None:
    """Remove a member from the account that is bound to a file, and notify the account.

    The bookings to come move to the owner of the file; without an owner, or if the binding is the owner's own, they
    stay with the account. In a transaction of `merging.run_transaction` that has locked the file.

    Args:
        present: all bindings of the file.
    """
    owner = next((one for one in present if one.is_owner and one.user_id != binding.user_id), None)
    for user_id in sorted({binding.user_id, owner.user_id if owner else binding.user_id}):
        accounts.get(tx, tenant_id, user_id, for_update=True)
    if owner:
        _move_bookings(tx, tenant_id, binding, owner)
    members.remove(tx, tenant_id, binding.member_id, removed_by)
    notices.enqueue_removed(tx, tenant_id, binding.member_id, has_moved_bookings=owner is not None)


def was_removed_by(tx: Tx, tenant_id: int, pati_id: int, member_id: int, user_id: int) -> bool:
    """Return whether a person has removed this member from its account."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM members
        WHERE member_id = %(member_id)s AND tenant_id = %(tenant_id)s AND pati_id = %(pati_id)s
          AND live IS NULL AND removed_by = %(user_id)s
        """,
        member_id=member_id,
        tenant_id=tenant_id,
        pati_id=pati_id,
        user_id=user_id,
    )
    return found is not None


def _move_bookings(tx: Tx, tenant_id: int, binding: Binding, owner: Binding) -> None:
    """Let the bookings to come of a member be the owner's. A refund still goes to the payer."""
    tx.execute(
        """
        UPDATE bookings b LEFT JOIN charges c ON c.book_id = b.book_id
        SET b.user_id = %(user_id)s, b.member_id = %(owner_member_id)s, b.idempotency_key = NULL,
            c.user_id = %(user_id)s
        WHERE b.tenant_id = %(tenant_id)s AND b.member_id = %(member_id)s AND b.status = %(booked)s
        """,
        user_id=owner.user_id,
        owner_member_id=owner.member_id,
        tenant_id=tenant_id,
        member_id=binding.member_id,
        booked=BookingStatus.BOOKED,
    )


def _parse(row: Row) -> Binding:
    return Binding(**{**row, "is_owner": bool(row["is_owner"])})
