"""Who may listen, and for how long somebody is kept waiting."""

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.gateway.notify.models import ListenQuery
from chalicelib.identity.callers import Caller
from chalicelib.messaging import delivery
from chalicelib.messaging.delivery import Delivery, Listener
from chalicelib.settings import settings

ANSWER_MARGIN_SECONDS = 3.0  # seconds before its end in which a function answers


def require_transport(asked: ListenQuery) -> str:
    """Return the transport. ApiError 400 for one that there is not."""
    if asked.protoc == "ws":
        raise ApiError(errors.PROTOCOL, "protoc：ws 请用 WebSocket 连接")
    if asked.protoc not in ("poll", "sse"):
        raise ApiError(errors.PROTOCOL)
    return asked.protoc


def wait_for_events(
    caller: Caller, asked: ListenQuery, cursor: str, limit: int, time_left: float, tell_placeless: bool = True
) -> Delivery:
    """Wait for news. Who takes them one by one, as document 004 has it, is not told of a gap that is only possible."""
    listener = Listener(caller.tenant_id, caller.principal, caller.token_hash_hex, cursor, asked.events == "1")
    patience = max(min(settings.long_poll_seconds, time_left - ANSWER_MARGIN_SECONDS), 0.0)
    return delivery.wait_for_events(listener, limit, patience, tell_placeless)
