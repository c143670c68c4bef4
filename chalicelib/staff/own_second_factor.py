"""Staff set up their second factor: a new secret, which takes effect with its first code."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import BAD_PARAMETER, CONFLICT, NOT_FOUND, ApiError
from chalicelib.identity import second_factor, sessions, tokens, totp
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.people import double_submission, second_factors, tenants
from chalicelib.staff import own_password
from chalicelib.staff.access_models import ConfirmSecondFactorRequest, NewSecondFactor, NewSecondFactorRequest
from chalicelib.staff.staff_models import StaffReference


def begin(caller: Caller, request: NewSecondFactorRequest) -> NewSecondFactor:
    """Return a new secret. A secret in force stays until the new one is confirmed.

    A double click gets the same one, in the same session only: a stranger who knows the password, or has seen the code,
    must not learn a secret that its owner is about to confirm.

    Raises:
        ApiError: 400 for a wrong password, 401 without a code of the secret in force, 429 after too many wrong ones.
    """
    tenant_id, user_id = caller.tenant_id, caller.user_id
    member = own_password.require_password(caller, "password", request.password)
    code = second_factor.check_code(tenant_id, user_id, request.otp)
    new, session = second_factor.seal(tenant_id, user_id, totp.generate_secret()), bytes.fromhex(caller.token_hash_hex)

    def save(tx: Tx) -> bytes:
        factor = second_factors.get(tx, tenant_id, user_id, for_update=True)
        since = clock.now() - double_submission.WINDOW
        if factor.pending_sealed and (factor.pending_at or 0) > since and factor.pending_token_hash == session:
            return factor.pending_sealed
        second_factor.use_up(tx, tenant_id, user_id, code)
        second_factors.set_pending(tx, tenant_id, user_id, new, session)
        return new

    secret = second_factor.unseal(tenant_id, user_id, mysql.run_transaction(save))
    own_password.record_success(caller, member)
    hospital = tenants.get_name(mysql.autocommit, tenant_id)
    return NewSecondFactor(secret=secret, url=totp.build_url(secret, hospital, member.name))


def confirm(caller: Caller, request: ConfirmSecondFactorRequest) -> None:
    """Put the new secret in force by its first code, lift the limit of this session and end all others.

    Raises:
        ApiError: 400 for a wrong code, 409 without a new secret, 429 after five wrong codes.
    """
    tenant_id, user_id = caller.tenant_id, caller.user_id
    factor = second_factors.get(mysql.autocommit, tenant_id, user_id)
    if factor.pending_sealed is None:
        return _require_double_click(caller, request)
    step = second_factor.check_code_of(tenant_id, user_id, factor.pending_sealed, request.otp)
    if step is None:
        raise ApiError(BAD_PARAMETER, "otp：动态验证码错误")
    pending = factor.pending_sealed

    def save(tx: Tx) -> bool:
        if not second_factors.confirm(tx, tenant_id, user_id, pending, step):
            return False
        sessions.end_others(tx, caller)
        tokens.lift_limit(tx, bytes.fromhex(caller.token_hash_hex))
        return True

    if not mysql.run_transaction(save):
        return _require_double_click(caller, request)
    sessions.make_effective(tenant_id, caller.principal)
    second_factor.clear_failures(tenant_id, user_id)
    return None


def _require_double_click(caller: Caller, request: ConfirmSecondFactorRequest) -> None:
    """Raise ApiError 409 unless the same code has just been used to confirm the secret in force."""
    factor = second_factors.get(mysql.autocommit, caller.tenant_id, caller.user_id)
    since = clock.now() - double_submission.WINDOW
    if factor.sealed and (factor.confirmed_at or 0) > since:
        secret = second_factor.unseal(caller.tenant_id, caller.user_id, factor.sealed)
        if totp.compute_code(secret, factor.last_step) == request.otp:
            return
    raise ApiError(CONFLICT, "请先获取新的密钥")


def reset(caller: Caller, request: StaffReference) -> None:
    """Remove the second factor of another member of staff and end their sessions.

    Raises:
        ApiError: 404 if the tenant has no such member of staff, 409 for the caller.
    """
    if request.user_id == caller.user_id:
        raise ApiError(CONFLICT, "不能重置自己的动态验证码，请由其他管理员操作")
    if not second_factor.reset(caller.tenant_id, request.user_id, caller.principal):
        raise ApiError(NOT_FOUND, "员工不存在")
    outbox.wake_worker()
