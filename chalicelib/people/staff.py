"""Staff: doctors, service staff and administrators."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.people import persons, phones
from chalicelib.people.roles import PersonKind, Role

TABLE_NAME = "staff"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A member of staff who may sign in."""

    user_id: int
    role: Role
    name: str
    password_hash: bytes


def find_by_phone(
    tx: Tx, tenant_id: int, phone_blind: bytes, for_update: bool = False, created_since: int = 0
) -> StaffMember | None:
    """Return the member of staff with this phone, or None if there is none or they are disabled.

    Args:
        for_update: lock the row until the end of the transaction.
        created_since: return only a member who was created after this time.
    """
    row = tx.fetch_one(
        f"""
        SELECT user_id, role, name, password_hash FROM staff
        WHERE tenant_id = %(tenant_id)s AND phone_blind = %(phone_blind)s AND disabled_at IS NULL
          AND created_at > %(created_since)s
        {"FOR UPDATE" if for_update else ""}
        """,
        tenant_id=tenant_id,
        phone_blind=phone_blind,
        created_since=created_since,
    )
    return StaffMember(**{**row, "role": Role(row["role"])}) if row else None


def get_phone_blind(tx: Tx, tenant_id: int, user_id: int) -> bytes:
    """Return the blind index of the phone of a member of staff, who must exist."""
    return bytes(
        tx.fetch_value(
            "SELECT phone_blind FROM staff WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s",
            user_id=user_id,
            tenant_id=tenant_id,
        )
    )


def create(tx: Tx, tenant_id: int, role: Role, phone: str, name: str, password_hash: bytes) -> int:
    """Insert a member of staff and return the user_id. Call field_encryption.preload_keys before the transaction.

    Raises:
        mysql.DuplicateKeyError: key "phone" if the tenant has a member of staff with this phone.
    """
    user_id = persons.create(tx, tenant_id, PersonKind.STAFF)
    tx.execute(
        """
        INSERT INTO staff (user_id, tenant_id, role, phone_sealed, phone_blind, password_hash, name, created_at)
        VALUES (%(user_id)s, %(tenant_id)s, %(role)s, %(phone_sealed)s, %(phone_blind)s, %(password_hash)s, %(name)s,
                %(now)s)
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        role=role,
        phone_sealed=phones.seal(tenant_id, TABLE_NAME, user_id, phone),
        phone_blind=phones.compute_blind_index(tenant_id, phone),
        password_hash=password_hash,
        name=name,
        now=clock.now(),
    )
    return user_id


def unseal_phone(tenant_id: int, user_id: int, phone_sealed: bytes) -> str:
    """Return the phone from staff.phone_sealed. Not inside a transaction, unless keys are loaded."""
    return phones.unseal(tenant_id, TABLE_NAME, user_id, phone_sealed)


def set_role(tx: Tx, tenant_id: int, user_id: int, role: Role) -> bool:
    """Change a role; return False if the tenant has no such member of staff.

    After the commit, call tokens.invalidate_cached_sessions.
    """
    return bool(
        tx.execute(
            "UPDATE staff SET role = %(role)s WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s",
            role=role,
            user_id=user_id,
            tenant_id=tenant_id,
        )
    )


def set_disabled(tx: Tx, tenant_id: int, user_id: int, disabled: bool) -> bool:
    """Disable or enable a member of staff; return False if the tenant has no such member of staff.

    After the commit, call tokens.invalidate_cached_sessions.
    """
    return bool(
        tx.execute(
            """
            UPDATE staff SET disabled_at = IF(%(disabled)s, COALESCE(disabled_at, %(now)s), NULL)
            WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
            """,
            disabled=disabled,
            now=clock.now(),
            user_id=user_id,
            tenant_id=tenant_id,
        )
    )


def set_password(tx: Tx, tenant_id: int, user_id: int, password_hash: bytes) -> bool:
    """Replace a password hash; return False if the tenant has no such member of staff."""
    return bool(
        tx.execute(
            """
            UPDATE staff SET password_hash = %(password_hash)s
            WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
            """,
            password_hash=password_hash,
            user_id=user_id,
            tenant_id=tenant_id,
        )
    )
