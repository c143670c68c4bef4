"""The local gateway in a process of its own, as bin/dev runs it, to be killed and started again on the same port."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from devstack import processes
from tests import overheard

PATIENCE = 20.0  # seconds until it answers


class Gateway:
    """`sockets` is the one that holds the WebSockets, None for this one."""

    def __init__(self, log: Path, sockets: "Gateway | None" = None) -> None:
        self.port = processes.free_port()
        self.log = log
        settings = {
            "WS_ENDPOINT_URL": f"http://127.0.0.1:{(sockets or self).port}",
            "LOG_LEVEL": "WARNING",
            "POLL_SECONDS": "5",
            "REDIS_TIMEOUT": "3",  # a busy machine is no silent Redis: what is said then is in no feed
        }
        self.env = {**os.environ, **settings}

    def start(self) -> None:
        """Return when it answers. To be called in a thread that lives on: it dies with that thread."""
        command = [*processes.tied(), sys.executable, "-m", "devstack.server", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        until = monotonic() + PATIENCE
        while not self.answers():
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert monotonic() < until, "the gateway does not start"
            sleep(0.02)

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def restart(self) -> None:
        self.kill()
        self.start()

    def kill(self) -> None:
        """SIGKILL: in the middle of whatever it does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(log: Path, sockets: Gateway | None = None) -> Iterator[Gateway]:
    gateway = Gateway(log, sockets)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.kill()
        overheard.read(log)
