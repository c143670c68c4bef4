"""Run jobs that SIGKILL ends at a chosen function: python -m tests.support.faults.killed_process

Each line of standard input is a job, which a fork of this process runs; its wait status is written to standard output.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from pymysql.connections import Connection

from chalicelib.adapters import mysql
from chalicelib.messaging import log, read_positions, reading, recent_cache, store
from chalicelib.messaging.models import ConversationKind, NewMessage
from tests.support import log_privacy

# The process is killed on entering this function for the n-th time.
KILL_POINTS: dict[str, tuple[Any, str, int]] = {
    "before the write intent": (recent_cache, "add_write_intent", 1),
    "before the transaction": (mysql, "_run_with_retries", 1),
    "before commit returns": (Connection, "_read_packet", 1),
    "between two statements": (mysql.Tx, "execute", 2),
    "between commit and Redis": (log, "_publish", 1),
    "between MySQL and the refill": (recent_cache, "build_refill_call", 1),
    "between MySQL and the participant state": (recent_cache, "build_set_participant_call", 1),
}


def send(job: dict[str, Any]) -> None:
    new_message = NewMessage(job["text"], "t", job["key"])
    log.append(job["tenant_id"], ConversationKind.DIRECT, job["conversation"], job["principal"], new_message)


def withdraw(job: dict[str, Any]) -> None:
    log.withdraw(job["tenant_id"], job["conversation"], job["id"], job["principal"])


def read(job: dict[str, Any]) -> None:
    page, _ = reading.fetch_newest_page(job["conversation"], job["principal"], 100)
    read_positions.mark_read(job["conversation"], page)


def hide(job: dict[str, Any]) -> None:
    reading.hide(job["conversation"], job["principal"])


JOBS: dict[str, Callable[[dict[str, Any]], None]] = {"send": send, "withdraw": withdraw, "read": read, "hide": hide}


def kill_at(point: str) -> None:
    owner, name, number = KILL_POINTS[point]
    real, calls = getattr(owner, name), count(1)

    def kill_or_call(*arguments: Any, **named: Any) -> Any:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)

    setattr(owner, name, kill_or_call)


def main() -> None:
    assert store  # imported before any fork
    log_privacy.install_handler()
    for line in sys.stdin:
        job = json.loads(line)
        if not os.fork():
            mysql.autocommit.fetch_value("SELECT 1")  # so that the next result is that of the job
            kill_at(job["point"])
            JOBS[job["work"]](job)
            os._exit(0)
        _, status = os.wait()
        os.write(sys.stdout.fileno(), f"{status}\n".encode())


if __name__ == "__main__":
    main()
