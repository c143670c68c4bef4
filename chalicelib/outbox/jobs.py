"""The jobs that the outbox can run, and the queue of each. app.py names the function that handles each job."""

from enum import StrEnum


class Queue(StrEnum):
    """Each queue has its own order, its own worker and, on AWS, its own function."""

    INTERNAL = "internal"
    EXTERNAL = "external"  # jobs that call third parties, which may be slow or down


class Job(StrEnum):
    """What the column `outbox.job` holds."""

    SEND_BACKLOG = "send_backlog"
    NOTIFY_CONVERSATION = "notify_conversation"
    PUBLISH_EVENT = "publish_event"
    CANCEL_STOPPED_SCHEDULE = "cancel_stopped_schedule"
    NOTIFY_BOOKING = "notify_booking"
    OFFER_WAITLIST = "offer_waitlist"
    ANNOUNCE_QUEUE = "announce_queue"
    NOTIFY_PAYMENT = "notify_payment"
    MOVE_WITHDRAWN_FILE = "move_withdrawn_file"
    EXPORT_ACCOUNT = "export_account"
    EXPORT_LIST = "export_list"
    VERIFY_MEMBER = "verify_member"
    CLOSE_SOCKETS = "close_sockets"
    CLOSE_DESK_SESSION = "close_desk_session"
    SEND_SMS_CODE = "send_sms_code"
    REFUND_BOOKING = "refund_booking"
    WECHAT_UNREAD_REPLY = "wechat_unread_reply"
    WECHAT_BOOKING = "wechat_booking"
    SMS_BOOKING = "sms_booking"
    NOTIFY_FILE_BOUND = "notify_file_bound"


EXTERNAL_JOBS = frozenset(
    {
        Job.SEND_SMS_CODE,
        Job.REFUND_BOOKING,
        Job.WECHAT_UNREAD_REPLY,
        Job.WECHAT_BOOKING,
        Job.SMS_BOOKING,
        Job.NOTIFY_FILE_BOUND,
    }
)
# A user waits for these: they run before the other jobs of the external queue.
URGENT_JOBS = frozenset({Job.SEND_SMS_CODE})
