"""Write logs as JSON lines with ids: never text of messages, names, phones, ID numbers, passwords or tokens."""

import json
import logging
import sys
import traceback
from contextvars import ContextVar
from typing import Any

from chalicelib import clock, errors
from chalicelib.errors import ApiError
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

_context_var: ContextVar[dict[str, Any]] = ContextVar("log_context")


def start_context(**ids: Any) -> None:
    """Replace the ids that each following log line of this unit of work (a request, a job) carries."""
    _context_var.set(ids)


def bind(**ids: Any) -> None:
    """Add ids to the following log lines of this unit of work."""
    _context_var.set({**get_context(), **ids})


def get_context() -> dict[str, Any]:
    """Return the ids of this unit of work."""
    return _context_var.get({})


_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class JsonFormatter(logging.Formatter):
    """Format a record as one JSON object: time, level, event, the context's ids, the record's `ids` and its error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. `extra={"ids": {...}}` of a logging call adds fields."""
        line: dict[str, Any] = {
            "at": clock.format_log_time(int(record.created * clock.SECOND)),
            "level": record.levelname,
            "event": record.getMessage(),
            **get_context(),
            **getattr(record, "ids", {}),
        }
        if record.exc_info and record.exc_info[1]:
            line |= describe_error(record.exc_info[1])
            line["stack"] = _format_stack(record.exc_info[1])
        return _encode(line)


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return an error's type and codes as log fields, without its message, which may quote personal data.

    Returns:
        `error`: module and class name; and, if the error has them, `number` (of MySQL), `errcode` (of WeChat),
        `errno` (of the system), `status` (of HTTP) and `provider_code` (of an SMS provider or WeChat Pay). The alarm
        WechatRefusing filters on `errcode`.
    """
    codes = {name: getattr(error, name, None) for name in ("number", "errcode", "errno", "status")}
    kind = f"{type(error).__module__.rpartition('.')[2]}.{type(error).__name__}"
    ids: dict[str, Any] = {name: code for name, code in codes.items() if isinstance(code, int)}
    if provider_code := getattr(error, "provider_code", ""):
        ids["provider_code"] = provider_code
    return {"error": kind, **ids}


def warn_if_unavailable(error: ApiError) -> None:
    """Log the cause of a 503. Other errors that clients can act on are not logged by themselves."""
    if error.kind is errors.UNAVAILABLE:
        logger.warning("unavailable", extra={"ids": describe_error(error.__cause__ or error)})


def _format_stack(error: BaseException) -> list[str]:
    """Return the innermost frames, without the message: drivers quote the values of a failed statement there."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def configure() -> None:
    """Send every logger through one JSON handler to standard output, where Lambda collects it."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(settings.log_level)
    # Do not determine caller, thread and process of a log call: that is half of its cost, and no line shows them.
    logging._srcfile = None  # documented in "Optimization" of Python's logging HOWTO
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in ("botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
