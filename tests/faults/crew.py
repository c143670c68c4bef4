"""Eight processes that write and read while a test breaks things, and what they say of it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from threading import Condition, Thread
from typing import Any, TextIO
from urllib.parse import urlsplit

from tests.consult import chat
from tests.faults.aftermath import stored
from tests.faults.checker import Read, Write, complaints
from tests.faults.proxy import Proxy
from tests.faults.sides import Side
from tests.people import Hospital

Record = dict[str, Any]
DEADLINE = 60.0  # seconds for whatever a test waits for
NAMES = [f"p{n}" for n in range(8)]  # the latter half is far from Redis


@dataclass
class Crew:
    """Half of them (`far`) reach Redis over `to_redis`; all of them reach MySQL over `to_mysql`."""

    to_redis: Proxy
    to_mysql: Proxy
    lines: dict[str, TextIO] = field(default_factory=dict)  # by process
    records: list[Record] = field(default_factory=list)
    sides: list[Side] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)

    def count(self, what: str) -> int:
        return sum(record["what"] == what for record in self.records)

    def after(self, number: int, what: str = "send") -> None:
        """Wait until so many more have been acknowledged."""
        with self.changed:
            goal = self.count(what) + number
            assert self.changed.wait_for(lambda: self.count(what) >= goal, DEADLINE), f"no {what} in {DEADLINE} s"

    @contextmanager
    def storm(
        self, hospital: Hospital, pace: float = 0.01, withdraw_every: int = 0, delay: float = 0.0
    ) -> Iterator["Crew"]:
        """Eight writers and eight readers, over three conversations, on both sides."""
        self.records.clear()
        people = [hospital.lin, hospital.wang, hospital.chen, hospital.zhou]
        sessions = [(chat.opened(people[me], people[doctor]), me, doctor) for me, doctor in ((0, 2), (1, 2), (0, 3))]
        sides = [(no, who, doctor) for no, me, doctor in sessions for who in (me, doctor)]
        self.sides = [Side(no, people[who], people[doctor]) for no, who, doctor in sides]
        job = {"people": [asdict(one) for one in people], "sides": sides, "pace": pace, "delay": delay}
        for n, name in enumerate(NAMES):
            mine = [(2 * n + i) % len(sides) for i in range(2)]
            writing, reading = (mine, []) if n % 2 else ([], mine)
            self.tell(name, {**job, "withdraw_every": withdraw_every, "writers": writing, "readers": reading})
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        with self.changed:
            goal = self.count("done") + len(NAMES)
            for name in NAMES:
                self.tell(name, "stop")
            assert self.changed.wait_for(lambda: self.count("done") >= goal, DEADLINE), "the crew does not stop"

    def tell(self, name: str, what: dict[str, Any] | str) -> None:
        self.lines[name].write((what if isinstance(what, str) else json.dumps(what)) + "\n")
        self.lines[name].flush()

    def complaints(self) -> list[str]:
        """What is wrong with all that was acknowledged and shown; [] if all is well."""
        writes = [
            Write(r["what"], r["session"], r["id"], r["text"], r["acked"], r["heard"])
            for r in self.records
            if r["what"] in ("send", "withdraw")
        ]
        reads = [
            Read(r["process"], r["session"], r["begun"], r["ended"], tuple(map(tuple, r["page"])), r["older"])
            for r in self.records
            if r["what"] == "read"
        ]
        assert writes
        assert reads
        sessions = {write.session for write in writes}
        wrong = [f"refused: {r}" for r in self.records if r["what"] == "refused" and not polite(r)]
        wrong += [str(r) for r in self.records if r["what"] in ("crash", "given up")]
        return wrong + complaints({session: stored(session) for session in sessions}, writes, reads)


def polite(refused: Record) -> bool:
    return refused["status"] == 503 and int(refused["retry_after"] or 0) > 0


@contextmanager
def at_work() -> Iterator[Crew]:
    """Eight processes, started and waiting."""
    redis, mysql = (Proxy(urlsplit(os.environ[name]).port or 0) for name in ("REDIS_URL", "DATABASE_URL"))
    with ExitStack() as stack:
        crew = Crew(stack.enter_context(redis), stack.enter_context(mysql))
        door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        door.settimeout(DEADLINE)
        for names, far in ((NAMES[:4], False), (NAMES[4:], True)):
            stack.callback(end, start(crew, door.getsockname()[1], names, far))
        for _ in NAMES:
            line = stack.enter_context(door.accept()[0])
            listener = Thread(target=listen, args=(crew, line))
            listener.start()
            stack.callback(listener.join)
            stack.callback(line.shutdown, socket.SHUT_RDWR)
        with crew.changed:
            assert crew.changed.wait_for(lambda: len(crew.lines) == len(NAMES), DEADLINE)
        yield crew


def start(crew: Crew, port: int, names: list[str], far: bool) -> "subprocess.Popen[bytes]":
    env = {**os.environ, "LOG_LEVEL": "ERROR", "REDIS_TIMEOUT": "0.3"}  # as in production: they are to give up
    env["DATABASE_URL"] = through(os.environ["DATABASE_URL"], crew.to_mysql)
    if far:
        env["REDIS_URL"] = through(os.environ["REDIS_URL"], crew.to_redis)
    return subprocess.Popen([sys.executable, "-m", "tests.faults.worker", str(port), *names], env=env)


def through(url: str, line: Proxy) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{line.port}")).geturl()


def listen(crew: Crew, connection: socket.socket) -> None:
    with connection.makefile("rw") as lines:
        name = json.loads(lines.readline())["what"]
        with crew.changed:
            crew.lines[name] = lines
            crew.changed.notify_all()
        for line in lines:
            with crew.changed:
                crew.records.append({**json.loads(line), "process": name})
                crew.changed.notify_all()


def end(mother: "subprocess.Popen[bytes]") -> None:
    """Her children end by themselves when their line does."""
    mother.kill()
    mother.wait()
