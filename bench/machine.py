"""The machine under a benchmark: its hardware and software, and how busy other processes keep it."""

import json
import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("chalice", "pydantic", "pymysql", "redis", "hiredis")
MAX_IDLE_LOAD = 0.1  # share of the machine; above it, a warning is printed
OBSERVATION_SECONDS = 1.0  # for which the load is observed before the benchmark
CLOCK_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Servers:
    """The processes of the database and the cache, if this run started them."""

    labels: str
    pids: list[int]

    def get_cpu_seconds(self) -> float:
        """Return the CPU seconds that they have used; 0 if the system does not report them."""
        return sum(_get_cpu_seconds(pid) for pid in self.pids)


def find_servers() -> Servers:
    """Return the servers of the running stack."""
    file = Path(os.environ.get("DEVSTACK_CONTROL", ""))
    known = json.loads(file.read_text()) if file.is_file() else {}
    services = [known[name] for name in ("mysql", "redis") if name in known]
    labels = [f"{one['label']} {_format_flags(one['argv'])}".strip() for one in services]
    return Servers(" · ".join(labels) or "external database and cache", [one["pid"] for one in services])


def get_busy_seconds() -> float:
    """Return the CPU seconds used on the machine since it started; 0 if the system does not report them."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, irq, softirq, steal = (int(word) for word in words)
    return (user + nice + system + irq + softirq + steal) * CLOCK_TICK_SECONDS


def describe(servers: Servers) -> str:
    """Describe the machine, the libraries, the servers and the load, with a warning if the machine is not idle."""
    busy_before, time_before = get_busy_seconds(), time.monotonic()
    time.sleep(OBSERVATION_SECONDS)
    others = (get_busy_seconds() - busy_before) / (time.monotonic() - time_before) / get_core_count()
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    lines = [
        f"{_get_processor_name()}, {get_core_count()} cores, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, {libraries}",
        servers.labels,
        f"load average {' '.join(f'{one:.2f}' for one in os.getloadavg())}, {others:.0%} of the machine in use",
    ]
    if others > MAX_IDLE_LOAD:
        lines.append("WARNING: the machine is not idle. Compare the ratios, not the times.")
    return "\n".join(lines)


def get_core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _get_cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * CLOCK_TICK_SECONDS


def _get_processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _format_flags(argv: list[str]) -> str:
    wanted = ("--innodb-flush-log-at-trx-commit=",)
    return " ".join(word.removeprefix("--") for word in argv if word.startswith(wanted))
