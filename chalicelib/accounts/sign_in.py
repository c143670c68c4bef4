"""How patients sign up, in and out, and what becomes of their passwords."""

from chalicelib import errors
from chalicelib.accounts.models import CodeGiven, NewPassword, PasswordChange, SignedIn, SignIn, SignUp
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.identity import attempts, passwords, sms_codes, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.identity.sms_codes import CodePurpose
from chalicelib.people import accounts
from chalicelib.people.roles import PersonKind


def sign_up(caller: Caller, given: SignUp) -> SignedIn:
    """Return the token of a new account. ApiError 400 for a wrong code, 409 where the phone has an account."""
    checked = sms_codes.verify(caller.tenant_id, given.phone, CodePurpose.SIGN_UP, given.verCode)
    password_hash = passwords.hash_password(given.password)

    def create(tx: Tx) -> int:
        sms_codes.consume(tx, caller.tenant_id, given.phone, CodePurpose.SIGN_UP, checked)
        return accounts.create(tx, caller.tenant_id, given.phone, password_hash)

    try:
        user_id = mysql.run_transaction(create)
    except mysql.DuplicateKeyError:  # only who holds the phone is told
        raise ApiError(errors.CONFLICT, "该手机号已注册，请直接登录") from None
    return SignedIn(userId=str(user_id), token=tokens.issue(caller.tenant_id, f"user:{user_id}", Role.PATIENT))


def authenticate(caller: Caller, given: SignIn) -> SignedIn:
    """Return a new token. An unknown phone and a wrong password are one answer, in one time."""
    who = (caller.tenant_id, PersonKind.PATIENT, given.phone, caller.address)
    attempts.consume_password_try(*who)
    found = accounts.find_password_hash(mysql.autocommit, caller.tenant_id, given.phone)
    right = passwords.matches(given.password, found[1] if found else None)
    if found is None or not right:
        raise ApiError(errors.BAD_CREDENTIALS)
    attempts.record_success(*who)
    user_id, checked = found

    def issue(tx: Tx) -> str:
        """A reset in this moment ends what the old password opens."""
        if accounts.get(tx, caller.tenant_id, user_id, for_update=True).password_hash != checked:
            raise ApiError(errors.BAD_CREDENTIALS)
        return tokens.issue_in_transaction(tx, caller.tenant_id, f"user:{user_id}", Role.PATIENT)

    return SignedIn(userId=str(user_id), token=mysql.run_transaction(issue))


def sign_out(caller: Caller) -> None:
    tokens.revoke_by_hash(bytes.fromhex(caller.token_hash_hex))


def check_code(caller: Caller, given: CodeGiven) -> None:
    """ApiError 400 for a wrong code. A right one stays good for the new password."""
    sms_codes.verify(caller.tenant_id, given.phone, CodePurpose.RESET_PASSWORD, given.verCode)


def reset_password(caller: Caller, given: NewPassword) -> None:
    """Set a password by code, and end every session of the account. ApiError 400 for a wrong code."""
    tenant_id = caller.tenant_id
    checked = sms_codes.verify(tenant_id, given.phone, CodePurpose.RESET_PASSWORD, given.verCode)
    password_hash = passwords.hash_password(given.newPassword)

    def reset(tx: Tx) -> str:
        sms_codes.consume(tx, tenant_id, given.phone, CodePurpose.RESET_PASSWORD, checked)
        user_id = accounts.find_by_phone(tx, tenant_id, given.phone)
        assert user_id is not None, "a code for a reset is sent to an account's phone alone"
        accounts.set_password(tx, tenant_id, user_id, password_hash)
        tokens.revoke_all(tx, tenant_id, f"user:{user_id}")
        return f"user:{user_id}"

    tokens.invalidate_cached_sessions(tenant_id, mysql.run_transaction(reset))
    attempts.record_success(tenant_id, PersonKind.PATIENT, given.phone, caller.address)


def change_password(caller: Caller, given: PasswordChange) -> None:
    """Set a password by the old one; who is signed in stays so. ApiError 400 where the old one is wrong."""
    account = accounts.get(mysql.autocommit, caller.tenant_id, caller.user_id)
    who = (caller.tenant_id, PersonKind.PATIENT, account.phone, caller.address)
    attempts.consume_password_try(*who)
    if not passwords.matches(given.oldPassword, account.password_hash):
        raise ApiError(errors.BAD_PARAMETER, "oldPassword：密码错误")
    new, old = passwords.hash_password(given.newPassword), account.password_hash
    if not accounts.set_password(mysql.autocommit, caller.tenant_id, caller.user_id, new, old):
        raise ApiError(errors.CONFLICT, "密码刚刚被修改过")
    attempts.record_success(*who)
