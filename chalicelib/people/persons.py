"""The one number space for people: a user_id names one person, patient or staff."""

from collections.abc import Collection

from chalicelib import clock
from chalicelib.adapters.mysql import Tx


def create(tx: Tx, tenant_id: int, kind: str) -> int:
    """Return a new user_id for a patient or a member of staff."""
    return tx.insert(
        "INSERT INTO people (tenant_id, kind, created_at) VALUES (%(tenant_id)s, %(kind)s, %(now)s)",
        tenant_id=tenant_id,
        kind=kind,
        now=clock.now(),
    )


def find_role(tx: Tx, tenant_id: int, user_id: int) -> str | None:
    """Return patient, doctor, service_staff or admin; None for nobody of this tenant, or disabled staff."""
    kind: str | None = tx.fetch_value(
        """
        SELECT CASE WHEN people.kind = 'patient' THEN 'patient' ELSE staff.role END
        FROM people LEFT JOIN staff ON staff.user_id = people.user_id
        WHERE people.user_id = %(user_id)s AND people.tenant_id = %(tenant_id)s
          AND (people.kind = 'patient' OR staff.disabled_at IS NULL)
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return kind


def list_active_ids(tx: Tx, tenant_id: int, user_ids: Collection[int]) -> set[int]:
    """Return those of the ids who may sign in: people of this tenant, without staff who are locked out."""
    rows = tx.fetch_all(
        """
        SELECT people.user_id FROM people LEFT JOIN staff ON staff.user_id = people.user_id
        WHERE people.tenant_id = %(tenant_id)s AND people.user_id IN %(user_ids)s AND staff.disabled_at IS NULL
        """,
        tenant_id=tenant_id,
        user_ids=sorted(user_ids),
    )
    return {row["user_id"] for row in rows}


def list_existing_ids(tx: Tx, tenant_id: int, user_ids: Collection[int]) -> set[int]:
    """Return those of the ids that are people of this tenant."""
    rows = tx.fetch_all(
        "SELECT user_id FROM people WHERE tenant_id = %(tenant_id)s AND user_id IN %(user_ids)s",
        tenant_id=tenant_id,
        user_ids=sorted(user_ids),
    )
    return {row["user_id"] for row in rows}
