"""Logs are JSON lines with ids: never a text, name, phone, ID number, password or token."""

import json
import logging
import sys
import traceback
from contextvars import ContextVar
from typing import Any

from chalicelib import clock
from chalicelib.settings import settings

_context_var: ContextVar[dict[str, Any]] = ContextVar("log_context")


def start_context(**ids: Any) -> None:
    """Begin a unit of work (a request, a job): what it logs from here on carries these ids and no others."""
    _context_var.set(ids)


def bind(**ids: Any) -> None:
    """Add ids to what this unit of work logs from here on."""
    _context_var.set({**get_context(), **ids})


def get_context() -> dict[str, Any]:
    return _context_var.get({})


_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
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
    """What an error is, and what the database, the system, S3 or another company number it: all but its message."""
    numbers = {name: getattr(error, name, None) for name in ("number", "errno", "status")}
    kind = f"{type(error).__module__.rpartition('.')[2]}.{type(error).__name__}"
    ids: dict[str, Any] = {name: number for name, number in numbers.items() if isinstance(number, int)}
    if code := getattr(error, "provider_code", ""):
        ids["provider_code"] = code
    return {"error": kind, **ids}


def _format_stack(error: BaseException) -> list[str]:
    """Where it was raised, without its message: drivers quote the values of a failed statement there."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def configure() -> None:
    """Send every logger through one JSON handler on standard output, as Lambda expects."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(settings.log_level)
    # Where a line was logged, by which thread and process: half of its cost, and no line shows it.
    logging._srcfile = None  # named so in logging's documentation
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for noisy in ("botocore", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
