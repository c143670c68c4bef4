"""Confirm whose an account is after a password reset by code limited it, or start over with an account of one's own.

A phone number is given to a new subscriber some time after its contract has ended. The new one can reset the password
of an account of the old one, but not show whose the account is: people/account_states.py.
"""

from chalicelib import clock, errors
from chalicelib.accounts import sign_in
from chalicelib.accounts.account_models import AccountReference, ConfirmIdentityRequest
from chalicelib.accounts.models import SignInResponse
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.http import identity_fields
from chalicelib.identity import attempts, confirmations, known_networks, sessions, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.patient_identity import file_phones
from chalicelib.people import account_phones, account_states, accounts, documents, double_submission, members
from chalicelib.people.documents import Document
from chalicelib.people.roles import PersonKind

MAX_TRIES = 5  # per account, until a day without any
CONFIRMED_TEXT = "账号已确认为本人所有，不能重新开始"
NO_PHONE_TEXT = "请先用手机验证码重设密码并登录，再重新开始"


def confirm_by_document(caller: Caller, request: ConfirmIdentityRequest) -> None:
    """Confirm the owner of the caller's account by the document of one of its members.

    Where the session is not limited, the request has no effect: it is repeated, or not needed.

    Raises:
        ApiError: 400 if no member has this document, 429 after MAX_TRIES wrong ones.
    """
    if caller.role != Role.LIMITED:
        return
    document = _parse_document(caller, request)
    subject = f"identity:{caller.user_id}"
    attempts.consume_daily_try(caller.tenant_id, subject, MAX_TRIES)

    def confirm(tx: Tx) -> None:
        if members.find_by_identity(tx, caller.tenant_id, caller.user_id, document.identity) is None:
            raise ApiError(errors.BAD_PARAMETER, "IDNo：与账号中就诊人的证件号码不符")
        confirmations.confirm_own(tx, caller, "document")

    mysql.run_transaction(confirm)
    attempts.clear_failures(caller.tenant_id, subject)
    sessions.make_effective(caller.tenant_id, caller.principal)


def confirm_by_staff(caller: Caller, request: AccountReference) -> None:
    """Confirm the owner of an account, who is at the front desk. See `confirmations.confirm_in_person`.

    Raises:
        ApiError: 404 if there is no such account, 409 if it has no phone.
    """
    mysql.run_transaction(lambda tx: confirmations.confirm_in_person(tx, caller, request.user_id, request.reason))
    attempts.clear_failures(caller.tenant_id, f"identity:{request.user_id}")
    sessions.make_effective(caller.tenant_id, f"user:{request.user_id}")


def start_over(caller: Caller) -> SignInResponse:
    """Give the phone of a limited account a new account with the same password, and return its token.

    The old account keeps its members, bookings and records, without phone and password: the front desk can give it
    another phone. The limited session stays valid for some seconds, in which a repeated request has the same result.

    Raises:
        ApiError: 400 if the session is not limited; 403 if an internal key has begun it, which does not prove that the
            caller has the phone; 404 if the new account of an earlier request is closed.
    """
    if caller.role != Role.LIMITED:
        raise ApiError(errors.BAD_PARAMETER, CONFIRMED_TEXT)
    if caller.key_id:
        raise ApiError(errors.NOT_ALLOWED, NO_PHONE_TEXT)
    field_encryption.preload_keys()
    user_id, token = mysql.run_transaction(lambda tx: _start_over(tx, caller))
    sessions.make_effective(caller.tenant_id, caller.principal)
    return SignInResponse(userId=str(user_id), token=token)


def _parse_document(caller: Caller, request: ConfirmIdentityRequest) -> Document:
    id_type = identity_fields.parse_type(request.idType, "idType")
    try:
        number = documents.normalize_number(id_type, request.IDNo)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"IDNo：{error}") from None
    return documents.build_document(caller.tenant_id, id_type, number)


def _start_over(tx: Tx, caller: Caller) -> tuple[int, str]:
    tenant_id = caller.tenant_id
    file_phones.lock_files_of_account(tx, tenant_id, caller.user_id)
    state = account_states.require_open(tx, tenant_id, caller.user_id)
    if not state.is_limited:  # confirmed since the session was read
        raise ApiError(errors.BAD_PARAMETER, CONFIRMED_TEXT)
    new_id = state.replaced_by
    if new_id is None:
        new_id = _replace_account(tx, caller)
    is_limited = account_states.require_open(tx, tenant_id, new_id).is_limited
    return new_id, sign_in.issue_token(tx, caller, new_id, is_limited=is_limited)


def _replace_account(tx: Tx, caller: Caller) -> int:
    tenant_id, user_id = caller.tenant_id, caller.user_id
    account = accounts.get(tx, tenant_id, user_id)
    phone = account_phones.unseal(tenant_id, user_id, account.phone_sealed)
    file_phones.release(tx, caller, user_id, AuditAction.START_OVER)
    known_networks.forget(tx, tenant_id, PersonKind.PATIENT, account.phone_blind)
    account_states.remove_phone(tx, tenant_id, user_id)
    new_id = account_phones.create_account(tx, tenant_id, phone, account.password_hash)
    account_states.record_replacement(tx, tenant_id, user_id, new_id)
    own_hash = bytes.fromhex(caller.token_hash_hex)
    tokens.revoke_all(tx, tenant_id, caller.principal, own_hash)
    tokens.shorten(tx, own_hash, clock.now() + double_submission.WINDOW)
    action = AuditAction.START_OVER
    audit_log.insert_entry(tx, tenant_id, caller.principal, action, caller.principal, new_user_id=new_id)
    return new_id
