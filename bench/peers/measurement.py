"""What is measured in one slice: the load, and the CPU time of every process group that takes part in it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from bench import machine
from bench.peers import load
from bench.peers.load import Slice
from bench.peers.systems import System


@dataclass(frozen=True)
class Case:
    """What the clients do.

    Attributes:
        clients: the key of System.clients.
        pause: seconds between the end of a request and the next one.
        measures_arrival: the times are those until the arrival at the receiver, not until the response.
    """

    clients: str
    pause: float = 0.0
    measures_arrival: bool = False


CASES = {
    "send": Case("send"),
    "send, online": Case("deliver"),
    "newest 20": Case("newest 20"),
    "deliver": Case("deliver", pause=0.004, measures_arrival=True),
}


@dataclass(frozen=True)
class Databases:
    """The process groups of the databases."""

    mysql: int
    redis: int


@dataclass(frozen=True)
class Figures:
    """The figures of one slice. Times are in ms, CPU times in µs per request."""

    rate: float  # requests per second
    p50: float
    p99: float
    response_p50: float
    app_cpu: float  # of our app or the peer
    mysql_cpu: float
    redis_cpu: float
    load_cpu: float  # of the load generator
    others: float  # share of the machine used by other processes

    @property
    def server_cpu(self) -> float:
        """CPU time of app or peer and databases together."""
        return self.app_cpu + self.mysql_cpu + self.redis_cpu


@dataclass
class Row:
    """All slices of one case, number of clients and system."""

    slices: list[Figures] = field(default_factory=list)

    def get_median(self, get: Callable[[Figures], float]) -> float:
        """Return the median of a figure over the slices."""
        return median(get(one) for one in self.slices)


def measure(system: System, case: Case, clients: int, seconds: float, databases: Databases) -> Figures:
    """Run a case for `seconds` and return its figures."""
    groups = {"app": system.groups, "mysql": [databases.mysql], "redis": [databases.redis]}
    cpu_before, busy, started = get_cpu_seconds(groups), machine.get_busy_seconds(), time.monotonic()
    done = load.run(system.clients[case.clients][:clients], seconds, case.pause)
    elapsed, cpu_after = time.monotonic() - started, get_cpu_seconds(groups)
    cpu = {name: cpu_after[name] - cpu_before[name] for name in groups}
    others = machine.get_busy_seconds() - busy - sum(cpu.values()) - done.cpu_seconds
    return build_figures(case, done, cpu, others / elapsed / machine.get_core_count())


def build_figures(case: Case, done: Slice, cpu: dict[str, float], others: float) -> Figures:
    """Compute the figures of a slice.

    Args:
        cpu: seconds of CPU time of "app", "mysql" and "redis".
    """
    count, times = len(done.responses), done.deliveries if case.measures_arrival else done.responses
    return Figures(
        rate=count / done.seconds,
        p50=get_percentile_ms(times, 50),
        p99=get_percentile_ms(times, 99),
        response_p50=get_percentile_ms(done.responses, 50),
        app_cpu=cpu["app"] / count * 1e6,
        mysql_cpu=cpu["mysql"] / count * 1e6,
        redis_cpu=cpu["redis"] / count * 1e6,
        load_cpu=done.cpu_seconds / count * 1e6,
        others=others,
    )


def get_percentile_ms(times: Sequence[float], percent: int) -> float:
    """Return a percentile of times in seconds, in milliseconds."""
    if len(times) < 2:
        return sum(times) * 1000
    return quantiles(times, n=100, method="inclusive")[percent - 1] * 1000


def get_cpu_seconds(groups: dict[str, list[int]]) -> dict[str, float]:
    """Return the CPU seconds that the process groups have used since they started, and their ended children."""
    names = {group: name for name, ids in groups.items() for group in ids}
    found = dict.fromkeys(groups, 0.0)
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if name := names.get(int(fields[2])):
            found[name] += sum(int(one) for one in fields[11:15]) * machine.CLOCK_TICK_SECONDS
    return found
