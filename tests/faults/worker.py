"""Processes that write and read through the whole handler: python -m tests.faults.worker PORT NAME...

One for each name, forked when the app is imported. Each connects to PORT and says its name. A line from there is a
Storm to begin, or `stop`; a line to there is something that was acknowledged, shown or refused; `done` follows a stop.
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
from tests import overheard
from tests.faults.sides import Side, page_of
from tests.people import Person
from tests.wire import Answer

PATIENCE = 60.0  # seconds that a write is repeated for


class Unheard(logging.Handler):
    """Knows whether the write that this thread is about could not be told to Redis."""

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


class SlowLine:
    """Now and then it takes a while until Redis hears us, so that others come in between."""

    def __init__(self) -> None:
        self.delay = 0.0  # seconds, at most
        self.chance = random.Random(7)
        self.call = redis._call_driver
        vars(redis)["_call"] = self.slowly

    def slowly(self, *arguments: Any) -> Any:
        if self.chance.random() < 0.3:
            self.wait()
        return self.call(*arguments)

    def wait(self) -> None:
        if self.delay:
            Event().wait(self.chance.uniform(0, self.delay))


class Storm:
    def __init__(self, job: dict[str, Any]) -> None:
        LINE.delay = job["delay"]
        people = [Person(**fields) for fields in job["people"]]
        sides = [Side(no, people[me], people[doctor]) for no, me, doctor in job["sides"]]
        self.pace: float = job["pace"]
        self.withdraw_every: int = job["withdraw_every"]
        self.over = Event()
        self.threads = [
            Thread(target=self.run, args=(work, f"{NAMES[0]}w{n}", sides[side]))
            for work, given in ((self.write, job["writers"]), (self.read, job["readers"]))
            for n, side in enumerate(given)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def run(self, work: Callable[[str, Side], object], name: str, side: Side) -> None:
        try:
            work(name, side)
        except BaseException:
            tell({"what": "crash", "stack": traceback.format_exc()})

    def write(self, name: str, side: Side) -> None:
        for n in count():
            text = f"{name}/{n}"
            answer = self.acknowledged(lambda text=text: side.send(text))
            if answer is None:
                return
            said("send", side, id=answer.data["msg_id"], text=text, acked=monotonic(), heard=heard())
            if self.withdraw_every and n % self.withdraw_every == 0:
                self.withdraw(side, answer.data["msg_id"], text)
            if self.over.wait(self.pace):
                return

    def withdraw(self, side: Side, id: str, text: str) -> None:
        """As the sender; there is no endpoint for it in document 000. At the same time the text is sent again."""
        again = Thread(target=self.run, args=(lambda *_: side.send(text), "", side))
        again.start()
        LINE.wait()
        try:
            UNHEARD.of.this_write = False
            log.withdraw(side.me.tenant_id, side.session_no, id, side.me.principal)
            acked = monotonic()
        except ApiError:
            return
        finally:
            again.join()
        said("withdraw", side, id=id, text=text, acked=acked, heard=heard())

    def acknowledged(self, send: Any) -> Answer | None:
        """Repeat it, with the same key, until it is acknowledged."""
        deadline = monotonic() + PATIENCE
        while monotonic() < deadline:
            UNHEARD.of.this_write = False
            answer: Answer = send()
            if answer.status == 200:
                return answer
            refused(answer)
            Event().wait(self.pace)
        tell({"what": "given up"})
        return None

    def read(self, _: str, side: Side) -> None:
        for kind in cycle(["whole", "newest", "page", "list", "page", "newest", "older", "list"]):
            begun, answer, older = monotonic(), Answer(0, {}, {}), False
            if kind in ("whole", "page", "older"):
                answer = side.page(100 if kind == "whole" else 20)
                if kind == "older" and answer.status == 200 and answer.data:
                    answer, older = side.page(20, msg_id=answer.data[-1]["msg_id"]), True
            elif kind == "newest":
                answer = side.newest()
            else:
                answer = side.listed()
            if answer.status == 200:
                said("read", side, begun=begun, ended=monotonic(), page=page_of(answer.data, side), older=older)
            else:
                refused(answer)
            if self.over.wait(self.pace):
                return


def heard() -> bool:
    return not UNHEARD.of.this_write


def refused(answer: Answer) -> None:
    tell({"what": "refused", "status": answer.status, "retry_after": answer.headers.get("Retry-After")})


def said(what: str, side: Side, **more: Any) -> None:
    tell({"what": what, "session": side.session_no, **more})


def tell(record: dict[str, Any]) -> None:
    with TURN:
        LINES[0].write(json.dumps(record) + "\n")
        LINES[0].flush()


def work(port: int, name: str) -> None:
    storm: Storm | None = None
    lines = socket.create_connection(("127.0.0.1", port)).makefile("rw")
    NAMES.append(name)
    LINES.append(lines)
    tell({"what": name})
    for line in lines:
        if line.strip() != "stop":
            storm = Storm(json.loads(line))
        elif storm:
            storm.stop()
            tell({"what": "done"})


def main() -> None:
    overheard.listen()
    for name in sys.argv[2:]:
        if not os.fork():
            try:
                work(int(sys.argv[1]), name)
            finally:
                os._exit(0)  # whoever started us is gone, or wants no more
    for _ in sys.argv[2:]:
        os.wait()


NAMES: list[str] = []
LINES: list[TextIO] = []
TURN, UNHEARD, LINE = Lock(), Unheard(), SlowLine()

if __name__ == "__main__":
    main()
