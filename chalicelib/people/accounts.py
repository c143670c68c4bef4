"""Patients' accounts and their members (就诊人)."""

from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.people import persons


def create(tx: Tx, tenant_id: int, phone: str, password_hash: bytes) -> int:
    """Return the new account's user_id. Raises mysql.Duplicate("phone") where the tenant has the phone already."""
    user_id = persons.number(tx, tenant_id, "patient")
    tx.run(
        """
        INSERT INTO accounts (user_id, tenant_id, phone, password_hash, created_at)
        VALUES (%(user_id)s, %(tenant_id)s, %(phone)s, %(password_hash)s, %(now)s)
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        phone=phone,
        password_hash=password_hash,
        now=clock.now(),
    )
    return user_id


def add_member(
    tx: Tx,
    tenant_id: int,
    user_id: int,
    name: str,
    *,
    gender: int = 0,
    birthday: date | None = None,
    phone: str = "",
    cont_relation: int = 1,
    is_default: bool = False,
) -> int:
    """Return the new member_id."""
    return tx.insert(
        """
        INSERT INTO members
            (tenant_id, user_id, name, gender, birthday, phone, cont_relation, is_default, created_at)
        VALUES
            (%(tenant_id)s, %(user_id)s, %(name)s, %(gender)s, %(birthday)s, %(phone)s, %(cont_relation)s,
             %(is_default)s, %(now)s)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        name=name,
        gender=gender,
        birthday=birthday,
        phone=phone,
        cont_relation=cont_relation,
        is_default=is_default,
        now=clock.now(),
    )


def find_by_phone(tx: Tx, tenant_id: int, phone: str) -> int | None:
    """Return the user_id of the account that signs in with this phone."""
    found: int | None = tx.value(
        "SELECT user_id FROM accounts WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s",
        tenant_id=tenant_id,
        phone=phone,
    )
    return found


def list_members(tx: Tx, user_id: int) -> list[Row]:
    """Return member_id and name of an account's members, the first made first."""
    return tx.all("SELECT member_id, name FROM members WHERE user_id = %(user_id)s ORDER BY member_id", user_id=user_id)
