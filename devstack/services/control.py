"""Kill the services of the running stack and start them stopped with the same port and data, for tests of failures.

control = devstack.services.control.attach()
control.mysql.kill()
control.mysql.start()
control.redis.start(empty=True)
"""

import json
import os
import shutil
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from devstack.console import CommandError
from devstack.paths import write_atomically
from devstack.services import processes, service
from devstack.services.readiness import READINESS_CHECKS
from devstack.services.service import Service


@dataclass(frozen=True)
class ServiceHandle:
    """A service of the running stack. Its state is read from the control file on each use."""

    file: Path
    name: str

    @property
    def service(self) -> Service:
        """The current state of the service."""
        return load_services(self.file)[self.name]

    def kill(self) -> None:
        """Send SIGKILL and wait until the process has ended."""
        processes.end(self.service.pid, self.service.start_time, first=signal.SIGKILL)
        processes.reap(self.service.pid)

    def start(self, empty: bool = False) -> None:
        """Start the service again and wait until it is ready.

        Args:
            empty: delete its data before, as if a cache node was replaced.

        Raises:
            CommandError: the service is running.
        """
        stopped = self.service
        if processes.get_start_time(stopped.pid) == stopped.start_time:
            raise CommandError(f"{stopped.label} is running: kill it first")
        if empty:
            shutil.rmtree(stopped.folder)
            Path(stopped.folder).mkdir()
        service.start(stopped)
        save_services(self.file, {**load_services(self.file), self.name: stopped})
        service.await_ready(stopped, READINESS_CHECKS[self.name])


@dataclass(frozen=True)
class Control:
    """The services of the running stack."""

    mysql: ServiceHandle
    redis: ServiceHandle
    s3: ServiceHandle


def attach() -> Control:
    """Return the stack that bin/test started for this process; raise CommandError if there is none."""
    file = os.environ.get("DEVSTACK_CONTROL")
    if not file:
        raise CommandError("DEVSTACK_CONTROL is not set: run the tests by bin/test")
    return Control(*(ServiceHandle(Path(file), name) for name in ("mysql", "redis", "s3")))


def save_services(file: Path, services: dict[str, Service]) -> None:
    """Write the control file."""
    write_atomically(file, json.dumps({name: asdict(one) for name, one in services.items()}, indent=1))


def load_services(file: Path) -> dict[str, Service]:
    """Read the control file."""
    return {name: Service(**fields) for name, fields in json.loads(file.read_text()).items()}
