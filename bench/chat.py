"""bin/bench chat: sending and reading through the whole handler, beside the same round trips bare."""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from bench import machine
from bench.console import say
from bench.crew import Crew, Measured
from bench.machine import Servers
from bench.rows import Row, rows
from bench.worker import Worker
from chalicelib import migrations

SLICES = 8  # of the handler and of the floor, in turn, so that both see the same machine


@dataclass
class Loaded(Measured):
    """With what the machine spent on it."""

    wall: float = 0.0
    servers: float = 0.0  # seconds of CPU
    others: float = 0.0  # seconds of CPU that no process of this benchmark used

    @property
    def cpu(self) -> float:
        """Microseconds of the asking process for each request."""
        return sum(part.cpu for part in self.slices) / len(self.times) * 1e6


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    found = [row for row in rows(options.sessions) if options.only in row.name]
    ours = machine.servers()
    say(machine.described(ours))
    _in_a_process(migrations.migrate)
    crew = Crew(max(options.processes), lambda number: Worker(number, options.sessions, found))
    [shared] = crew.ask(1, "whose")
    crew.ask(max(options.processes), "meet", shared)
    say(HEAD)
    for row in found:
        trips = crew.ask_each("prepare", row.name)  # one by one: some meet in one conversation
        say(f"{row.name}: {trips[-1]}")
        for processes in options.processes:
            handler, bare = _measured(crew, row, processes, options.seconds, ours)
            say(_line(row, processes, handler, bare))
    stored = [sum(counts) for counts in zip(*crew.ask(max(options.processes), "stored"), strict=True)]
    say(f"\n{stored[0]} messages are stored of {stored[1]} acknowledged.")
    crew.dismiss()
    return 0 if stored[0] >= stored[1] else 1


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench chat", description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8, 32], metavar="N")
    parser.add_argument("--seconds", type=float, default=4, help="of each figure, and as many of its floor")
    parser.add_argument("--sessions", type=int, default=80, help="of each process's doctor")
    parser.add_argument("--only", default="", metavar="TEXT", help="the rows whose names contain it")
    parser.add_argument("--grow", action="store_true", help="instead: the same requests as the table grows")
    return parser.parse_args(arguments)


def _in_a_process(work: Callable[[], Any]) -> None:
    process = get_context("fork").Process(target=work)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def _measured(crew: Crew, row: Row, processes: int, seconds: float, ours: Servers) -> tuple[Loaded, Loaded]:
    handler, bare = Loaded(), Loaded()
    crew.ask(processes, "run", row.name, False, 0.0, min(seconds, 0.5))
    for turn in range(SLICES):
        for measured in (handler, bare) if turn % 2 else (bare, handler):
            before, busy, began = ours.cpu(), machine.busy(), time.monotonic()
            slices = crew.ask(processes, "run", row.name, measured is bare, began + 0.01, seconds / SLICES)
            servers = ours.cpu() - before
            measured.slices += slices
            measured.servers += servers
            measured.wall += time.monotonic() - began
            measured.others += machine.busy() - busy - servers - sum(one.cpu for one in slices)
    return handler, bare


HEAD = f"""
Each row with its round trips: M a packet to MySQL, R3 three commands to Redis.
{"":>9}|{"through the handler":^43}|{"its floor":^24}|{"p50 to":>7}|{"others":>7}
{"processes":>9}|{"req/s":>7}{"p50 ms":>8}{"p99 ms":>8}{"CPU µs":>8}{"+ servers":>11} |\
{"req/s":>7}{"p50 ms":>8}{"CPU µs":>8} |{"floor":>7}|{"CPU":>7}"""


def _line(row: Row, processes: int, handler: Loaded, bare: Loaded) -> str:
    p50, floor = handler.percent(50), bare.percent(50)
    rate, ratio = handler.rate(processes), p50 / floor
    others = (handler.others + bare.others) / (handler.wall + bare.wall) / machine.cores()
    line = (
        f"{processes:>9}|{rate:>7.0f}{p50:>8.2f}{handler.percent(99):>8.2f}{handler.cpu:>8.0f}"
        f"{handler.servers / len(handler.times) * 1e6:>11.0f} |"
        f"{bare.rate(processes):>7.0f}{floor:>8.2f}{bare.cpu:>8.0f} |{ratio:>7.2f}|{others:>7.0%}"
    )
    refused = f"  {handler.refused} refused" if handler.refused else ""
    return line + _aim(row, processes, ratio, rate) + refused


def _aim(row: Row, processes: int, ratio: float, rate: float) -> str:
    if processes == 1 and row.ratio:
        return f"  aim: ratio ≤ {row.ratio}{'' if ratio <= row.ratio else ' MISSED'}"
    if processes == 8 and row.rate:
        return f"  aim: ≥ {row.rate}/s{'' if rate >= row.rate else ' MISSED'}"
    return ""
