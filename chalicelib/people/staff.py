"""Staff: doctors, service staff and administrators."""

from collections.abc import Collection
from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.people import persons, phones
from chalicelib.people.roles import PersonKind, Role

TABLE_NAME = "staff"
_COLUMNS = "user_id, role, name, password_hash, phone_sealed, phone_blind"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A member of staff."""

    user_id: int
    role: Role
    name: str
    password_hash: bytes
    phone_sealed: bytes  # see `unseal_phone`
    phone_blind: bytes


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
        SELECT {_COLUMNS} FROM staff
        WHERE tenant_id = %(tenant_id)s AND phone_blind = %(phone_blind)s AND disabled_at IS NULL
          AND created_at > %(created_since)s
        {"FOR UPDATE" if for_update else ""}
        """,
        tenant_id=tenant_id,
        phone_blind=phone_blind,
        created_since=created_since,
    )
    return StaffMember(**{**row, "role": Role(row["role"])}) if row else None


def lock(tx: Tx, tenant_id: int, user_ids: Collection[int]) -> dict[int, Role]:
    """Lock the rows of members of staff, in ascending order, and return the roles of those who are not disabled."""
    rows = tx.fetch_all(
        """
        SELECT user_id, role, disabled_at FROM staff
        WHERE user_id IN %(user_ids)s AND tenant_id = %(tenant_id)s ORDER BY user_id FOR UPDATE
        """,
        user_ids=sorted(user_ids),
        tenant_id=tenant_id,
    )
    return {row["user_id"]: Role(row["role"]) for row in rows if row["disabled_at"] is None}


def find(tx: Tx, tenant_id: int, user_id: int) -> StaffMember | None:
    """Return a member of staff, also a disabled one; None if the tenant has no such member of staff."""
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM staff WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s",
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return StaffMember(**{**row, "role": Role(row["role"])}) if row else None


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


def change_details(tx: Tx, tenant_id: int, user_id: int, name: str | None, phone: str | None) -> list[str] | None:
    """Change name and phone of a member of staff. Call field_encryption.preload_keys before the transaction.

    Args:
        name, phone: None leaves it as it is.

    Returns:
        The names of the fields that are different now; None if the tenant has no such member of staff.

    Raises:
        mysql.DuplicateKeyError: key "phone" if the tenant has another member of staff with this phone.
    """
    row = tx.fetch_one(
        "SELECT name, phone_blind FROM staff WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s FOR UPDATE",
        user_id=user_id,
        tenant_id=tenant_id,
    )
    if row is None:
        return None
    columns: dict[str, str | bytes] = {}
    if name and name != row["name"]:
        columns["name"] = name
    if phone and (phone_blind := phones.compute_blind_index(tenant_id, phone)) != row["phone_blind"]:
        columns["phone_blind"] = phone_blind
        columns["phone_sealed"] = phones.seal(tenant_id, TABLE_NAME, user_id, phone) or b""
    if columns:
        assignments = ", ".join(f"{column} = %({column})s" for column in columns)
        tx.execute(
            f"UPDATE staff SET {assignments} WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s",
            user_id=user_id,
            tenant_id=tenant_id,
            **columns,
        )
    return [one for one in ("name", "phone") if one in columns or f"{one}_blind" in columns]


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


def set_password(
    tx: Tx, tenant_id: int, user_id: int, password_hash: bytes, expected_hash: bytes | None = None
) -> bool:
    """Replace a password hash.

    Args:
        expected_hash: the present hash; None replaces any.

    Returns:
        False if the tenant has no such member of staff, or the present hash is not `expected_hash`.
    """
    return bool(
        tx.execute(
            """
            UPDATE staff SET password_hash = %(password_hash)s
            WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
              AND (%(expected_hash)s IS NULL OR password_hash = %(expected_hash)s)
            """,
            password_hash=password_hash,
            user_id=user_id,
            tenant_id=tenant_id,
            expected_hash=expected_hash,
        )
    )
