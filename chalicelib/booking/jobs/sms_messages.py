"""Outbox job SMS_BOOKING of the external queue: notify by SMS a patient whom WeChat did not reach.

An SMS is sent at most once: that it is being sent is recorded before. If its fate is unknown, or it cannot be sent, the
front desk calls the patient (front_desk/call_list.py).
"""

import logging
from collections.abc import Collection
from typing import Any

from chalicelib import clock, logs
from chalicelib.adapters import mysql, sms
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.sms import SmsError, SmsMessage, SmsNotSentError
from chalicelib.booking.jobs import delivery_store, notification_quotas, notified_bookings, wechat_messages
from chalicelib.booking.jobs.notification_quotas import Channel, QuotaUsedUpError
from chalicelib.booking.jobs.notified_bookings import NotifiedBooking
from chalicelib.booking.schedules import slots
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.notifications import delivery_states, sms_templates
from chalicelib.notifications.delivery_states import OPEN_STATES, Delivery, DeliveryFailure, NotificationState
from chalicelib.notifications.sms_templates import SmsTemplate
from chalicelib.people import account_phones, formatting, tenants

logger = logging.getLogger(__name__)

SENDING_TIMEOUT = 60 * clock.SECOND  # after which the process that was sending is considered dead
MAX_VARIABLE_CHARS = 35  # Source: https://help.aliyun.com/zh/sms/user-guide/message-template-specifications
EMPTY_VALUE = "无"


def send_booking_sms(tenant_id: int, payload: dict[str, Any]) -> None:
    """Send an SMS unless the notification has arrived, or is no longer true. In quiet hours it is sent afterwards.

    Args:
        payload: notification_id.

    Raises:
        SmsNotSentError: the job is retried.
    """
    field_encryption.preload_keys()
    delivery = delivery_states.find(mysql.autocommit, tenant_id, payload["notification_id"])
    if delivery is None:
        return
    if delivery.state == NotificationState.TEXTING:
        _give_up_if_dead(tenant_id, delivery)
        return
    is_retried = delivery.state == NotificationState.UNREACHED and delivery.failure == DeliveryFailure.NOT_SENT
    if delivery.state not in OPEN_STATES and not is_retried:
        return
    booking = notified_bookings.find_of_account(mysql.autocommit, tenant_id, delivery.user_id, delivery.book_id)
    if booking is None or not notified_bookings.is_current(booking, delivery.event_type, delivery.change_number):
        _settle(tenant_id, delivery, NotificationState.OUTDATED)
        return
    details = dict(delivery.details)
    if quiet_end := wechat_messages.find_quiet_end(tenant_id, booking, delivery.event_type, details):
        due_at = quiet_end + delivery_states.CONFIRMATION_WAIT  # WeChat is tried first
        delivery_states.enqueue_sms(mysql.autocommit, tenant_id, delivery.notification_id, f"quiet:{quiet_end}", due_at)
        return
    if delivery_store.has_read(mysql.autocommit, tenant_id, delivery):
        _settle(tenant_id, delivery, NotificationState.ARRIVED)
        return
    _send(tenant_id, delivery, booking)


def build_message(tenant_id: int, template: SmsTemplate, booking: NotifiedBooking, delivery: Delivery) -> SmsMessage:
    """Fill a template. Values are cut to what providers accept."""
    details = delivery.details
    values = {
        "hospital": tenants.get_name(mysql.autocommit, tenant_id),
        "patient": formatting.mask_name(booking.patient_name),
        "time": f"{booking.day} {slots.format_time(booking.slot_time)}",
        "dept": booking.dept_name,
        "doctor": booking.doctor_name or "普通门诊",
        "area": booking.area,
        **{name: details.get(name, "") for name in ("before", "until", "reason")},
    }
    variables = {name: _cut(values[name]) for name in template.variables}
    return SmsMessage(template.sign_name, template.template_id, variables)


def _send(tenant_id: int, delivery: Delivery, booking: NotifiedBooking) -> None:
    template = sms_templates.find(mysql.autocommit, tenant_id, delivery.event_type)
    phone_sealed = delivery_store.find_phone(mysql.autocommit, tenant_id, delivery.user_id or 0)
    if template is None or phone_sealed is None:
        failure = DeliveryFailure.NO_PHONE if template else DeliveryFailure.NO_TEMPLATE
        _settle(tenant_id, delivery, NotificationState.UNREACHED, failure)
        return
    phone = account_phones.unseal(tenant_id, delivery.user_id or 0, phone_sealed)
    message = build_message(tenant_id, template, booking, delivery)
    try:
        if not mysql.run_transaction(lambda tx: _begin_sending(tx, tenant_id, delivery)):
            return
    except QuotaUsedUpError:
        _settle(tenant_id, delivery, NotificationState.UNREACHED, DeliveryFailure.QUOTA)
        return
    try:
        sms.send_message(phone, message)
    except SmsNotSentError:
        _record_not_sent(tenant_id, delivery)
        raise
    except (SmsError, ApiError) as error:
        is_rejected = isinstance(error, SmsError)
        failure = DeliveryFailure.REJECTED if is_rejected else DeliveryFailure.UNCERTAIN
        ids = {"tenant_id": tenant_id, "notification_id": delivery.notification_id, "failure": failure}
        logger.warning("sms notification failed", extra={"ids": {**ids, **logs.describe_error(error)}})
        _finish(tenant_id, delivery, NotificationState.UNREACHED, failure)
    else:
        _finish(tenant_id, delivery, NotificationState.TEXTED)


def _begin_sending(tx: Tx, tenant_id: int, delivery: Delivery) -> bool:
    """Return whether this process is to send the SMS.

    Raises:
        QuotaUsedUpError
    """
    state = NotificationState.TEXTING
    if not delivery_states.change_state(tx, tenant_id, delivery.notification_id, _list_before(delivery), state):
        return False
    notification_quotas.use(tx, tenant_id, Channel.SMS, delivery.user_id or 0, must_arrive=True)
    return True


def _record_not_sent(tenant_id: int, delivery: Delivery) -> None:
    """Put on the call list a patient whose SMS was not sent; it is retried until the front desk has called."""

    def record(tx: Tx) -> None:
        notification_quotas.give_back(tx, tenant_id, Channel.SMS, delivery.user_id or 0, must_arrive=True)
        before, state = (NotificationState.TEXTING,), NotificationState.UNREACHED
        delivery_states.change_state(tx, tenant_id, delivery.notification_id, before, state, DeliveryFailure.NOT_SENT)

    mysql.run_transaction(record)


def _give_up_if_dead(tenant_id: int, delivery: Delivery) -> None:
    """Leave an SMS that another process has been sending for long to the front desk: it may have been sent."""
    dead_at = delivery.changed_at + SENDING_TIMEOUT
    if clock.now() < dead_at:
        cause = f"after:{delivery.changed_at}"
        delivery_states.enqueue_sms(mysql.autocommit, tenant_id, delivery.notification_id, cause, dead_at)
        return
    _finish(tenant_id, delivery, NotificationState.UNREACHED, DeliveryFailure.UNCERTAIN)


def _settle(
    tenant_id: int, delivery: Delivery, state: NotificationState, failure: DeliveryFailure | None = None
) -> None:
    before = _list_before(delivery)
    delivery_states.change_state(mysql.autocommit, tenant_id, delivery.notification_id, before, state, failure)


def _list_before(delivery: Delivery) -> Collection[NotificationState]:
    """Return the states in which a notification may still be sent by SMS."""
    return OPEN_STATES if delivery.state in OPEN_STATES else (delivery.state,)


def _finish(
    tenant_id: int, delivery: Delivery, state: NotificationState, failure: DeliveryFailure | None = None
) -> None:
    before = (NotificationState.TEXTING,)
    delivery_states.change_state(mysql.autocommit, tenant_id, delivery.notification_id, before, state, failure)


def _cut(text: str) -> str:
    text = text or EMPTY_VALUE
    return text if len(text) <= MAX_VARIABLE_CHARS else f"{text[: MAX_VARIABLE_CHARS - 1]}…"
