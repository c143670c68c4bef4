"""Sign-up, sign-in and passwords of patients."""

from chalicelib import clock, errors
from chalicelib.accounts.models import (
    ChangePasswordRequest,
    ResetPasswordRequest,
    SignInRequest,
    SignInResponse,
    SignUpRequest,
    VerifyCodeRequest,
)
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity import attempts, passwords, sessions, sms_codes, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.identity.code_store import CodePurpose
from chalicelib.people import account_phones, account_states, accounts, double_submission, phones
from chalicelib.people.accounts import Account
from chalicelib.people.roles import PersonKind


def sign_up(caller: Caller, request: SignUpRequest) -> SignInResponse:
    """Create an account and return its first token.

    A request that is repeated within seconds, with the same code and password, returns the same account.

    Raises:
        ApiError: 400 for a wrong code, 409 if the phone has an account. Only the owner of the phone, who has the code,
            learns the latter.
    """
    try:
        return _create_account(caller, request)
    except ApiError:
        if user_id := _find_double_submission(caller, request):
            return _build_sign_in(caller, user_id)
        raise


def _create_account(caller: Caller, request: SignUpRequest) -> SignInResponse:
    phone_blind = phones.compute_blind_index(caller.tenant_id, request.phone)
    code_hash = sms_codes.verify(caller.tenant_id, phone_blind, CodePurpose.SIGN_UP, request.verCode, caller.address)
    password_hash = passwords.hash_password(request.password)
    field_encryption.preload_keys()

    def create(tx: Tx) -> int:
        sms_codes.consume(tx, caller.tenant_id, phone_blind, CodePurpose.SIGN_UP, code_hash)
        return account_phones.create_account(tx, caller.tenant_id, request.phone, password_hash)

    try:
        user_id = mysql.run_transaction(create)
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "该手机号已注册，请直接登录") from None
    return _build_sign_in(caller, user_id)


def _find_double_submission(caller: Caller, request: SignUpRequest) -> int | None:
    """Return the account that the same request has just created, None if there is none.

    The code and the password together prove at least as much as signing in does. Guesses are limited by the lifetime
    of the window, and only the password of an account that was created in it is compared.
    """
    tenant_id, since = caller.tenant_id, clock.now() - double_submission.WINDOW
    phone_blind = phones.compute_blind_index(tenant_id, request.phone)
    if not sms_codes.was_used(tenant_id, phone_blind, CodePurpose.SIGN_UP, request.verCode):
        return None
    account = accounts.find_created_since(mysql.autocommit, tenant_id, phone_blind, since)
    return account.user_id if account and passwords.matches(request.password, account.password_hash) else None


def _build_sign_in(caller: Caller, user_id: int) -> SignInResponse:
    token = mysql.run_transaction(lambda tx: issue_token(tx, caller, user_id))
    return SignInResponse(userId=str(user_id), token=token)


def issue_token(tx: Tx, caller: Caller, user_id: int, is_limited: bool = False) -> str:
    """Return a token of an account.

    Args:
        is_limited: whether the owner has to be confirmed; then it does not count as a use of the account.
    """
    if not is_limited:
        accounts.record_sign_in(tx, caller.tenant_id, user_id)
    return tokens.issue_in_transaction(
        *(tx, caller.tenant_id, f"user:{user_id}", Role.PATIENT),
        device=caller.device,
        address=caller.address,
        is_limited=is_limited,
    )


def authenticate(caller: Caller, request: SignInRequest) -> SignInResponse:
    """Return a new token, of a limited session if the account's owner has to be confirmed.

    An unknown phone and a wrong password give the same response and take the same time.

    Raises:
        ApiError: 401 for wrong credentials, 429 after too many of them.
    """
    phone_blind = phones.compute_blind_index(caller.tenant_id, request.phone)
    subject = (caller.tenant_id, PersonKind.PATIENT, phone_blind, caller.address)
    attempts.consume_password_try(*subject)
    credentials = accounts.find_credentials(mysql.autocommit, caller.tenant_id, phone_blind)
    matches = passwords.matches(request.password, credentials.password_hash if credentials else None)
    if credentials is None or not matches:
        raise ApiError(errors.BAD_CREDENTIALS)
    user_id, verified_hash = credentials.user_id, credentials.password_hash

    def issue(tx: Tx) -> str:
        """Issue a token unless phone or password have changed since they were verified."""
        account = accounts.get(tx, caller.tenant_id, user_id, for_update=True)
        if (account.phone_blind, account.password_hash) != (phone_blind, verified_hash):
            raise ApiError(errors.BAD_CREDENTIALS)
        return issue_token(tx, caller, user_id, is_limited=account.identity_locked_at is not None)

    token = mysql.run_transaction(issue)
    attempts.record_success(*subject)
    return SignInResponse(userId=str(user_id), token=token)


def check_code(caller: Caller, request: VerifyCodeRequest) -> None:
    """Verify a code for a password reset without using it up.

    Raises:
        ApiError: 400 for a wrong code.
    """
    phone_blind = phones.compute_blind_index(caller.tenant_id, request.phone)
    sms_codes.verify(caller.tenant_id, phone_blind, CodePurpose.RESET_PASSWORD, request.verCode, caller.address)


def reset_password(caller: Caller, request: ResetPasswordRequest) -> None:
    """Set a password by code and revoke every token of the account.

    An account that was not used for long is limited until its owner is confirmed: people/account_states.py.

    Raises:
        ApiError: 400 for a wrong code.
    """
    tenant_id = caller.tenant_id
    phone_blind = phones.compute_blind_index(tenant_id, request.phone)
    code_hash = sms_codes.verify(tenant_id, phone_blind, CodePurpose.RESET_PASSWORD, request.verCode, caller.address)
    password_hash = passwords.hash_password(request.newPassword)

    def reset(tx: Tx) -> str:
        sms_codes.consume(tx, tenant_id, phone_blind, CodePurpose.RESET_PASSWORD, code_hash)
        user_id = _lock_by_phone(tx, tenant_id, phone_blind)
        if account_states.needs_confirmation(tx, tenant_id, user_id):
            account_states.limit(tx, tenant_id, user_id)
            audit_log.insert_entry(tx, tenant_id, "", AuditAction.LIMIT_ACCOUNT, f"user:{user_id}")
        accounts.set_password(tx, tenant_id, user_id, password_hash)
        tokens.revoke_all(tx, tenant_id, f"user:{user_id}")
        return f"user:{user_id}"

    sessions.make_effective(tenant_id, mysql.run_transaction(reset))
    attempts.record_success(tenant_id, PersonKind.PATIENT, phone_blind, caller.address)


def _lock_by_phone(tx: Tx, tenant_id: int, phone_blind: bytes) -> int:
    """Lock the account that has the phone a code was sent to, and return its user_id.

    Raises:
        ApiError: 400 if it has lost the phone since, or while this transaction waited for the lock.
    """
    user_id = accounts.find_by_phone(tx, tenant_id, phone_blind)
    if user_id is not None:
        account_states.find_for_update(tx, tenant_id, user_id)
    if user_id is None or accounts.find_by_phone(tx, tenant_id, phone_blind) != user_id:
        raise ApiError(errors.BAD_PARAMETER, sms_codes.WRONG_CODE_TEXT)
    return user_id


def change_password(caller: Caller, request: ChangePasswordRequest) -> None:
    """Set a password by the old one, and end the account's other sessions.

    Raises:
        ApiError: 400 if the old password is wrong, 409 if a concurrent request has changed it, 429 after too many
            wrong ones.
    """
    old_hash = require_own_password(caller, request.oldPassword, "oldPassword").password_hash
    new_hash = passwords.hash_password(request.newPassword)

    def change(tx: Tx) -> None:
        if not accounts.set_password(tx, caller.tenant_id, caller.user_id, new_hash, old_hash):
            raise ApiError(errors.CONFLICT, "密码刚刚被修改过")
        sessions.end_others(tx, caller)

    mysql.run_transaction(change)
    sessions.make_effective(caller.tenant_id, caller.principal)


def require_own_password(caller: Caller, password: str, field: str) -> Account:
    """Return the caller's account if this is its password.

    Args:
        field: which the error names.

    Raises:
        ApiError: 400 if it is not, 429 after too many wrong ones.
    """
    account = accounts.get(mysql.autocommit, caller.tenant_id, caller.user_id)
    # An account that has lost its phone is counted by itself.
    phone_blind = account.phone_blind or phones.compute_blind_index(caller.tenant_id, caller.principal)
    subject = (caller.tenant_id, PersonKind.PATIENT, phone_blind, caller.address)
    attempts.consume_password_try(*subject)
    if not passwords.matches(password, account.password_hash):
        raise ApiError(errors.BAD_PARAMETER, f"{field}：密码错误")
    attempts.record_success(*subject)
    return account
