"""bin/bench storm: tests/faults/test_storm.py for longer."""

import argparse
import tempfile
import time
from pathlib import Path

from bench import machine
from bench.console import print_line, silence_app_logs
from chalicelib import migrations
from devstack.services import control
from tests.support import factories
from tests.support.storm.storm_run import run_storm


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if a message was lost, duplicated, reordered or hidden."""
    options = _parse_arguments(arguments)
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    migrations.migrate()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as logs:
        storm = run_storm(
            *(control.attach(), factories.create_hospital(), Path(logs)),
            seconds=options.seconds,
            senders=options.senders,
            flush_interval=options.flush_interval,
        )
        print_line(f"\n{time.monotonic() - started:.0f} s\n{storm.format_figures()}")
        problems = storm.find_problems()
    print_line("\n".join(problems[:50]) or "Nothing was lost, duplicated, reordered or hidden from a reader.")
    return 1 if problems else 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench storm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=90, help="for which processes are killed")
    parser.add_argument("--senders", type=int, default=32)
    parser.add_argument("--flush-interval", type=float, default=7, help="seconds between two flushes of Redis")
    return parser.parse_args(arguments)
