"""A hospital's privacy notice, and the consents of its accounts."""

from datetime import date

from chalicelib import clock, errors
from chalicelib.accounts import consent_store
from chalicelib.accounts.consent_models import (
    Consent,
    Consents,
    GiveConsentRequest,
    PrivacyNotice,
    PublishNoticeRequest,
    WithdrawConsentRequest,
)
from chalicelib.accounts.consent_store import Notice
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.people import accounts, consents, members
from chalicelib.people.consents import ConsentPurpose

NO_NOTICE = Notice(version=0, text="", requires_consent=False, published_at=0)


def get_notice(caller: Caller) -> PrivacyNotice:
    """Return the current version of the hospital's notice; version 0 if it has none."""
    return _build_notice(_get_current(mysql.autocommit, caller.tenant_id))


def publish_notice(caller: Caller, request: PublishNoticeRequest) -> PrivacyNotice:
    """Publish the next version. What equals the current version is that version."""
    return _build_notice(mysql.run_transaction(lambda tx: _publish(tx, caller, request)))


def give(caller: Caller, request: GiveConsentRequest) -> Consents:
    """Store consents to the current version, one for each purpose. Those that exist already are not stored again.

    Raises:
        ApiError: 409 if it is not the current version.
    """
    return mysql.run_transaction(lambda tx: _give(tx, caller, request))


def withdraw(caller: Caller, request: WithdrawConsentRequest) -> Consents:
    """Withdraw an account's consents for a purpose. What was done before stays."""
    return mysql.run_transaction(lambda tx: _withdraw(tx, caller, request))


def list_own(caller: Caller) -> Consents:
    """Return the account's consents, and which ones are missing."""
    return mysql.run_autocommit(lambda tx: _build_consents(tx, caller))


def _publish(tx: Tx, caller: Caller, request: PublishNoticeRequest) -> Notice:
    consent_store.lock_notices(tx, caller.tenant_id)
    current = _get_current(tx, caller.tenant_id)
    notice = Notice(current.version + 1, request.text, not request.keep_consents, clock.now())
    if (notice.text, notice.requires_consent) == (current.text, current.requires_consent):
        return current
    consent_store.insert_notice(tx, caller.tenant_id, notice, caller.user_id)
    subject = f"privacy_notice:{notice.version}"
    action = AuditAction.PUBLISH_PRIVACY_NOTICE
    audit_log.insert_entry(
        tx, caller.tenant_id, caller.principal, action, subject, requires_consent=notice.requires_consent
    )
    return notice


def _give(tx: Tx, caller: Caller, request: GiveConsentRequest) -> Consents:
    accounts.get(tx, caller.tenant_id, caller.user_id, for_update=True)  # a double click waits for the first request
    current = _get_current(tx, caller.tenant_id).version
    if request.version != current:
        text = f"隐私政策已更新为第 {current} 版，请重新阅读" if current else "医院尚未发布隐私政策"
        raise ApiError(errors.CONFLICT, text)
    given = {
        one.purpose
        for one in consent_store.list_consents(tx, caller.tenant_id, caller.user_id)
        if one.version == current and one.withdrawn_at is None
    }
    purposes = [purpose for purpose in ConsentPurpose if purpose in request.purposes and purpose not in given]
    consent_store.insert_consents(tx, caller.tenant_id, caller.user_id, purposes, current, caller.address, clock.now())
    return _build_consents(tx, caller)


def _withdraw(tx: Tx, caller: Caller, request: WithdrawConsentRequest) -> Consents:
    accounts.get(tx, caller.tenant_id, caller.user_id, for_update=True)
    purpose = ConsentPurpose(request.purpose)
    consent_store.withdraw_consents(tx, caller.tenant_id, caller.user_id, purpose, clock.now())
    return _build_consents(tx, caller)


def _get_current(tx: Tx, tenant_id: int) -> Notice:
    return consent_store.find_current_notice(tx, tenant_id) or NO_NOTICE


def _build_notice(notice: Notice) -> PrivacyNotice:
    return PrivacyNotice(
        version=notice.version,
        text=notice.text,
        requires_consent=notice.requires_consent,
        published_at=clock.format_wire_time(notice.published_at) if notice.version else "",
    )


def _build_consents(tx: Tx, caller: Caller) -> Consents:
    status = consents.find_status(tx, caller.tenant_id, caller.user_id)
    present = members.list_with_patients(tx, caller.tenant_id, caller.user_id)
    youngest: date | None = max((one.birthday for one in present if one.birthday), default=None)
    given = consent_store.list_consents(tx, caller.tenant_id, caller.user_id)
    return Consents(
        required_version=status.required_version,
        missing=[str(purpose) for purpose in status.list_missing(youngest)],
        consents=[
            Consent(
                purpose=one.purpose,
                version=one.version,
                given_at=clock.format_wire_time(one.given_at),
                withdrawn_at=clock.format_wire_time(one.withdrawn_at) if one.withdrawn_at else "",
            )
            for one in given
        ],
    )
