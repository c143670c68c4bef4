"""Whether an account is closed, or limited because its phone may belong to another person now.

An account whose phone number was given to a new subscriber could be taken over by a code to that phone. So a password
reset by code limits an account that was not used for UNUSED_AFTER, until its owner is confirmed.
"""

from dataclasses import dataclass

from chalicelib import clock, errors
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError

# Carriers give a number to a new subscriber some 90 days after the contract has ended.
UNUSED_AFTER = 90 * clock.DAY


@dataclass(frozen=True, slots=True)
class AccountState:
    """The state of an account. Instants are microseconds."""

    identity_locked_at: int | None  # None: not limited
    closed_at: int | None
    replaced_by: int | None  # user_id of the account that the phone's new owner got instead

    @property
    def is_limited(self) -> bool:
        """Whether sessions of the account are limited until its owner is confirmed."""
        return self.identity_locked_at is not None


def find_for_update(tx: Tx, tenant_id: int, user_id: int) -> AccountState | None:
    """Lock the row of an account until the end of the transaction and return its state; None if there is none."""
    row = tx.fetch_one(
        """
        SELECT identity_locked_at, closed_at, replaced_by FROM accounts
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s FOR UPDATE
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return AccountState(**row) if row else None


def require_open(tx: Tx, tenant_id: int, user_id: int) -> AccountState:
    """Lock an account and return its state.

    Raises:
        ApiError: 404 if there is no such account, or it is closed.
    """
    state = find_for_update(tx, tenant_id, user_id)
    if state is None or state.closed_at is not None:
        raise ApiError(errors.NOT_FOUND, "账号不存在或已注销")
    return state


def needs_confirmation(tx: Tx, tenant_id: int, user_id: int) -> bool:
    """Return whether a password reset by code limits an account, because it was not used for UNUSED_AFTER.

    Whatever it has: without members, too, there may be a profile, chats with the help desk and messages. Whoever has
    nothing there loses nothing by starting over.
    """
    found = tx.fetch_value(
        """
        SELECT 1 FROM accounts
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s AND identity_locked_at IS NULL
          AND COALESCE(last_sign_in_at, created_at) < %(unused_since)s
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        unused_since=clock.now() - UNUSED_AFTER,
    )
    return found is not None


def limit(tx: Tx, tenant_id: int, user_id: int) -> None:
    """Limit an account until its owner is confirmed."""
    tx.execute(
        """
        UPDATE accounts SET identity_locked_at = %(now)s
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        now=clock.now(),
    )


def lift_limit(tx: Tx, tenant_id: int, user_id: int, *, has_signed_in: bool) -> None:
    """Record that the owner of an account is known now.

    Args:
        has_signed_in: whether the owner has the phone, which counts as a sign-in; else the next reset by code limits
            the account again.
    """
    tx.execute(
        f"""
        UPDATE accounts
        SET identity_locked_at = NULL, replaced_by = NULL {", last_sign_in_at = %(now)s" if has_signed_in else ""}
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        now=clock.now(),
    )


def close(tx: Tx, tenant_id: int, user_id: int, now: int) -> None:
    """Close an account: its phone and password are removed. Its members are removed at the same instant."""
    tx.execute(
        """
        UPDATE accounts
        SET closed_at = %(now)s, phone_sealed = NULL, phone_blind = NULL, password_hash = ''
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        now=now,
    )


def remove_phone(tx: Tx, tenant_id: int, user_id: int) -> None:
    """Remove phone and password of an account, which is not that of the phone's new owner."""
    tx.execute(
        """
        UPDATE accounts SET phone_sealed = NULL, phone_blind = NULL, password_hash = ''
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )


def record_replacement(tx: Tx, tenant_id: int, user_id: int, new_id: int) -> None:
    """Record which account the phone's new owner got instead of this one."""
    tx.execute(
        "UPDATE accounts SET replaced_by = %(new_id)s WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s",
        new_id=new_id,
        user_id=user_id,
        tenant_id=tenant_id,
    )
