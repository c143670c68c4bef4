"""Apply the events that WeChat reports. Messages that users write to the account, and other events, have no effect."""

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_callback import Leaf
from chalicelib.notifications import delivery_states
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.wechat_account import account, openids, receipts, subscriptions


def apply(tx: Tx, tenant_id: int, leaves: list[Leaf]) -> bool:
    """Apply an event; return whether it has enqueued a job of the external queue, for `wake_workers`.

    Args:
        leaves: of the message, as `wechat_callback.parse_leaves` returns them.
    """
    fields = dict(leaves)
    official_account = account.find_stored(tx, tenant_id)
    if fields.get("MsgType") != "event" or official_account is None:
        return False
    app_id, openid = official_account.app_id, fields.get("FromUserName", "")
    match fields.get("Event"):
        case "subscribe":
            openids.set_unfollowed(tx, tenant_id, app_id, openid, None)
        case "unsubscribe":
            openids.set_unfollowed(tx, tenant_id, app_id, openid, clock.now())
        case "TEMPLATESENDJOBFINISH":
            return _apply_result(tx, tenant_id, fields.get("MsgID", ""), fields.get("Status") == "success")
        case "subscribe_msg_sent_event":
            sent, prefix = fields.get("SubscribeMsgSentEvent/List/ErrorCode") == "0", "SubscribeMsgSentEvent/List/"
            return _apply_result(tx, tenant_id, fields.get(f"{prefix}MsgID", ""), sent)
        case "subscribe_msg_popup_event" | "subscribe_msg_change_event":
            _apply_choices(tx, tenant_id, openid, leaves)
    return False


def _apply_result(tx: Tx, tenant_id: int, msg_id: str, succeeded: bool) -> bool:
    """Apply what became of a message; return whether an SMS is to be sent."""
    if not (msg_id.isascii() and msg_id.isdigit() and int(msg_id) < 2**63):
        return False
    notification_id = receipts.record_result(tx, tenant_id, int(msg_id), succeeded, clock.now())
    if notification_id is None:
        return False
    delivery_states.apply_wechat_result(tx, tenant_id, notification_id, succeeded)
    return not succeeded


def _apply_choices(tx: Tx, tenant_id: int, openid: str, leaves: list[Leaf]) -> None:
    """Apply what a user has chosen: on a page, a consent to one message each; in the settings, a rejection."""
    ids = [text for path, text in leaves if path.endswith("Event/List/TemplateId")]
    choices = [(path, text) for path, text in leaves if path.endswith("Event/List/SubscribeStatusString")]
    for template_id, (path, choice) in zip(ids, choices, strict=False):
        if choice == "accept" and path.startswith("SubscribeMsgPopupEvent/"):
            subscriptions.add_credit(tx, tenant_id, openid, template_id)
        elif choice == "reject" and path.startswith("SubscribeMsgChangeEvent/"):
            subscriptions.clear_credits(tx, tenant_id, openid, template_id)


def wake_workers(woken: bool) -> None:
    """Start the worker of the external queue if `apply` has enqueued a job."""
    if woken:
        outbox.wake_worker(Queue.EXTERNAL)
