"""Second factors of staff: the secret that an authenticator app shares with us, encrypted.

A new secret is pending until a code proves that the app has it; until then the former one stays in force.
"""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Tx


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """The second factor of a member of staff."""

    sealed: bytes | None  # the secret in force, None for none
    confirmed_at: int | None
    last_step: int  # the latest time step whose code was accepted
    pending_sealed: bytes | None  # the secret that waits for its first code
    pending_at: int | None
    pending_token_hash: bytes | None  # of the session that requested it


def get(tx: Tx, tenant_id: int, user_id: int, for_update: bool = False) -> SecondFactor:
    """Return the second factor of a member of staff, who must exist; `for_update` locks the row."""
    row = tx.fetch_one(
        f"""
        SELECT totp_sealed AS sealed, totp_confirmed_at AS confirmed_at, totp_last_step AS last_step,
          totp_pending_sealed AS pending_sealed, totp_pending_at AS pending_at,
          totp_pending_token_hash AS pending_token_hash
        FROM staff WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s {"FOR UPDATE" if for_update else ""}
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    assert row is not None, "staff are not deleted"
    return SecondFactor(**row)


def set_pending(tx: Tx, tenant_id: int, user_id: int, sealed: bytes, token_hash: bytes) -> None:
    """Store a new secret that a session has requested, which replaces an earlier pending one."""
    tx.execute(
        """
        UPDATE staff
        SET totp_pending_sealed = %(sealed)s, totp_pending_at = %(now)s, totp_pending_token_hash = %(token_hash)s
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        sealed=sealed,
        token_hash=token_hash,
        now=clock.now(),
        user_id=user_id,
        tenant_id=tenant_id,
    )


def confirm(tx: Tx, tenant_id: int, user_id: int, pending_sealed: bytes, step: int) -> bool:
    """Put the pending secret in force by its first code; return False if another secret is pending, or none."""
    return bool(
        tx.execute(
            """
            UPDATE staff
            SET totp_sealed = totp_pending_sealed, totp_confirmed_at = %(now)s, totp_last_step = %(step)s,
              totp_pending_sealed = NULL, totp_pending_at = NULL, totp_pending_token_hash = NULL
            WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s AND totp_pending_sealed = %(pending_sealed)s
            """,
            now=clock.now(),
            step=step,
            user_id=user_id,
            tenant_id=tenant_id,
            pending_sealed=pending_sealed,
        )
    )


def accept_step(tx: Tx, tenant_id: int, user_id: int, sealed: bytes, step: int) -> bool:
    """Use up a time step of the secret in force; return False if it, or a later one, has been used."""
    return bool(
        tx.execute(
            """
            UPDATE staff SET totp_last_step = %(step)s
            WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
              AND totp_sealed = %(sealed)s AND totp_last_step < %(step)s
            """,
            step=step,
            user_id=user_id,
            tenant_id=tenant_id,
            sealed=sealed,
        )
    )


def reset(tx: Tx, tenant_id: int, user_id: int) -> bool:
    """Remove both secrets; return False if the tenant has no such member of staff."""
    return bool(
        tx.execute(
            """
            UPDATE staff
            SET totp_sealed = NULL, totp_confirmed_at = NULL, totp_pending_sealed = NULL, totp_pending_at = NULL,
              totp_pending_token_hash = NULL
            WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
            """,
            user_id=user_id,
            tenant_id=tenant_id,
        )
    )
