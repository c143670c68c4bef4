"""User ids: one number range for patients' accounts and staff."""

from collections.abc import Collection
from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.people.roles import PersonKind, Role

# The name of a person with the staff row s or the account a; a patient without a name has that of their first member.
DISPLAY_NAME_SQL = """
    COALESCE(s.name, NULLIF(a.name, ''),
             (SELECT m.name FROM members m WHERE m.user_id = a.user_id AND m.live = 1
              ORDER BY m.is_default DESC, m.member_id LIMIT 1))
"""
# The same name of the account a, as it is searched; NULL for staff.
NAME_KEY_SQL = """
    COALESCE(NULLIF(a.name_key, ''),
             (SELECT m.name_key FROM members m WHERE m.user_id = a.user_id AND m.live = 1
              ORDER BY m.is_default DESC, m.member_id LIMIT 1))
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the tenant as others see them."""

    kind: PersonKind
    name: str  # "" if unknown
    disabled: bool


def create(tx: Tx, tenant_id: int, kind: PersonKind) -> int:
    """Return a new user_id for a person."""
    return tx.insert(
        "INSERT INTO people (tenant_id, kind, created_at) VALUES (%(tenant_id)s, %(kind)s, %(now)s)",
        tenant_id=tenant_id,
        kind=kind,
        now=clock.now(),
    )


def find_role(tx: Tx, tenant_id: int, user_id: int) -> Role | None:
    """Return the role of a patient or member of staff: LIMITED for an account whose owner has to be confirmed.

    Returns:
        None for an unknown id, for disabled staff and for closed accounts.
    """
    role: str | None = tx.fetch_value(
        """
        SELECT COALESCE(staff.role, IF(accounts.identity_locked_at IS NULL, %(patient)s, %(limited)s))
        FROM people
        LEFT JOIN staff ON staff.user_id = people.user_id
        LEFT JOIN accounts ON accounts.user_id = people.user_id
        WHERE people.user_id = %(user_id)s AND people.tenant_id = %(tenant_id)s
          AND staff.disabled_at IS NULL AND accounts.closed_at IS NULL
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        patient=Role.PATIENT,
        limited=Role.LIMITED,
    )
    return Role(role) if role else None


def list_active_ids(tx: Tx, tenant_id: int, user_ids: Collection[int]) -> set[int]:
    """Return those of the ids that belong to people of this tenant, except disabled staff and closed accounts."""
    rows = tx.fetch_all(
        """
        SELECT people.user_id FROM people
        LEFT JOIN staff ON staff.user_id = people.user_id
        LEFT JOIN accounts ON accounts.user_id = people.user_id
        WHERE people.tenant_id = %(tenant_id)s AND people.user_id IN %(user_ids)s AND staff.disabled_at IS NULL
          AND accounts.closed_at IS NULL
        """,
        tenant_id=tenant_id,
        user_ids=sorted(user_ids),
    )
    return {row["user_id"] for row in rows}


def list_existing_ids(tx: Tx, tenant_id: int, user_ids: Collection[int]) -> set[int]:
    """Return those of the ids that belong to people of this tenant, including disabled staff and closed accounts."""
    rows = tx.fetch_all(
        "SELECT user_id FROM people WHERE tenant_id = %(tenant_id)s AND user_id IN %(user_ids)s",
        tenant_id=tenant_id,
        user_ids=sorted(user_ids),
    )
    return {row["user_id"] for row in rows}


def get_people(tx: Tx, tenant_id: int, user_ids: Collection[int]) -> dict[int, Person]:
    """Return those of the ids that are people of the tenant, by user id."""
    rows = tx.fetch_all(
        f"""
        SELECT p.user_id, p.kind, {DISPLAY_NAME_SQL} AS name, s.disabled_at IS NOT NULL AS disabled
        FROM people p
        LEFT JOIN accounts a ON a.user_id = p.user_id
        LEFT JOIN staff s ON s.user_id = p.user_id
        WHERE p.tenant_id = %(tenant_id)s AND p.user_id IN %(user_ids)s
        """,
        tenant_id=tenant_id,
        user_ids=sorted(user_ids),
    )
    return {row["user_id"]: Person(PersonKind(row["kind"]), row["name"] or "", bool(row["disabled"])) for row in rows}
