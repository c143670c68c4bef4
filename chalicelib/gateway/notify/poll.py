"""Long poll: an answer as soon as there is something, or nothing after a while."""

from chalicelib.gateway.notify import listening
from chalicelib.gateway.notify.models import ListenQuery, Several, Single
from chalicelib.identity.callers import Caller

# What one message at a time says where there is none, but something is lost.
GAP_ANSWER: Single = {
    "MsgId": "",
    "ConversationID": "",
    "FromSession": "",
    "SendTime": 0,
    "Status": 0,
    "Type": 0,
    "Content": "",
    "PreId": "",
    "Cursor": "",
    "gap": True,
}


def wait_for_one(caller: Caller, asked: ListenQuery, time_left: float) -> Single | None:
    """Return the next message, None where there was none in that time."""
    found = listening.wait_for_events(caller, asked, asked.after or "", 1, time_left, tell_placeless=False)
    if found.frames:
        return {**found.frames[0], "gap": found.gap}
    return {**GAP_ANSWER, "Cursor": found.cursor} if found.gap and not found.position_unknown else None


def wait_for_several(caller: Caller, asked: ListenQuery, limit: int, time_left: float) -> Several:
    found = listening.wait_for_events(caller, asked, asked.after or "", limit, time_left)
    return {"Msg": list(found.frames), "cursor": found.cursor, "gap": found.gap}
