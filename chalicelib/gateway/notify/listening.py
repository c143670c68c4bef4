"""Who may listen, and for how long somebody is kept waiting."""

from chalicelib import errors
from chalicelib.errors import Refused
from chalicelib.gateway.notify.models import Listening
from chalicelib.identity.callers import Caller
from chalicelib.messaging import delivery
from chalicelib.messaging.delivery import Delivery, Listener
from chalicelib.settings import settings

MARGIN = 3.0  # seconds before its end in which a function answers


def checked(asked: Listening) -> str:
    """Return the transport. Refused 400 for one that there is not."""
    if asked.protoc == "ws":
        raise Refused(errors.PROTOCOL, "protoc：ws 请用 WebSocket 连接")
    if asked.protoc not in ("poll", "sse"):
        raise Refused(errors.PROTOCOL)
    return asked.protoc


def awaited(
    caller: Caller, asked: Listening, cursor: str, limit: int, time_left: float, tell_placeless: bool = True
) -> Delivery:
    """Wait for news. Who takes them one by one, as document 004 has it, is not told of a gap that is only possible."""
    listener = Listener(caller.tenant_id, caller.principal, caller.token, cursor, asked.events == "1")
    patience = max(min(settings.poll_seconds, time_left - MARGIN), 0.0)
    return delivery.awaited(listener, limit, patience, tell_placeless)
