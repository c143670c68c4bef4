"""Processes that write and read through the HTTP endpoints: python -m tests.support.faults.load_worker PORT NAME...

One process for each name, forked after the app is imported. Each connects to PORT and sends its name. A line that it
receives is a LoadRun to start, or `stop`; a line that it sends is a record of what was acknowledged, read or rejected;
it sends `done` after a stop.
"""

import json
import logging
import os
import random
import socket
import sys
import traceback
from collections.abc import Callable
from itertools import count, cycle
from threading import Event, Lock, Thread, local
from time import monotonic
from typing import Any, TextIO

from chalicelib.adapters import redis
from chalicelib.errors import ApiError
from chalicelib.messaging import log
from tests.support import log_privacy
from tests.support.client import ApiResponse
from tests.support.factories import Person
from tests.support.faults.participant import Participant, extract_messages

RETRY_TIMEOUT_SECONDS = 60.0  # for which a write is repeated


class PublishFailureHandler(logging.Handler):
    """Records whether the current write of this thread could not be published to Redis."""

    def __init__(self) -> None:
        super().__init__()
        self.of = local()
        logger = logging.getLogger(log.__name__)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "message not published":
            self.of.this_write = True


class SlowRedis:
    """Delays some calls of Redis, so that other processes come in between."""

    def __init__(self) -> None:
        self.delay = 0.0  # seconds, at most
        self.random = random.Random(7)
        self.call = redis._call_driver
        vars(redis)["_call_driver"] = self.call_slowly

    def call_slowly(self, *arguments: Any) -> Any:
        if self.random.random() < 0.3:
            self.wait()
        return self.call(*arguments)

    def wait(self) -> None:
        if self.delay:
            Event().wait(self.random.uniform(0, self.delay))


class LoadRun:
    def __init__(self, job: dict[str, Any]) -> None:
        SLOW_REDIS.delay = job["delay"]
        people = [Person(**fields).with_token(token) for fields, token in job["people"]]
        sides = [Participant(no, people[me], people[doctor]) for no, me, doctor in job["sides"]]
        self.pause_seconds: float = job["pace"]
        self.withdraw_every: int = job["withdraw_every"]
        self.stopped = Event()
        self.threads = [
            Thread(target=self.run, args=(work, f"{WORKER_NAMES[0]}w{n}", sides[participant]))
            for work, given in ((self.send_repeatedly, job["writers"]), (self.read_repeatedly, job["readers"]))
            for n, participant in enumerate(given)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def run(self, work: Callable[[str, Participant], object], name: str, participant: Participant) -> None:
        try:
            work(name, participant)
        except BaseException:
            write_record({"what": "crash", "stack": traceback.format_exc()})

    def send_repeatedly(self, name: str, participant: Participant) -> None:
        for n in count():
            text = f"{name}/{n}"
            response = self.retry_until_acknowledged(lambda text=text: participant.send(text))
            if response is None:
                return
            report("send", participant, id=response.data["msg_id"], text=text, acked=monotonic(), heard=was_published())
            if self.withdraw_every and n % self.withdraw_every == 0:
                self.withdraw(participant, response.data["msg_id"], text)
            if self.stopped.wait(self.pause_seconds):
                return

    def withdraw(self, participant: Participant, id: str, text: str) -> None:
        """Withdraw as the sender, without an endpoint (document 000 has none), while the text is sent again."""
        again = Thread(target=self.run, args=(lambda *_: participant.send(text), "", participant))
        again.start()
        SLOW_REDIS.wait()
        try:
            PUBLISH_FAILURES.of.this_write = False
            log.withdraw(participant.me.tenant_id, participant.session_no, id, participant.me.principal)
            acked = monotonic()
        except ApiError:
            return
        finally:
            again.join()
        report("withdraw", participant, id=id, text=text, acked=acked, heard=was_published())

    def retry_until_acknowledged(self, send: Any) -> ApiResponse | None:
        """Repeat a send with the same key until it is acknowledged."""
        deadline = monotonic() + RETRY_TIMEOUT_SECONDS
        while monotonic() < deadline:
            PUBLISH_FAILURES.of.this_write = False
            response: ApiResponse = send()
            if response.status == 200:
                return response
            report_rejection(response)
            Event().wait(self.pause_seconds)
        write_record({"what": "given up"})
        return None

    def read_repeatedly(self, _: str, participant: Participant) -> None:
        for kind in cycle(["whole", "newest", "page", "list", "page", "newest", "older", "list"]):
            begun, response, older = monotonic(), ApiResponse(0, {}, {}), False
            if kind in ("whole", "page", "older"):
                response = participant.list_messages(100 if kind == "whole" else 20)
                if kind == "older" and response.status == 200 and response.data:
                    response, older = participant.list_messages(20, msg_id=response.data[-1]["msg_id"]), True
            elif kind == "newest":
                response = participant.get_newest()
            else:
                response = participant.list_sessions()
            if response.status == 200:
                report(
                    "read",
                    participant,
                    begun=begun,
                    ended=monotonic(),
                    page=extract_messages(response.data, participant),
                    older=older,
                )
            else:
                report_rejection(response)
            if self.stopped.wait(self.pause_seconds):
                return


def was_published() -> bool:
    return not PUBLISH_FAILURES.of.this_write


def report_rejection(response: ApiResponse) -> None:
    write_record({"what": "rejected", "status": response.status, "retry_after": response.headers.get("Retry-After")})


def report(what: str, participant: Participant, **more: Any) -> None:
    write_record({"what": what, "session": participant.session_no, **more})


def write_record(record: dict[str, Any]) -> None:
    with WRITE_LOCK:
        PARENT_CONNECTIONS[0].write(json.dumps(record) + "\n")
        PARENT_CONNECTIONS[0].flush()


def run_worker(port: int, name: str) -> None:
    run: LoadRun | None = None
    lines = socket.create_connection(("127.0.0.1", port)).makefile("rw")
    WORKER_NAMES.append(name)
    PARENT_CONNECTIONS.append(lines)
    write_record({"what": name})
    for line in lines:
        if line.strip() != "stop":
            run = LoadRun(json.loads(line))
        elif run:
            run.stop()
            write_record({"what": "done"})


def main() -> None:
    log_privacy.install_handler()
    for name in sys.argv[2:]:
        if not os.fork():
            try:
                run_worker(int(sys.argv[1]), name)
            finally:
                os._exit(0)  # the parent has ended or closed the connection
    for _ in sys.argv[2:]:
        os.wait()


WORKER_NAMES: list[str] = []
PARENT_CONNECTIONS: list[TextIO] = []
WRITE_LOCK, PUBLISH_FAILURES, SLOW_REDIS = Lock(), PublishFailureHandler(), SlowRedis()

if __name__ == "__main__":
    main()
