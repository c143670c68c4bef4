"""Staff: doctors, the service desk, administrators."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.people import persons


@dataclass(frozen=True, slots=True)
class Staff:
    user_id: int
    role: str
    name: str
    password_hash: bytes


def find_by_phone(tx: Tx, tenant_id: int, phone: str) -> Staff | None:
    """Return the member of staff who signs in with this phone; None also where disabled."""
    row = tx.one(
        """
        SELECT user_id, role, name, password_hash FROM staff
        WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s AND disabled_at IS NULL
        """,
        tenant_id=tenant_id,
        phone=phone,
    )
    return Staff(**row) if row else None


def create(tx: Tx, tenant_id: int, role: str, phone: str, name: str, password_hash: bytes) -> int:
    """Return the new user_id. Raises mysql.Duplicate("phone") where the tenant has the phone already."""
    user_id = persons.number(tx, tenant_id, "staff")
    tx.run(
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


def add_doctor(tx: Tx, tenant_id: int, user_id: int, duty_code: str = "", dept_id: int | None = None) -> None:
    """Give a member of staff the card that patients see."""
    tx.run(
        """
        INSERT INTO doctors (user_id, tenant_id, dept_id, duty_code, introduction)
        VALUES (%(user_id)s, %(tenant_id)s, %(dept_id)s, %(duty_code)s, '')
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        dept_id=dept_id,
        duty_code=duty_code,
    )
