"""The second factor of a sign-in of staff: a code of an authenticator app.

Wrong codes are counted for the person, and only after a right password, so that strangers cannot use up the tries. Each
time step is accepted once.
"""

from dataclasses import dataclass

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity import attempts, tokens, totp
from chalicelib.people import second_factors

_FIELD = "staff.totp"
WRONG_TEXT, USED_TEXT = "动态验证码错误，请重新输入", "动态验证码已使用，请等待下一个"


@dataclass(frozen=True, slots=True)
class RightCode:
    """A right code, which is still to be used up, and the secret to which it belongs."""

    sealed: bytes
    step: int


def check_code(tenant_id: int, user_id: int, code: str | None) -> RightCode | None:
    """Check the code of a member of staff who has entered the right password.

    Returns:
        None for a person without a second factor.

    Raises:
        ApiError: 401 without a code or for a wrong one, 429 after five wrong ones.
    """
    factor = second_factors.get(mysql.autocommit, tenant_id, user_id)
    if factor.sealed is None:
        return None
    if code is None:
        raise ApiError(errors.SECOND_FACTOR_REQUIRED)
    step = check_code_of(tenant_id, user_id, factor.sealed, code)
    if step is None:
        raise ApiError(errors.SECOND_FACTOR_REQUIRED, WRONG_TEXT)
    return RightCode(factor.sealed, step)


def check_code_of(tenant_id: int, user_id: int, sealed: bytes, code: str) -> int | None:
    """Return the time step of a code of a secret, None if it is wrong. Uses up a try.

    Raises:
        ApiError: 429 if none is left.
    """
    attempts.consume_try(tenant_id, _build_subject(user_id))
    return totp.find_step(unseal(tenant_id, user_id, sealed), code)


def use_up(tx: Tx, tenant_id: int, user_id: int, code: RightCode | None) -> None:
    """Use up a checked code, in the transaction of what it permits.

    Raises:
        ApiError: 401 if the code has been used, or the second factor has changed since it was checked.
    """
    if code is None:
        if second_factors.get(tx, tenant_id, user_id).sealed is not None:
            raise ApiError(errors.SECOND_FACTOR_REQUIRED)
    elif not second_factors.accept_step(tx, tenant_id, user_id, code.sealed, code.step):
        raise ApiError(errors.SECOND_FACTOR_REQUIRED, USED_TEXT)


def seal(tenant_id: int, user_id: int, secret: str) -> bytes:
    """Return a secret encrypted for a member of staff. Not inside a transaction."""
    return field_encryption.encrypt(tenant_id, _FIELD, user_id, secret)


def unseal(tenant_id: int, user_id: int, sealed: bytes) -> str:
    """Return the secret that was sealed for this member of staff. Not inside a transaction."""
    return field_encryption.decrypt(tenant_id, _FIELD, user_id, sealed)


def reset(tenant_id: int, user_id: int, actor: str, reason: str = "") -> bool:
    """Remove the second factor of a member of staff and end their sessions.

    Args:
        actor: principal of the administrator, "" for an operator.

    Returns:
        False if the tenant has no such member of staff.
    """

    def remove(tx: Tx) -> bool:
        if not second_factors.reset(tx, tenant_id, user_id):
            return False
        tokens.revoke_all(tx, tenant_id, f"user:{user_id}")
        audit_log.insert_entry(tx, tenant_id, actor, AuditAction.RESET_SECOND_FACTOR, f"user:{user_id}", reason=reason)
        return True

    if not mysql.run_transaction(remove):
        return False
    tokens.invalidate_cached_sessions(tenant_id, f"user:{user_id}")
    clear_failures(tenant_id, user_id)
    return True


def clear_failures(tenant_id: int, user_id: int) -> None:
    """Forget the wrong codes of a person."""
    attempts.clear_failures(tenant_id, _build_subject(user_id))


def _build_subject(user_id: int) -> str:
    return f"otp:{user_id}"
