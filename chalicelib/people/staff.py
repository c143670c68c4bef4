"""Staff: doctors, the service desk, administrators."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.people import persons


@dataclass(frozen=True, slots=True)
class StaffMember:
    user_id: int
    role: str
    name: str
    password_hash: bytes


def find_by_phone(tx: Tx, tenant_id: int, phone: str, to_change: bool = False) -> StaffMember | None:
    """Return the member of staff who signs in with this phone, locked until the commit where asked for; None also
    where disabled."""
    row = tx.fetch_one(
        f"""
        SELECT user_id, role, name, password_hash FROM staff
        WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s AND disabled_at IS NULL
        {"FOR UPDATE" if to_change else ""}
        """,
        tenant_id=tenant_id,
        phone=phone,
    )
    return StaffMember(**row) if row else None


def get_phone(tx: Tx, tenant_id: int, user_id: int) -> str:
    """Return the phone of a member of staff whom the tenant has."""
    return str(
        tx.fetch_value(
            "SELECT phone FROM staff WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s",
            user_id=user_id,
            tenant_id=tenant_id,
        )
    )


def create(tx: Tx, tenant_id: int, role: str, phone: str, name: str, password_hash: bytes) -> int:
    """Return the new user_id. Raises mysql.DuplicateKeyError("phone") where the tenant has the phone already."""
    user_id = persons.create(tx, tenant_id, "staff")
    tx.execute(
        """
        INSERT INTO staff (user_id, tenant_id, role, phone, password_hash, name, created_at)
        VALUES (%(user_id)s, %(tenant_id)s, %(role)s, %(phone)s, %(password_hash)s, %(name)s, %(now)s)
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        role=role,
        phone=phone,
        password_hash=password_hash,
        name=name,
        now=clock.now(),
    )
    return user_id


def set_role(tx: Tx, tenant_id: int, user_id: int, role: str) -> bool:
    """Give a member of staff another role; False where the tenant has none of that id. Then: tokens.reconsider."""
    return bool(
        tx.execute(
            "UPDATE staff SET role = %(role)s WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s",
            role=role,
            user_id=user_id,
            tenant_id=tenant_id,
        )
    )


def set_disabled(tx: Tx, tenant_id: int, user_id: int, disabled: bool) -> bool:
    """Lock a member of staff out, or let one in again; False where there is none. Then: tokens.reconsider."""
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
    """False where the tenant has no member of staff of that id."""
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
