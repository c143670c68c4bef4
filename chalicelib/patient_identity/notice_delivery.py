"""Notify accounts that are bound to a patient file, or no longer, the file's owner, and the front desk."""

from contextlib import suppress
from typing import Any

from chalicelib.adapters import mysql, sms
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.notifications import event_jobs, site_messages
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.patient_identity import notice_store
from chalicelib.patient_identity.notice_store import NotifiedMember
from chalicelib.patient_identity.notices import Notice
from chalicelib.people import account_phones, accounts, formatting, patients
from chalicelib.people.patient_status import PatientStatus


def notify(tenant_id: int, payload: dict[str, Any]) -> None:
    """Insert the site messages, each once, with their events, and send the text message. Handler of NOTIFY_FILE_BOUND.

    Args:
        payload: notice, id (of the merge or the member), at, and what `enqueue_…` adds.

    Raises:
        sms.SmsError, ApiError: the job is retried.
    """
    field_encryption.preload_keys()
    match Notice(payload["notice"]):
        case Notice.BOUND:
            _notify_bound(tenant_id, payload)
        case Notice.SPLIT:
            for member in notice_store.list_members_of_merge(mysql.autocommit, tenant_id, payload["id"]):
                text = f"医院已撤销就诊人{member.name}与档案的关联，该就诊人恢复为未核验。如有疑问，请联系医院前台。"
                _insert_message(tenant_id, payload, [member.user_id], text)
        case Notice.REMOVED:
            member = notice_store.get_member(mysql.autocommit, tenant_id, payload["id"])
            moved = "其未就诊的预约已转到本人账号。" if payload["has_moved_bookings"] else ""
            text = f"就诊人{member.name}已由档案本人或医院解除关联。{moved}如有疑问，请联系医院前台。"
            _insert_message(tenant_id, payload, [member.user_id], text)
    outbox.wake_worker()


def _notify_bound(tenant_id: int, payload: dict[str, Any]) -> None:
    pati_id = notice_store.find_file_of_merge(mysql.autocommit, tenant_id, payload["id"])
    if pati_id is None:
        return
    file = patients.get(mysql.autocommit, tenant_id, pati_id)
    bound = notice_store.list_members_of_merge(mysql.autocommit, tenant_id, payload["id"])
    for member in bound:
        is_verified = file.status == PatientStatus.VERIFIED
        what = "的身份已核验，已关联医院档案，可查看和预约。" if is_verified else "的档案已由医院合并，可继续使用。"
        _insert_message(tenant_id, payload, [member.user_id], f"就诊人{member.name}{what}")
    _notify_desk(tenant_id, payload)
    strangers = [member for member in bound if member.phone_blind != file.phone_blind]
    has_owner = file.status == PatientStatus.VERIFIED and file.phone_unconfirmed_since is None
    if strangers and file.phone_blind and has_owner:
        _notify_owner(tenant_id, payload, strangers, file)


def _notify_owner(
    tenant_id: int, payload: dict[str, Any], strangers: list[NotifiedMember], file: patients.Patient
) -> None:
    """Notify the person whose phone is the file's, by site message if there is such an account, and by text message."""
    owner = accounts.find_by_phone(mysql.autocommit, tenant_id, file.phone_blind or b"")
    if owner:
        phones = (account_phones.unseal(tenant_id, one.user_id, one.phone_sealed) for one in strangers)
        named = "、".join(formatting.mask_phone(phone) for phone in phones)
        text = f"账号 {named} 已关联您的档案（{file.name}）。如非本人同意，请在就诊人页面解除关联，或联系医院前台。"
        _insert_message(tenant_id, payload, [owner], text, "owner:")
    phone = patients.decrypt_phone(file)
    if not phone.startswith("+"):  # the providers' templates are for mainland China
        sms.send_notice(phone)


def _notify_desk(tenant_id: int, payload: dict[str, Any]) -> None:
    """Notify the service staff of bookings that a merge has brought into one half-day, or to one doctor on a day."""
    clashing = notice_store.list_bookings(mysql.autocommit, tenant_id, payload["conflicts"])
    staff = notice_store.list_service_staff(mysql.autocommit, tenant_id)
    if clashing and staff:
        named = "；".join(f"{one.day} {one.slot_time} 预约码 {one.book_code}" for one in clashing)
        text = f"合并档案后，患者 {clashing[0].pati_id} 的预约有冲突，请与患者确认保留哪一个：{named}。"
        _insert_message(tenant_id, payload, staff, text, "desk:")


def _insert_message(
    tenant_id: int, payload: dict[str, Any], user_ids: list[int], text: str, recipient: str = ""
) -> None:
    """Insert a message and the job of its event, unless an earlier run of the job has."""
    key = f"file:{payload['notice']}:{payload['id']}:{recipient or user_ids[0]}"

    def insert(tx: Tx) -> None:
        at = payload["at"]
        message_id = site_messages.insert(tx, tenant_id, site_messages.SYSTEM_SENDER, key, text, user_ids, at)
        principals = [f"user:{user_id}" for user_id in user_ids]
        event_jobs.enqueue_event(tx, tenant_id, principals, EventType.SITE_MESSAGE, {"msg_id": str(message_id)}, at)

    with suppress(mysql.DuplicateKeyError):
        mysql.run_transaction(insert)
