"""Close an account: its sign-in, phone, openids, sessions and members end at once.

Nothing is deleted. Medical records are kept for 15 years and consultations for 3 (docs/decisions/0024): the patient
files go into storage, where staff read them for a logged reason only, and consultations are archived.
"""

from chalicelib import clock, errors
from chalicelib.accounts import closing_store, export_store, sign_in
from chalicelib.accounts.account_models import CloseAccountRequest
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.billing import money
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity import known_networks, sessions, sms_codes, tokens
from chalicelib.identity.callers import Caller
from chalicelib.identity.code_store import CodePurpose
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.patient_identity import file_phones
from chalicelib.people import account_phones, account_states, accounts, members
from chalicelib.people.accounts import Account
from chalicelib.people.roles import PersonKind
from chalicelib.wechat_account import openids

MAX_RESTARTS = 3


class _MembersChangedError(Exception):
    """The members of the account have changed before their files were locked."""


def request_code(caller: Caller) -> None:
    """Send a code to the account's phone, with which its owner can close it. A double click sends one.

    Raises:
        ApiError: 409 if the account has no phone, 429 above the rate limits, 503 if no SMS provider is configured.
    """
    phone = account_phones.require(caller.tenant_id, caller.user_id)
    sms_codes.request_code(
        caller.tenant_id,
        phone,
        CodePurpose.CLOSE_ACCOUNT,
        caller.address,
        principal=caller.principal,
        merge_double_submission=True,
    )


def close(caller: Caller, request: CloseAccountRequest) -> None:
    """Close the caller's account. Closing it twice at once has the same result.

    Raises:
        ApiError: 400 without the right password or code; 409 while there are bookings to come or open refunds, which
            the text lists; 429 after too many wrong passwords.
    """
    field_encryption.preload_keys()
    account = accounts.get(mysql.autocommit, caller.tenant_id, caller.user_id)
    code_hash = _verify_owner(caller, account, request)
    for attempt in range(MAX_RESTARTS):
        try:
            mysql.run_transaction(lambda tx: _close(tx, caller, account, code_hash))
            break
        except _MembersChangedError:
            if attempt == MAX_RESTARTS - 1:
                raise ApiError(errors.UNAVAILABLE, retry_after=1) from None
    sessions.make_effective(caller.tenant_id, caller.principal)


def _verify_owner(caller: Caller, account: Account, request: CloseAccountRequest) -> bytes:
    """Check password or code; return the hash of the code, b"" for a password."""
    if request.password is not None:
        sign_in.require_own_password(caller, request.password, "password")
        return b""
    if request.verCode is None:
        raise ApiError(errors.BAD_PARAMETER, "password：请输入密码，或以 verCode 代替")
    subject = account.phone_blind or b""
    return sms_codes.verify(caller.tenant_id, subject, CodePurpose.CLOSE_ACCOUNT, request.verCode, caller.address)


def _close(tx: Tx, caller: Caller, account: Account, code_hash: bytes) -> None:
    tenant_id, user_id, now = caller.tenant_id, caller.user_id, clock.now()
    owned = _lock_files_and_account(tx, caller)
    if owned is None:
        return
    now_stored = accounts.get(tx, tenant_id, user_id)
    if (now_stored.phone_blind, now_stored.password_hash) != (account.phone_blind, account.password_hash):
        raise ApiError(errors.CONFLICT, "手机号或密码刚刚被修改过，请重试")
    _require_nothing_open(tx, tenant_id, user_id)
    if code_hash:
        sms_codes.consume(tx, tenant_id, account.phone_blind or b"", CodePurpose.CLOSE_ACCOUNT, code_hash)
    for member in owned:
        members.remove(tx, tenant_id, member.member_id, user_id, now)
    if pati_ids := {member.pati_id for member in owned if member.pati_id}:
        closing_store.store_files(tx, tenant_id, pati_ids, now)
    file_phones.release(tx, caller, user_id, AuditAction.CLOSE_ACCOUNT)
    known_networks.forget(tx, tenant_id, PersonKind.PATIENT, account.phone_blind)
    account_states.close(tx, tenant_id, user_id, now)
    tokens.revoke_all(tx, tenant_id, caller.principal)
    openids.unbind_all(tx, tenant_id, user_id)
    export_store.expire_all(tx, tenant_id, user_id, now)
    outbox.enqueue(tx, tenant_id, Job.CLOSE_DESK_SESSION, {"user_id": user_id})
    audit_log.insert_entry(
        *(tx, tenant_id, caller.principal, AuditAction.CLOSE_ACCOUNT, caller.principal),
        key_id=caller.key_id or None,
        members=[member.member_id for member in owned],
    )


def _lock_files_and_account(tx: Tx, caller: Caller) -> list[members.Member] | None:
    """Lock the members' patient files, as bookings do, then the account; return the members, None if it is closed."""
    owned = members.list_with_patients(tx, caller.tenant_id, caller.user_id)
    own_ids = {member.pati_id for member in owned if member.pati_id}
    file_phones.lock_files_of_account(tx, caller.tenant_id, caller.user_id, own_ids)
    state = account_states.find_for_update(tx, caller.tenant_id, caller.user_id)
    if state is None or state.closed_at is not None:
        return None
    if members.list_with_patients(tx, caller.tenant_id, caller.user_id) != owned:
        raise _MembersChangedError
    return owned


def _require_nothing_open(tx: Tx, tenant_id: int, user_id: int) -> None:
    bookings = closing_store.list_live_bookings(tx, tenant_id, user_id)
    refunds = closing_store.list_open_refunds(tx, tenant_id, user_id)
    listed = [f"{one.member_name} {one.day} {_format_time(one)} 的预约" for one in bookings]
    listed += [f"{one.day} 的预约退款 {money.to_yuan(one.fee):.2f} 元" for one in refunds]
    if listed:
        raise ApiError(errors.CONFLICT, f"还有未完成的事项，完成或取消后才能注销：{'；'.join(listed)}")


def _format_time(booking: closing_store.LiveBooking) -> str:
    minutes = int(booking.slot_time.total_seconds()) // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
