"""For tests of failure: kill a service as the kernel would, start it again on the same port and data.

control = devstack.control.attach()
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

from devstack import processes, service
from devstack.paths import write_whole
from devstack.readiness import READY
from devstack.say import Refusal
from devstack.service import Service


@dataclass(frozen=True)
class Handle:
    """One service of the running stack; what it is, is read anew from the file each time."""

    file: Path
    name: str

    @property
    def service(self) -> Service:
        return load(self.file)[self.name]

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        processes.end(self.service.pid, self.service.born, first=signal.SIGKILL)
        processes.reap(self.service.pid)

    def start(self, empty: bool = False) -> None:
        """Starts it again and waits until it answers; empty: without its data, as a replaced cache node would be."""
        again = self.service
        if processes.birth(again.pid) == again.born:
            raise Refusal(f"{again.label} is running: kill it first")
        if empty:
            shutil.rmtree(again.folder)
            Path(again.folder).mkdir()
        service.start(again)
        save(self.file, {**load(self.file), self.name: again})
        service.await_ready(again, READY[self.name])


@dataclass(frozen=True)
class Control:
    mysql: Handle
    redis: Handle
    s3: Handle


def attach() -> Control:
    """The stack that bin/test started for this process."""
    file = os.environ.get("DEVSTACK_CONTROL")
    if not file:
        raise Refusal("DEVSTACK_CONTROL is not set: run the tests by bin/test")
    return Control(*(Handle(Path(file), name) for name in ("mysql", "redis", "s3")))


def save(file: Path, services: dict[str, Service]) -> None:
    write_whole(file, json.dumps({name: asdict(one) for name, one in services.items()}, indent=1))


def load(file: Path) -> dict[str, Service]:
    return {name: Service(**fields) for name, fields in json.loads(file.read_text()).items()}
