"""How patients sign up, in and out, and what becomes of their passwords."""

from chalicelib import errors
from chalicelib.accounts.models import CodeGiven, NewPassword, PasswordChange, SignedIn, SignIn, SignUp
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import Refused
from chalicelib.identity import attempts, passwords, sms_codes, tokens
from chalicelib.identity.callers import PATIENT, Caller
from chalicelib.people import accounts

REALM = "patient"


def sign_up(caller: Caller, given: SignUp) -> SignedIn:
    """Return the token of a new account. Refused 400 for a wrong code, 409 where the phone has an account."""
    checked = sms_codes.check(caller.tenant_id, given.phone, sms_codes.SIGN_UP, given.verCode)
    password_hash = passwords.hashed(given.password)

    def create(tx: Tx) -> int:
        sms_codes.use(tx, caller.tenant_id, given.phone, sms_codes.SIGN_UP, checked)
        return accounts.create(tx, caller.tenant_id, given.phone, password_hash)

    try:
        user_id = mysql.transact(create)
    except mysql.Duplicate:  # only who holds the phone is told
        raise Refused(errors.CONFLICT, "该手机号已注册，请直接登录") from None
    return SignedIn(userId=str(user_id), token=tokens.issue(caller.tenant_id, f"user:{user_id}", PATIENT))


def sign_in(caller: Caller, given: SignIn) -> SignedIn:
    """Return a new token. An unknown phone and a wrong password are one answer, in one time."""
    who = (caller.tenant_id, REALM, given.phone, caller.address)
    attempts.guess(*who)
    found = mysql.autocommit(lambda tx: accounts.password_of(tx, caller.tenant_id, given.phone))
    right = passwords.matches(given.password, found[1] if found else None)
    if found is None or not right:
        raise Refused(errors.BAD_CREDENTIALS)
    attempts.guessed(*who)
    user_id, checked = found

    def issue(tx: Tx) -> str:
        """A reset in this moment ends what the old password opens."""
        if accounts.get(tx, caller.tenant_id, user_id, to_change=True)["password_hash"] != checked:
            raise Refused(errors.BAD_CREDENTIALS)
        return tokens.issue_with(tx, caller.tenant_id, f"user:{user_id}", PATIENT)

    return SignedIn(userId=str(user_id), token=mysql.transact(issue))


def sign_out(caller: Caller) -> None:
    tokens.revoke_hash(bytes.fromhex(caller.token))


def check_code(caller: Caller, given: CodeGiven) -> None:
    """Refused 400 for a wrong code. A right one stays good for the new password."""
    sms_codes.check(caller.tenant_id, given.phone, sms_codes.RESET, given.verCode)


def reset_password(caller: Caller, given: NewPassword) -> None:
    """Set a password by code, and end every session of the account. Refused 400 for a wrong code."""
    tenant_id = caller.tenant_id
    checked = sms_codes.check(tenant_id, given.phone, sms_codes.RESET, given.verCode)
    password_hash = passwords.hashed(given.newPassword)

    def reset(tx: Tx) -> str:
        sms_codes.use(tx, tenant_id, given.phone, sms_codes.RESET, checked)
        user_id = accounts.find_by_phone(tx, tenant_id, given.phone)
        assert user_id is not None, "a code for a reset is sent to an account's phone alone"
        accounts.set_password(tx, tenant_id, user_id, password_hash)
        tokens.revoke_all(tx, tenant_id, f"user:{user_id}")
        return f"user:{user_id}"

    tokens.reconsider(tenant_id, mysql.transact(reset))
    attempts.guessed(tenant_id, REALM, given.phone, caller.address)


def change_password(caller: Caller, given: PasswordChange) -> None:
    """Set a password by the old one; who is signed in stays so. Refused 400 where the old one is wrong."""
    account = mysql.autocommit(lambda tx: accounts.get(tx, caller.tenant_id, caller.user_id))
    who = (caller.tenant_id, REALM, account["phone"], caller.address)
    attempts.guess(*who)
    if not passwords.matches(given.oldPassword, account["password_hash"]):
        raise Refused(errors.BAD_PARAMETER, "oldPassword：密码错误")
    new, old = passwords.hashed(given.newPassword), account["password_hash"]
    if not mysql.autocommit(lambda tx: accounts.set_password(tx, caller.tenant_id, caller.user_id, new, old)):
        raise Refused(errors.CONFLICT, "密码刚刚被修改过")
    attempts.guessed(*who)
