"""SQL of privacy notices and consents. people/consents.py decides where a consent is required."""

from collections.abc import Collection
from dataclasses import dataclass

from chalicelib.adapters.mysql import Tx
from chalicelib.people.consents import ConsentPurpose


@dataclass(frozen=True, slots=True)
class Notice:
    """A version of a hospital's privacy notice."""

    version: int
    text: str
    requires_consent: bool
    published_at: int


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent of an account. Instants are microseconds."""

    purpose: str  # a ConsentPurpose
    version: int
    given_at: int
    withdrawn_at: int | None


def find_current_notice(tx: Tx, tenant_id: int) -> Notice | None:
    """Return the newest version, or None if the tenant has none."""
    row = tx.fetch_one(
        """
        SELECT version, text, requires_consent, published_at FROM privacy_notices
        WHERE tenant_id = %(tenant_id)s ORDER BY version DESC LIMIT 1
        """,
        tenant_id=tenant_id,
    )
    return Notice(**{**row, "requires_consent": bool(row["requires_consent"])}) if row else None


def lock_notices(tx: Tx, tenant_id: int) -> None:
    """Let the publications of a hospital wait for each other."""
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)


def insert_notice(tx: Tx, tenant_id: int, notice: Notice, published_by: int) -> None:
    """Insert a version."""
    tx.execute(
        """
        INSERT INTO privacy_notices (tenant_id, version, text, requires_consent, published_by, published_at)
        VALUES (%(tenant_id)s, %(version)s, %(text)s, %(requires_consent)s, %(published_by)s, %(published_at)s)
        """,
        tenant_id=tenant_id,
        version=notice.version,
        text=notice.text,
        requires_consent=notice.requires_consent,
        published_by=published_by,
        published_at=notice.published_at,
    )


def list_consents(tx: Tx, tenant_id: int, user_id: int) -> list[Consent]:
    """Return all consents of an account, also withdrawn ones, newest first."""
    rows = tx.fetch_all(
        """
        SELECT purpose, version, given_at, withdrawn_at FROM consents
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s ORDER BY consent_id DESC
        """,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    return [Consent(**row) for row in rows]


def insert_consents(
    tx: Tx, tenant_id: int, user_id: int, purposes: Collection[ConsentPurpose], version: int, address: str, now: int
) -> None:
    """Insert consents of an account to a version of the notice, one for each purpose."""
    tx.execute_many(
        """
        INSERT INTO consents (tenant_id, user_id, purpose, version, address, given_at)
        VALUES (%(tenant_id)s, %(user_id)s, %(purpose)s, %(version)s, %(address)s, %(now)s)
        """,
        [
            {
                "tenant_id": tenant_id,
                "user_id": user_id,
                "purpose": purpose,
                "version": version,
                "address": address.encode()[:64],
                "now": now,
            }
            for purpose in purposes
        ],
    )


def withdraw_consents(tx: Tx, tenant_id: int, user_id: int, purpose: ConsentPurpose, now: int) -> None:
    """Mark an account's consents for a purpose as withdrawn."""
    tx.execute(
        """
        UPDATE consents SET withdrawn_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND purpose = %(purpose)s AND withdrawn_at IS NULL
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        purpose=purpose,
        now=now,
    )
