"""Change the phone of an account: by its owner, who proves to have both phones, or by the front desk."""

from collections.abc import Callable
from typing import Any

from chalicelib import clock, errors
from chalicelib.accounts.account_models import ChangeAccountPhoneRequest, ChangePhoneRequest, PhoneCodeRequest
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity import known_networks, sessions, sms_codes, tokens
from chalicelib.identity.callers import Caller
from chalicelib.identity.code_store import CodePurpose
from chalicelib.notifications import event_jobs, site_messages
from chalicelib.notifications.event_types import EventType
from chalicelib.patient_identity import file_phones
from chalicelib.people import account_phones, account_states, accounts, member_claims, phones
from chalicelib.people.roles import PersonKind

TAKEN_TEXT = "该手机号已有账号，请先注销该账号，或换一个手机号"
CHANGED_TEXT = "您账号的手机号已由医院前台更换。如非本人办理，请联系医院。"


def request_code(caller: Caller, request: PhoneCodeRequest) -> None:
    """Send a code to the account's phone, or to a new one. A double click sends one.

    Raises:
        ApiError: 400 for the present phone as new one; 409 if the account has no phone; 429 above the rate limits, 503
            if no SMS provider is configured.
    """
    own = account_phones.require(caller.tenant_id, caller.user_id)
    if request.phone == own:
        raise ApiError(errors.BAD_PARAMETER, "phone：与现在的手机号相同")
    phone, purpose = request.phone or own, CodePurpose.CHANGE_PHONE_OLD
    if request.phone:
        purpose = CodePurpose.CHANGE_PHONE_NEW
    sms_codes.request_code(
        caller.tenant_id, phone, purpose, caller.address, principal=caller.principal, merge_double_submission=True
    )


def change(caller: Caller, request: ChangePhoneRequest) -> None:
    """Replace the phone of the caller's account, and end its other sessions. A repeated request has no effect.

    Raises:
        ApiError: 400 for a wrong code or the present phone; 409 if the new phone has an account, which only its owner
            learns, who has the code.
    """
    field_encryption.preload_keys()
    tenant_id, new_blind = caller.tenant_id, phones.compute_blind_index(caller.tenant_id, request.phone)
    account = accounts.get(mysql.autocommit, tenant_id, caller.user_id)
    if account.phone_blind == new_blind:
        if sms_codes.was_used(tenant_id, new_blind, CodePurpose.CHANGE_PHONE_NEW, request.newCode):
            return
        raise ApiError(errors.BAD_PARAMETER, "phone：与现在的手机号相同")
    old_blind = account.phone_blind or b""
    old_hash = _verify(caller, old_blind, CodePurpose.CHANGE_PHONE_OLD, request.oldCode, "oldCode")
    new_hash = _verify(caller, new_blind, CodePurpose.CHANGE_PHONE_NEW, request.newCode, "newCode")

    def replace(tx: Tx) -> None:
        file_phones.lock_files_of_account(tx, tenant_id, caller.user_id)
        if accounts.get(tx, tenant_id, caller.user_id, for_update=True).phone_blind != old_blind:
            raise ApiError(errors.CONFLICT, "手机号刚刚被更换过")
        sms_codes.consume(tx, tenant_id, old_blind, CodePurpose.CHANGE_PHONE_OLD, old_hash)
        sms_codes.consume(tx, tenant_id, new_blind, CodePurpose.CHANGE_PHONE_NEW, new_hash)
        file_phones.pass_on(tx, caller, request.phone)
        known_networks.forget(tx, tenant_id, PersonKind.PATIENT, old_blind)
        account_phones.set_phone(tx, tenant_id, caller.user_id, request.phone)
        member_claims.enqueue_verification(tx, tenant_id, caller.user_id)
        sessions.end_others(tx, caller)
        _record(tx, caller, AuditAction.CHANGE_PHONE, caller.user_id)

    _run_unless_taken(replace)
    sessions.make_effective(tenant_id, caller.principal)


def change_by_staff(caller: Caller, request: ChangeAccountPhoneRequest) -> None:
    """Replace the phone of an account whose owner is at the front desk; end its sessions and notify it.

    The owner counts as confirmed. The password is removed: whoever has the former phone may have set it by a code. The
    present phone as new one changes nothing.

    Raises:
        ApiError: 404 if there is no such account, 409 if the phone has another one.
    """
    field_encryption.preload_keys()
    tenant_id, user_id = caller.tenant_id, request.user_id
    new_blind = phones.compute_blind_index(tenant_id, request.phone)

    def replace(tx: Tx) -> None:
        file_phones.lock_files_of_account(tx, tenant_id, user_id)
        is_limited = account_states.require_open(tx, tenant_id, user_id).is_limited
        old_blind = accounts.get(tx, tenant_id, user_id).phone_blind
        if old_blind == new_blind:
            return
        file_phones.release(tx, caller, user_id, AuditAction.CHANGE_ACCOUNT_PHONE, request.reason)
        known_networks.forget(tx, tenant_id, PersonKind.PATIENT, old_blind)
        account_phones.set_phone(tx, tenant_id, user_id, request.phone)
        accounts.set_password(tx, tenant_id, user_id, b"")
        account_states.lift_limit(tx, tenant_id, user_id, has_signed_in=True)
        member_claims.enqueue_verification(tx, tenant_id, user_id)
        tokens.revoke_all(tx, tenant_id, f"user:{user_id}")
        _record(tx, caller, AuditAction.CHANGE_ACCOUNT_PHONE, user_id, request.reason, was_limited=is_limited)
        _notify(tx, tenant_id, user_id)

    _run_unless_taken(replace)
    sessions.make_effective(tenant_id, f"user:{user_id}")


def _verify(caller: Caller, subject: bytes, purpose: CodePurpose, code: str, field: str) -> bytes:
    try:
        return sms_codes.verify(caller.tenant_id, subject, purpose, code, caller.address)
    except ApiError as error:
        if error.kind is not errors.BAD_PARAMETER:
            raise
        raise ApiError(error.kind, f"{field}：验证码错误或已过期，请重新获取") from None


def _run_unless_taken(replace: Callable[[Tx], None]) -> None:
    try:
        mysql.run_transaction(replace)
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, TAKEN_TEXT) from None


def _record(tx: Tx, caller: Caller, action: AuditAction, user_id: int, reason: str = "", **detail: Any) -> None:
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, action, f"user:{user_id}"),
        reason=reason,
        key_id=caller.key_id or None,
        **detail,
    )


def _notify(tx: Tx, tenant_id: int, user_id: int) -> None:
    now = clock.now()
    message_id = site_messages.insert(tx, tenant_id, site_messages.SYSTEM_SENDER, None, CHANGED_TEXT, [user_id], now)
    content = {"msg_id": str(message_id)}
    event_jobs.enqueue_event(tx, tenant_id, [f"user:{user_id}"], EventType.SITE_MESSAGE, content, now)
