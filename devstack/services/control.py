"""For tests of failure: kill a service as the kernel would, start it again on the same port and data.

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
    """One service of the running stack; what it is, is read anew from the file each time."""

    file: Path
    name: str

    @property
    def service(self) -> Service:
        return load_services(self.file)[self.name]

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        processes.end(self.service.pid, self.service.start_time, first=signal.SIGKILL)
        processes.reap(self.service.pid)

    def start(self, empty: bool = False) -> None:
        """Starts it again and waits until it answers; empty: without its data, as a replaced cache node would be."""
        again = self.service
        if processes.get_start_time(again.pid) == again.start_time:
            raise CommandError(f"{again.label} is running: kill it first")
        if empty:
            shutil.rmtree(again.folder)
            Path(again.folder).mkdir()
        service.start(again)
        save_services(self.file, {**load_services(self.file), self.name: again})
        service.await_ready(again, READINESS_CHECKS[self.name])


@dataclass(frozen=True)
class Control:
    mysql: ServiceHandle
    redis: ServiceHandle
    s3: ServiceHandle


def attach() -> Control:
    """The stack that bin/test started for this process."""
    file = os.environ.get("DEVSTACK_CONTROL")
    if not file:
        raise CommandError("DEVSTACK_CONTROL is not set: run the tests by bin/test")
    return Control(*(ServiceHandle(Path(file), name) for name in ("mysql", "redis", "s3")))


def save_services(file: Path, services: dict[str, Service]) -> None:
    write_atomically(file, json.dumps({name: asdict(one) for name, one in services.items()}, indent=1))


def load_services(file: Path) -> dict[str, Service]:
    return {name: Service(**fields) for name, fields in json.loads(file.read_text()).items()}
