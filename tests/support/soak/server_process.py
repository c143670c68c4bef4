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

from devstack.services import processes
from tests.support import log_privacy

START_TIMEOUT_SECONDS = 20.0  # seconds until it answers


class ServerProcess:
    """`sockets` is the one that holds the WebSockets, None for this one."""

    def __init__(self, log: Path, sockets: "ServerProcess | None" = None) -> None:
        self.port = processes.find_free_port()
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
        command = [
            *processes.build_parent_death_prefix(),
            sys.executable,
            "-m",
            "devstack.apigateway.server",
            "--port",
            str(self.port),
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        until = monotonic() + START_TIMEOUT_SECONDS
        while not self.is_listening():
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert monotonic() < until, "the gateway does not start"
            sleep(0.02)

    def is_listening(self) -> bool:
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
def run_server(log: Path, sockets: ServerProcess | None = None) -> Iterator[ServerProcess]:
    gateway = ServerProcess(log, sockets)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.kill()
        log_privacy.check_log_file(log)
