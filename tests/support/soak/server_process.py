"""The local server in its own process, as bin/dev runs it, which a test kills and restarts on the same port."""

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

START_TIMEOUT_SECONDS = 60.0  # on a busy machine


class ServerProcess:
    """`sockets` is the server that holds the WebSockets, None for this one."""

    def __init__(self, log: Path, sockets: "ServerProcess | None" = None) -> None:
        self.port = processes.find_free_port()
        self.log = log
        settings = {
            "WS_ENDPOINT_URL": f"http://127.0.0.1:{(sockets or self).port}",
            "LOG_LEVEL": "WARNING",
            "POLL_SECONDS": "5",
            "REDIS_TIMEOUT": "3",  # on a busy machine a short timeout would leave messages out of feeds
        }
        self.env = {**os.environ, **settings}

    def start(self) -> None:
        """Start it and wait until it accepts connections. It is killed when the calling thread ends."""
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
            assert monotonic() < until, "the server does not start"
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
        """Kill it with SIGKILL."""
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
