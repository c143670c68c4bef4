"""The WebSocket transport of /notify: events are pushed, and the client may send and acknowledge messages.

A request is {"action": "send_msg" | "ack" | "resume" | "ping", "id": ...} with the fields of that action, its response
{"action", "id", "code", "data" or "error"} as over HTTP. Frames that the server sends by itself have no id:
{"action": "hello"} when the connection is established, MsgData, {"action": "ready"} after the backlog, and
{"action": "closing"} before the server closes the connection of a user who has opened too many.
"""

import logging
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, ValidationError

from chalicelib import errors, logs
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.aws import ws_push
from chalicelib.adapters.redis import ScriptBatch
from chalicelib.errors import ApiError
from chalicelib.gateway import messages
from chalicelib.gateway.models import SendMessageRequest
from chalicelib.http.fields import ID_LIMIT, Cursor, OptionalCursor, WireModel
from chalicelib.http.validation import parse_fields, parse_json
from chalicelib.http.validation_messages import BODY_LABEL, format_validation_error
from chalicelib.identity import addresses, callers, rate_limits, tokens
from chalicelib.identity.callers import PARTICIPANT_ROLES, Caller, Role
from chalicelib.identity.rate_limits import RateLimit
from chalicelib.identity.tokens import Owner
from chalicelib.messaging import backlog, feed, socket_push, sockets
from chalicelib.messaging.socket_store import Socket
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

Event = dict[str, Any]
Response = dict[str, Any]


def _validate_request_id(id: object) -> str | int:
    if isinstance(id, str) and len(id) <= 128:
        return id
    if isinstance(id, int) and not isinstance(id, bool) and -ID_LIMIT < id < ID_LIMIT:
        return id
    raise ValueError("应为不超过 128 个字符的文本，或绝对值小于 2^53 的整数")


class ConnectQuery(WireModel):
    """The query of $connect, as that of /notify over HTTP."""

    token: str = Field(min_length=1, max_length=128)
    protoc: str = Field(max_length=16)
    after: OptionalCursor = None
    events: Literal["", "0", "1"] = ""


class ActionRequest(WireModel):
    """The fields of every action. `id` is chosen by the client and returned with the response."""

    action: str = Field("", max_length=32)
    id: Annotated[str | int, PlainValidator(_validate_request_id)] = ""


class CursorRequest(WireModel):
    """The position from which a client continues."""

    cursor: Cursor


def connect(connection_id: str, event: Event) -> None:
    """Register a connection and enqueue the job that sends its backlog.

    Raises:
        ApiError: 400 for another transport or an invalid X-Forwarded-For, 401, 403, 429.
        ValidationError: for an invalid query.
    """
    query = parse_fields(ConnectQuery, event.get("queryStringParameters") or {})
    if query.protoc != "ws":
        raise ApiError(errors.UNSUPPORTED_PROTOCOL)
    address = _get_client_address(event)
    caller = callers.identify({"token": query.token}, frozenset(PARTICIPANT_ROLES), address, listens=True)
    logs.bind(tenant_id=caller.tenant_id, principal=caller.principal)
    rate_limits.require(Owner(caller.tenant_id, caller.principal), RateLimit.CONNECTIONS)
    socket = Socket(caller.tenant_id, caller.principal, bytes.fromhex(caller.token_hash_hex), query.events == "1")

    def register(tx: mysql.Tx) -> None:
        sockets.register(tx, connection_id, socket)
        payload = {"connection": connection_id, "after": query.after or ""}
        outbox.enqueue(tx, socket.tenant_id, Job.SEND_BACKLOG, payload)

    mysql.run_transaction(register)
    sockets.invalidate_cache(socket.tenant_id, socket.principal)
    outbox.wake_worker()
    with suppress(ws_push.PushError):  # the job does the same
        backlog.close_excess(socket.tenant_id, socket.principal)


def handle_message(connection_id: str, event: Event) -> None:
    """Execute a request and send its response. A connection whose token is no longer valid is closed."""
    socket, text = sockets.find(connection_id), event.get("body") or ""
    batch = _prepare_batch(socket, text) if socket else None
    session = tokens.find_session_by_hash(socket.token_hash, batch) if socket else None
    if socket is None or session is None or session.role == Role.LIMITED:
        redis.undo_batch(batch)
        sockets.close(connection_id)
        return
    caller = Caller(socket.tenant_id, session.role, socket.principal, session.platform)
    logs.bind(tenant_id=caller.tenant_id, principal=caller.principal)
    try:
        response = _handle_action(connection_id, socket, caller, text, batch)
        ws_push.post(connection_id, socket_push.encode_frame(response))
    except ws_push.PushError as error:  # the action is done; a client that receives no response repeats it
        logger.warning("websocket response not sent", extra={"ids": {"status": error.status}})


def disconnect(connection_id: str, _event: Event) -> None:
    """Delete a connection that was closed."""
    sockets.unregister(connection_id)


def _get_client_address(event: Event) -> str:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    source = str(event.get("requestContext", {}).get("identity", {}).get("sourceIp", ""))
    return addresses.determine_client_address(source, headers.get("x-forwarded-for", ""), settings.trusted_proxies)


def _prepare_batch(socket: Socket, text: str) -> ScriptBatch | None:
    """Return the scripts with which sending begins, to run in the round trip that checks the token.

    None for another action, and for a request that is invalid or above the limit: its error is to be returned only
    after that check.
    """
    owner = Owner(socket.tenant_id, socket.principal)
    try:
        if parse_json(ActionRequest, text).action != "send_msg":
            return None
        request = parse_json(SendMessageRequest, text)
    except ValidationError:
        return None
    if rate_limits.find_rejection(owner, RateLimit.MESSAGES):
        return None
    batch = messages.prepare_send(owner, request)
    rate_limits.add_to_batch(batch, owner, RateLimit.MESSAGES)
    return batch


def _handle_action(
    connection_id: str, socket: Socket, caller: Caller, text: str, batch: ScriptBatch | None
) -> Response:
    request: Response = {"action": "", "id": ""}
    try:
        request = parse_json(ActionRequest, text).model_dump()
        data = _run_action(request["action"], connection_id, socket, caller, text, batch)
        return {**request, **({"action": "pong"} if request["action"] == "ping" else {}), "code": 0, "data": data}
    except ValidationError as error:
        rejection = ApiError(errors.BAD_PARAMETER, format_validation_error(error, BODY_LABEL))
    except redis.RedisUnavailableError:
        rejection = ApiError(errors.UNAVAILABLE)
    except ApiError as error:
        rejection = error
    except ws_push.PushError:
        raise
    except Exception:
        logger.exception("unhandled")
        rejection = ApiError(errors.INTERNAL)
    redis.undo_batch(batch)
    retry_after = {"retry_after": rejection.retry_after} if rejection.retry_after else {}
    return {**request, "code": rejection.kind.code, "error": rejection.text, **retry_after}


def _run_action(
    action: str, connection_id: str, socket: Socket, caller: Caller, text: str, batch: ScriptBatch | None
) -> object:
    match action:
        case "send_msg":
            request = parse_json(SendMessageRequest, text)
            if batch:
                rate_limits.require_within(batch)
            else:
                rate_limits.require(Owner(socket.tenant_id, socket.principal), RateLimit.MESSAGES)
            return messages.send(caller, request, None, batch).model_dump()
        case "ack":
            feed.save_position(backlog.build_listener(socket), parse_json(CursorRequest, text).cursor)
            return None
        case "resume":
            return backlog.send_events(connection_id, socket, parse_json(CursorRequest, text).cursor)
        case "ping":
            return {"cursor": feed.read(backlog.build_listener(socket), "", 1).end_cursor}
    raise ApiError(errors.BAD_PARAMETER, "action：应为 send_msg、ack、resume 或 ping")
