"""Confirm the owner of an account that was limited after a password reset by code (people/account_states.py)."""

from typing import Any

from chalicelib import errors
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.identity import tokens
from chalicelib.identity.callers import Caller
from chalicelib.people import account_states, accounts, member_claims


def confirm_own(tx: Tx, caller: Caller, how: str) -> None:
    """Confirm that the caller, whose session is limited, is the owner of their account.

    The caller's session gets its full role; all others end, because whoever has begun them is not known. A session that
    an internal key has begun proves nothing about the account's phone: the password, which its new owner may have set,
    is removed, and the next reset by code limits the account again.

    After the commit, call `sessions.make_effective`.

    Args:
        how: what proves it, for the audit log.
    """
    tenant_id, user_id, own_hash = caller.tenant_id, caller.user_id, bytes.fromhex(caller.token_hash_hex)
    if not account_states.require_open(tx, tenant_id, user_id).is_limited:
        return
    has_phone = not caller.key_id
    account_states.lift_limit(tx, tenant_id, user_id, has_signed_in=has_phone)
    if not has_phone:
        accounts.set_password(tx, tenant_id, user_id, b"")
    tokens.revoke_all(tx, tenant_id, caller.principal, own_hash)
    tokens.lift_limit(tx, own_hash)
    member_claims.enqueue_verification(tx, tenant_id, user_id)
    _record(tx, caller, user_id, how=how, removed_password=not has_phone)


def confirm_in_person(tx: Tx, caller: Caller, user_id: int, reason: str) -> None:
    """Confirm the owner of an account, who is at the front desk with a document and the account's phone.

    All sessions end and the password is removed, because the desk does not know who has begun and set them: the owner
    sets one by a code to the phone, and signs in. An account that is not limited is not changed.

    After the commit, call `sessions.make_effective`.

    Raises:
        ApiError: 404 if there is no such account, or it is closed; 409 if it has no phone.
    """
    tenant_id = caller.tenant_id
    if not account_states.require_open(tx, tenant_id, user_id).is_limited:
        return
    if accounts.get(tx, tenant_id, user_id).phone_blind is None:
        raise ApiError(errors.CONFLICT, "账号没有手机号，请用更换手机号办理")
    account_states.lift_limit(tx, tenant_id, user_id, has_signed_in=True)
    accounts.set_password(tx, tenant_id, user_id, b"")
    tokens.revoke_all(tx, tenant_id, f"user:{user_id}")
    member_claims.enqueue_verification(tx, tenant_id, user_id)
    _record(tx, caller, user_id, reason, how="front_desk", removed_password=True)


def _record(tx: Tx, caller: Caller, user_id: int, reason: str = "", **detail: Any) -> None:
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, AuditAction.CONFIRM_ACCOUNT, f"user:{user_id}"),
        reason=reason,
        key_id=caller.key_id or None,
        **detail,
    )
