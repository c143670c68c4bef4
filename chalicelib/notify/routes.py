"""Document 004: /notify over HTTP, in a function of its own: waiting requests take no capacity from the others."""

from chalicelib.errors import RATE_LIMITED, UNSUPPORTED_PROTOCOL
from chalicelib.http.routing import LastEventIdHeader, RawContent, Routes
from chalicelib.identity.callers import PARTICIPANT_ROLES, Caller
from chalicelib.notify import http
from chalicelib.notify.models import ListenQuery, PollManyResponse, PollOneResponse

routes = Routes(__name__)


@routes.get(
    "/notify",
    callers=PARTICIPANT_ROLES,
    errors=[UNSUPPORTED_PROTOCOL, RATE_LIMITED],
    raw_content_type=http.SSE_CONTENT_TYPE,
)
def notify(
    caller: Caller, query: ListenQuery, last_event_id: LastEventIdHeader, time_left: float
) -> PollOneResponse | PollManyResponse | RawContent | None:
    """消息推送服务

    New messages of all the caller's conversations. poll responds as soon as there is one: a single message or, with
    limit, a list and the cursor to continue from; null (an empty list) if there is none within 20 seconds. sse returns
    the same as a stream that ends after each delivery; an EventSource reconnects by itself. Without a cursor each
    delivery counts as received, and the next request continues after it. gap is true if messages before are lost to the
    feed and must be read from history (a response without MsgId if there is nothing else). PreId is the message before
    it in its conversation. events=1 adds events that are no messages: withdrawals (Type 1000), read positions (1001)
    and others. 429 if five requests of the caller wait already; 401 as soon as the token is revoked.
    """
    return http.respond(caller, query, last_event_id, time_left)
