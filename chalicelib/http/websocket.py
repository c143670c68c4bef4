"""The WebSocket door: one of API Gateway's three events, done by the one protocol there is.

A client that is refused at $connect sees the HTTP status alone: API Gateway keeps the body.
"""

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from chalicelib import clock, errors, logs
from chalicelib.errors import ApiError

logger = logging.getLogger(__name__)


def handle_event(event: Any, name: str) -> dict[str, Any]:
    """Do what `ws` has for an event (connect, hear, disconnect); return what API Gateway wants to know."""
    started = clock.monotonic()
    whole: dict[str, Any] = event.to_dict()
    logs.start_context(request_id=whole["requestContext"].get("requestId", ""), route=f"ws {name}")
    # Imported here: the other functions of this bundle speak no WebSocket.
    work = getattr(import_module("chalicelib.gateway.notify.ws"), name)
    status = _run_handler(lambda: work(event.connection_id, whole))
    took = round((clock.monotonic() - started) * 1000, 1)
    logger.info("websocket", extra={"ids": {"status": status, "ms": took}})
    return {"statusCode": status}


def _run_handler(work: Callable[[], None]) -> int:
    try:
        work()
    except ValidationError:
        return errors.BAD_PARAMETER.status
    except ApiError as refused:
        if refused.kind is errors.UNAVAILABLE:
            logger.warning("unavailable", extra={"ids": logs.describe_error(refused.__cause__ or refused)})
        return refused.kind.status
    except Exception:
        logger.exception("unhandled")
        return errors.INTERNAL.status
    return 200
