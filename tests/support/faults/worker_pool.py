"""Eight processes that write and read while a test injects faults, and the records that they send."""

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

from tests.support import consult_client
from tests.support.factories import Hospital
from tests.support.faults.final_state import list_stored
from tests.support.faults.history_checker import AcknowledgedWrite, ObservedRead, find_problems
from tests.support.faults.participant import Participant
from tests.support.faults.tcp_proxy import Proxy

Record = dict[str, Any]
TIMEOUT_SECONDS = 60.0  # of each wait
WORKER_NAMES = [f"p{n}" for n in range(8)]  # the second half reaches Redis through a proxy


@dataclass
class WorkerPool:
    """Half of them reach Redis through `to_redis`; all of them reach MySQL through `to_mysql`."""

    to_redis: Proxy
    to_mysql: Proxy
    connections: dict[str, TextIO] = field(default_factory=dict)  # by process
    records: list[Record] = field(default_factory=list)
    participants: list[Participant] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)

    def count_records(self, what: str) -> int:
        return sum(record["what"] == what for record in self.records)

    def wait_for_more(self, number: int, what: str = "send") -> None:
        """Wait until so many more records have arrived."""
        with self.changed:
            goal = self.count_records(what) + number
            assert self.changed.wait_for(lambda: self.count_records(what) >= goal, TIMEOUT_SECONDS), (
                f"no {what} in {TIMEOUT_SECONDS} s"
            )

    @contextmanager
    def run_load(
        self, hospital: Hospital, pace: float = 0.01, withdraw_every: int = 0, delay: float = 0.0
    ) -> Iterator["WorkerPool"]:
        """Run eight writers and eight readers, in three conversations, on both sides.

        Each conversation has a message before: the list entry of an empty one has an id that names no message.
        """
        self.records.clear()
        people = [hospital.lin, hospital.wang, hospital.chen, hospital.zhou]
        sessions = [
            (consult_client.create_session(people[me], people[doctor]), me, doctor)
            for me, doctor in ((0, 2), (1, 2), (0, 3))
        ]
        for no, me, doctor in sessions:
            assert consult_client.send_as_patient(people[me], people[doctor], "before/0", session_no=no).status == 200
        sides = [(no, who, doctor) for no, me, doctor in sessions for who in (me, doctor)]
        self.participants = [Participant(no, people[who], people[doctor]) for no, who, doctor in sides]
        job = {"people": [(asdict(one), one.token) for one in people], "sides": sides, "pace": pace, "delay": delay}
        for n, name in enumerate(WORKER_NAMES):
            mine = [(2 * n + i) % len(sides) for i in range(2)]
            writing, reading = (mine, []) if n % 2 else ([], mine)
            self.send_command(name, {**job, "withdraw_every": withdraw_every, "writers": writing, "readers": reading})
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        with self.changed:
            goal = self.count_records("done") + len(WORKER_NAMES)
            for name in WORKER_NAMES:
                self.send_command(name, "stop")
            assert self.changed.wait_for(lambda: self.count_records("done") >= goal, TIMEOUT_SECONDS), (
                "the workers do not stop"
            )

    def send_command(self, name: str, what: dict[str, Any] | str) -> None:
        self.connections[name].write((what if isinstance(what, str) else json.dumps(what)) + "\n")
        self.connections[name].flush()

    def find_problems(self) -> list[str]:
        """Return what is wrong with the acknowledged writes and the observed reads."""
        writes = [
            AcknowledgedWrite(r["what"], r["session"], r["id"], r["text"], r["acked"], r["heard"])
            for r in self.records
            if r["what"] in ("send", "withdraw")
        ]
        reads = [
            ObservedRead(r["process"], r["session"], r["begun"], r["ended"], tuple(map(tuple, r["page"])), r["older"])
            for r in self.records
            if r["what"] == "read"
        ]
        assert writes
        assert reads
        sessions = {write.session for write in writes}
        problems = [f"rejected: {r}" for r in self.records if r["what"] == "rejected" and not is_retryable(r)]
        problems += [str(r) for r in self.records if r["what"] in ("crash", "given up")]
        return problems + find_problems({session: list_stored(session) for session in sessions}, writes, reads)


def is_retryable(rejection: Record) -> bool:
    return rejection["status"] == 503 and int(rejection["retry_after"] or 0) > 0


@contextmanager
def run_workers() -> Iterator[WorkerPool]:
    """Start eight processes, which wait for load to run."""
    redis, mysql = (Proxy(urlsplit(os.environ[name]).port or 0) for name in ("REDIS_URL", "DATABASE_URL"))
    with ExitStack() as stack:
        pool = WorkerPool(stack.enter_context(redis), stack.enter_context(mysql))
        listener_socket = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener_socket.settimeout(TIMEOUT_SECONDS)
        for names, via_proxy in ((WORKER_NAMES[:4], False), (WORKER_NAMES[4:], True)):
            stack.callback(kill_process, start_workers(pool, listener_socket.getsockname()[1], names, via_proxy))
        for _ in WORKER_NAMES:
            line = stack.enter_context(listener_socket.accept()[0])
            listener = Thread(target=receive_records, args=(pool, line))
            listener.start()
            stack.callback(listener.join)
            stack.callback(line.shutdown, socket.SHUT_RDWR)
        with pool.changed:
            assert pool.changed.wait_for(lambda: len(pool.connections) == len(WORKER_NAMES), TIMEOUT_SECONDS)
        yield pool


def start_workers(pool: WorkerPool, port: int, names: list[str], via_proxy: bool) -> "subprocess.Popen[bytes]":
    env = {**os.environ, "LOG_LEVEL": "ERROR", "REDIS_TIMEOUT": "0.3"}  # short, as in production
    env["DATABASE_URL"] = route_through(os.environ["DATABASE_URL"], pool.to_mysql)
    if via_proxy:
        env["REDIS_URL"] = route_through(os.environ["REDIS_URL"], pool.to_redis)
    return subprocess.Popen([sys.executable, "-m", "tests.support.faults.load_worker", str(port), *names], env=env)


def route_through(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()


def receive_records(pool: WorkerPool, connection: socket.socket) -> None:
    with connection.makefile("rw") as lines:
        name = json.loads(lines.readline())["what"]
        with pool.changed:
            pool.connections[name] = lines
            pool.changed.notify_all()
        for line in lines:
            with pool.changed:
                pool.records.append({**json.loads(line), "process": name})
                pool.changed.notify_all()


def kill_process(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process. Its children end when their connection does."""
    process.kill()
    process.wait()
