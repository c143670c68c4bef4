"""bin/bench chat: sending and reading messages through the whole handler, compared with the floor."""

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from bench import latency, machine
from bench.chat_cases import Case, build_cases
from bench.chat_worker import Worker
from bench.console import print_line
from bench.machine import Servers
from bench.process_pool import Measurement, ProcessPool
from chalicelib import migrations

SLICE_COUNT = 8  # of the handler and of the floor, alternating, so that both see the same machine load


@dataclass
class LoadMeasurement(Measurement):
    """A measurement with the CPU time of the servers and of other processes."""

    wall_seconds: float = 0.0
    server_cpu_seconds: float = 0.0  # of MySQL and Redis
    other_cpu_seconds: float = 0.0  # of processes that do not belong to this benchmark

    @property
    def cpu_microseconds(self) -> float:
        """CPU time of the calling process per request, in microseconds."""
        return sum(part.cpu for part in self.slices) / len(self.durations) * 1e6

    @property
    def server_cpu_microseconds(self) -> float:
        """CPU time of MySQL and Redis per request, in microseconds."""
        return self.server_cpu_seconds / len(self.durations) * 1e6


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if MySQL has fewer messages than were acknowledged."""
    options = _parse_arguments(arguments)
    cases = [case for case in build_cases(options.sessions) if options.only in case.name]
    servers = machine.find_servers()
    print_line(machine.describe(servers))
    _run_in_process(migrations.migrate)
    with latency.add_latency(options.latency) if options.latency else nullcontext("") as description:
        print_line(description)
        return _run_cases(cases, servers, options)


def _run_cases(cases: list[Case], servers: Servers, options: argparse.Namespace) -> int:
    pool = ProcessPool(max(options.processes), lambda number: Worker(number, options.sessions, cases))
    [shared] = pool.call(1, Worker.get_participants)
    pool.call(max(options.processes), Worker.share_participants, shared)
    print_line(TABLE_HEADER)
    for case in cases:
        trips = pool.call_each(Worker.prepare, case.name)  # one at a time: some cases share a conversation
        print_line(f"{case.name}: {trips[-1]}")
        for processes in options.processes:
            handler, floor = _measure(pool, case, processes, options.seconds, servers)
            print_line(_format_line(case, processes, handler, floor, options.latency))
    stored = [sum(counts) for counts in zip(*pool.call(max(options.processes), Worker.count_stored), strict=True)]
    print_line(f"\n{stored[0]} messages are stored of {stored[1]} acknowledged.")
    pool.stop()
    return 0 if stored[0] >= stored[1] else 1


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench chat", description=__doc__)
    parser.add_argument(
        "--processes", type=int, nargs="+", metavar="N", help="default: 1 8 32, and 1 with added latency"
    )
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS", help="milliseconds added to round trips")
    parser.add_argument("--seconds", type=float, default=4, help="of each figure, and of its floor")
    parser.add_argument("--sessions", type=int, default=80, help="of the doctor of each process")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose names contain TEXT")
    parser.add_argument("--grow", action="store_true", help="measure the same requests while the table grows instead")
    options = parser.parse_args(arguments)
    options.processes = options.processes or ([1] if options.latency else [1, 8, 32])
    return options


def _run_in_process(work: Callable[[], Any]) -> None:
    process = get_context("fork").Process(target=work)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def _measure(
    pool: ProcessPool, case: Case, processes: int, seconds: float, servers: Servers
) -> tuple[LoadMeasurement, LoadMeasurement]:
    handler, floor = LoadMeasurement(), LoadMeasurement()
    pool.call(processes, Worker.run, case.name, False, 0.0, min(seconds, 0.5))
    for turn in range(SLICE_COUNT):
        for measured in (handler, floor) if turn % 2 else (floor, handler):
            servers_before, busy, started = servers.get_cpu_seconds(), machine.get_busy_seconds(), time.monotonic()
            slices = pool.call(
                processes, Worker.run, case.name, measured is floor, started + 0.01, seconds / SLICE_COUNT
            )
            server_cpu = servers.get_cpu_seconds() - servers_before
            measured.slices += slices
            measured.server_cpu_seconds += server_cpu
            measured.wall_seconds += time.monotonic() - started
            own_cpu = server_cpu + sum(one.cpu for one in slices)
            measured.other_cpu_seconds += machine.get_busy_seconds() - busy - own_cpu
    return handler, floor


TABLE_HEADER = f"""\
Each row with its round trips: M is a packet to MySQL, R3 three commands to Redis.
{"":>9}|{"handler":^51}|{"floor":^24}|{"ratio":>7}|{"others":>7}
{"processes":>9}|{"req/s":>7}{"p50 ms":>8}{"p99 ms":>8}{"CPU µs":>8}{"servers µs":>11}{"sum µs":>8} |\
{"req/s":>7}{"p50 ms":>8}{"CPU µs":>8} |{"p50s":>7}|{"CPU":>7}"""


def _format_line(
    case: Case, processes: int, handler: LoadMeasurement, floor: LoadMeasurement, added_latency: float
) -> str:
    p50, floor_p50 = handler.get_percentile_ms(50), floor.get_percentile_ms(50)
    rate, ratio = handler.get_rate(processes), p50 / floor_p50
    cpu = handler.cpu_microseconds + handler.server_cpu_microseconds
    others = (
        (handler.other_cpu_seconds + floor.other_cpu_seconds)
        / (handler.wall_seconds + floor.wall_seconds)
        / machine.get_core_count()
    )
    line = (
        f"{processes:>9}|{rate:>7.0f}{p50:>8.2f}{handler.get_percentile_ms(99):>8.2f}{handler.cpu_microseconds:>8.0f}"
        f"{handler.server_cpu_microseconds:>11.0f}{cpu:>8.0f} |"
        f"{floor.get_rate(processes):>7.0f}{floor_p50:>8.2f}{floor.cpu_microseconds:>8.0f} "
        f"|{ratio:>7.2f}|{others:>7.0%}"
    )
    rejected = f"  {handler.failures} rejected" if handler.failures else ""
    if added_latency:
        target = _format_target("p50", p50, case.max_p50_with_latency if (processes, added_latency) == (1, 1) else 0)
    elif processes == 1:
        target = _format_target("ratio", ratio, case.max_ratio)
    elif processes == 8:
        target = _format_target("sum", cpu, case.max_cpu) + _format_target("req/s", rate, 0, case.min_rate)
    else:
        target = ""
    return line + target + rejected


def _format_target(what: str, figure: float, maximum: float, minimum: float = 0) -> str:
    """Format a target; "" if maximum and minimum are 0."""
    if maximum:
        return f"  target: {what} ≤ {maximum}{'' if figure <= maximum else ' MISSED'}"
    if minimum:
        return f"  target: {what} ≥ {minimum}{'' if figure >= minimum else ' MISSED'}"
    return ""
