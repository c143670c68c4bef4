"""Apply the events that WeChat reports. Messages that users write to the account, and other events, have no effect."""

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_callback import Leaf
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.wechat_account import account, openids


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
    return False


def wake_workers(woken: bool) -> None:
    """Start the worker of the external queue if `apply` has enqueued a job."""
    if woken:
        outbox.wake_worker(Queue.EXTERNAL)
