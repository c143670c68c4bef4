"""bin/bench soak: ten times what tests/gateway/test_soak.py holds in each run of the tests."""

import argparse
import tempfile
import time
from pathlib import Path

from bench import machine
from bench.console import print_line, silence_app_logs
from chalicelib import migrations
from tests.gateway.test_soak import weathered
from tests.support import factories


def main(arguments: list[str]) -> int:
    options = _parse_arguments(arguments)
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    migrations.migrate()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as logs:
        storm = weathered(factories.create_hospital(), Path(logs), options.listeners, options.senders, options.each)
    print_line(f"\n{time.monotonic() - begun:.0f} s\n{storm.format_figures()}")
    complaints = storm.find_problems()
    print_line("\n".join(complaints[:50]) or "Everybody has heard everything once.")
    return 1 if complaints else 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench soak", description=__doc__)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--each", type=int, default=1_000, help="messages of each sender")
    return parser.parse_args(arguments)
