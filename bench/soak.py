"""bin/bench soak: tests/gateway/test_soak.py with ten times as many messages."""

import argparse
import tempfile
import time
from pathlib import Path

from bench import machine
from bench.console import print_line, silence_app_logs
from chalicelib import migrations
from tests.gateway.test_soak import run_with_faults
from tests.support import factories


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if a listener missed a message."""
    options = _parse_arguments(arguments)
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    migrations.migrate()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as logs:
        run = run_with_faults(factories.create_hospital(), Path(logs), options.listeners, options.senders, options.each)
    print_line(f"\n{time.monotonic() - started:.0f} s\n{run.format_figures()}")
    problems = run.find_problems()
    print_line("\n".join(problems[:50]) or "Every listener has received every message once.")
    return 1 if problems else 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench soak", description=__doc__)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--each", type=int, default=1_000, help="messages of each sender")
    return parser.parse_args(arguments)
