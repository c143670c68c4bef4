"""Run the handler of an API Gateway WebSocket event and map its outcome to a status code.

A client that is rejected at $connect sees only the HTTP status: API Gateway discards the body.
"""

import logging
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from chalicelib import clock, errors, logs
from chalicelib.errors import ApiError

logger = logging.getLogger(__name__)


Handler = Callable[[str, dict[str, Any]], None]  # arguments: connection id, API Gateway's event


def handle_event(event: Any, handler: Handler) -> dict[str, Any]:
    """Run `handler` for an event of API Gateway and return the response that API Gateway expects."""
    started = clock.monotonic()
    content: dict[str, Any] = event.to_dict()
    logs.start_context(request_id=content["requestContext"].get("requestId", ""), route=f"ws {handler.__name__}")
    status = _run_handler(handler, event.connection_id, content)
    elapsed_ms = round((clock.monotonic() - started) * 1000, 1)
    logger.info("websocket", extra={"ids": {"status": status, "ms": elapsed_ms}})
    return {"statusCode": status}


def _run_handler(handler: Handler, connection_id: str, content: dict[str, Any]) -> int:
    try:
        handler(connection_id, content)
    except ValidationError:
        return errors.BAD_PARAMETER.status
    except ApiError as error:
        logs.warn_if_unavailable(error)
        return error.kind.status
    except Exception:
        logger.exception("unhandled")
        return errors.INTERNAL.status
    return 200
