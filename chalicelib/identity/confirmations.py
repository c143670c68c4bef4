"""Confirm the owner of an account that was limited after a password reset by code (people/account_states.py)."""

from chalicelib import errors
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.identity import tokens
from chalicelib.identity.callers import Caller
from chalicelib.people import account_states
from chalicelib.people.account_states import AccountState


def confirm(tx: Tx, caller: Caller, user_id: int, reason: str = "") -> bool:
    """Confirm the owner of an account: it is not limited any more, and its sessions have their full role.

    After the commit, call `tokens.invalidate_cached_sessions`.

    Returns:
        False if the account was not limited, and nothing has changed.

    Raises:
        ApiError: 404 if there is no such account, or it is closed.
    """
    if not require_open(tx, caller.tenant_id, user_id).is_limited:
        return False
    account_states.lift_limit(tx, caller.tenant_id, user_id)
    tokens.lift_limit(tx, caller.tenant_id, f"user:{user_id}")
    action = AuditAction.CONFIRM_ACCOUNT
    audit_log.insert_entry(tx, caller.tenant_id, caller.principal, action, f"user:{user_id}", reason=reason)
    return True


def require_open(tx: Tx, tenant_id: int, user_id: int) -> AccountState:
    """Lock an account and return its state.

    Raises:
        ApiError: 404 if there is no such account, or it is closed.
    """
    state = account_states.find_for_update(tx, tenant_id, user_id)
    if state is None or state.closed_at is not None:
        raise ApiError(errors.NOT_FOUND, "账号不存在或已注销")
    return state
