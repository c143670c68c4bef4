"""bin/bench soak: ten times what tests/gateway/test_soak.py holds in each run of the tests."""

import argparse
import tempfile
import time
from pathlib import Path

from bench import machine
from bench.console import hush, say
from chalicelib import migrations
from tests import people
from tests.gateway.test_soak import weathered


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    say(machine.described(machine.servers()))
    hush()
    migrations.migrate()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as logs:
        storm = weathered(people.hospital(), Path(logs), options.listeners, options.senders, options.each)
    say(f"\n{time.monotonic() - begun:.0f} s\n{storm.figures()}")
    complaints = storm.complaints()
    say("\n".join(complaints[:50]) or "Everybody has heard everything once.")
    return 1 if complaints else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench soak", description=__doc__)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--each", type=int, default=1_000, help="messages of each sender")
    return parser.parse_args(arguments)
