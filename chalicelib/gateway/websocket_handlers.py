"""WebSocket: pushed as it happens. The client may send and acknowledge on it too; the answers are those of HTTP.

A client says {"action": "send_msg" | "ack" | "resume" | "ping", "id": …} with what the action wants, and is answered
{"action", "id", "code", "data" or "error"}. What it is sent unasked has no id: {"action": "hello"}, once it is written
to; MsgData; {"action": "ready"} behind the backlog.
"""

import logging
from typing import Annotated, Any

from pydantic import Field, PlainValidator, ValidationError

from chalicelib import errors, logs
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.aws import ws_push
from chalicelib.errors import ApiError
from chalicelib.gateway import messages
from chalicelib.gateway.models import Text
from chalicelib.gateway.notify.models import ListenQuery
from chalicelib.http.fields import BODY_LABEL, ID_LIMIT, Cursor, WireModel, drop_empty_optional, format_validation_error
from chalicelib.identity import callers, tokens
from chalicelib.identity.callers import PARTICIPANT_ROLES, Caller
from chalicelib.messaging import backlog, delivery, sockets
from chalicelib.messaging.sockets import Socket
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job

logger = logging.getLogger(__name__)

Event = dict[str, Any]
Answer = dict[str, Any]


def _validate_request_id(id: object) -> str | int:
    if isinstance(id, str) and len(id) <= 128:
        return id
    if isinstance(id, int) and not isinstance(id, bool) and -ID_LIMIT < id < ID_LIMIT:
        return id
    raise ValueError("应为不超过 128 个字符的文本，或绝对值小于 2^53 的整数")


class ActionRequest(WireModel):
    """What every action has. `id` is the client's own, by which it knows the answer."""

    action: str = Field("", max_length=32)
    id: Annotated[str | int, PlainValidator(_validate_request_id)] = ""


class CursorRequest(WireModel):
    cursor: Cursor


def connect(connection_id: str, event: Event) -> None:
    """Let somebody listen. ApiError 400, 401, 403; raises ValidationError."""
    asked = ListenQuery.model_validate(drop_empty_optional(ListenQuery, event.get("queryStringParameters") or {}))
    if asked.protoc != "ws":
        raise ApiError(errors.PROTOCOL)
    caller = callers.identify({"token": asked.token}, frozenset(PARTICIPANT_ROLES))
    logs.bind(tenant_id=caller.tenant_id, principal=caller.principal)
    socket = Socket(caller.tenant_id, caller.principal, bytes.fromhex(caller.token_hash_hex), asked.events == "1")

    def open_up(tx: mysql.Tx) -> None:
        sockets.register(connection_id, socket, tx)
        outbox.enqueue(
            tx, socket.tenant_id, Job.SEND_BACKLOG, {"connection": connection_id, "after": asked.after or ""}
        )

    mysql.run_transaction(open_up)
    sockets.invalidate_cache(socket.tenant_id, socket.principal)
    outbox.wake_worker()


def handle_message(connection_id: str, event: Event) -> None:
    """Do what a client says and answer it on the WebSocket. One whose token has died is closed."""
    socket = sockets.find(connection_id)
    session = tokens.find_session_by_hash(socket.token_hash) if socket else None
    if socket is None or session is None:
        sockets.close(connection_id)
        return
    caller = Caller(socket.tenant_id, session.role, socket.principal, session.platform)
    logs.bind(tenant_id=caller.tenant_id, principal=caller.principal)
    try:
        answer = _handle_action(connection_id, socket, caller, event.get("body") or "")
        ws_push.post(connection_id, sockets.encode_frame(answer))
    except ws_push.PushError as failed:  # what was said is done; who hears no answer says it again
        logger.warning("socket not answered", extra={"ids": {"status": failed.status}})


def disconnect(connection_id: str, _event: Event) -> None:
    sockets.unregister(connection_id)


def _handle_action(connection_id: str, socket: Socket, caller: Caller, text: str) -> Answer:
    said: Answer = {"action": "", "id": ""}
    try:
        said = ActionRequest.model_validate_json(text).model_dump()
        data = _run_action(said["action"], connection_id, socket, caller, text)
        return {**said, **({"action": "pong"} if said["action"] == "ping" else {}), "code": 0, "data": data}
    except ValidationError as error:
        refused = ApiError(errors.BAD_PARAMETER, format_validation_error(error, BODY_LABEL))
    except redis.RedisUnavailableError:
        refused = ApiError(errors.UNAVAILABLE)
    except ApiError as error:
        refused = error
    except ws_push.PushError:
        raise
    except Exception:
        logger.exception("unhandled")
        refused = ApiError(errors.INTERNAL)
    return {**said, "code": refused.kind.code, "error": refused.text}


def _run_action(action: str, connection_id: str, socket: Socket, caller: Caller, text: str) -> object:
    match action:
        case "send_msg":
            return messages.send(caller, Text.model_validate_json(text), None).model_dump()
        case "ack":
            delivery.save_position(backlog.build_listener(socket), CursorRequest.model_validate_json(text).cursor)
            return None
        case "resume":
            return backlog.send_events(connection_id, socket, CursorRequest.model_validate_json(text).cursor)
        case "ping":
            return {"cursor": delivery.get_end_cursor(backlog.build_listener(socket))}
    raise ApiError(errors.BAD_PARAMETER, "action：应为 send_msg、ack、resume 或 ping")
