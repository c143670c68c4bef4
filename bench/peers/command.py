"""bin/bench peers: our app beside ejabberd and prosody: sends, newest pages and delivery under one load generator."""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import machine
from bench.console import print_line, silence_app_logs
from bench.peers import report, systems, xmpp_servers
from bench.peers.ejabberd import EJABBERD
from bench.peers.measurement import CASES, Databases, Row, measure
from bench.peers.prosody import PROSODY
from bench.peers.systems import System
from devstack.console import CommandError
from devstack.services import control

PEERS = {one.name: one for one in (EJABBERD, PROSODY)}
CORES = 2  # on which everything runs
WARM_UP_SECONDS = 0.5  # of each case and system, with all clients


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if a server has fewer messages than it acknowledged."""
    options = _parse_arguments(arguments)
    services = control.load_services(Path(os.environ["DEVSTACK_CONTROL"]))
    if not {"mysql", "redis"} <= services.keys():
        sys.stderr.write("bin/bench peers: needs databases of its own: unset DATABASE_URL and REDIS_URL\n")
        return 2
    databases = Databases(services["mysql"].pid, services["redis"].pid)
    _pin_to_cores([databases.mysql, databases.redis])
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        running = _start_systems(stack, options, Path(folder), services["mysql"].url)
        print_line(" · ".join(one.label for one in running))
        rows = _measure_all(running, options, databases)
        print_line(report.format_tables(rows, [one.name for one in running]))
        return _report_stored(running)


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench peers", description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], metavar="N")
    parser.add_argument(
        "--seconds", type=float, default=2.5, help="of each slice; a figure is the median of its slices"
    )
    parser.add_argument("--rounds", type=int, default=3, help="slices of each figure")
    parser.add_argument("--only", choices=["ours", *PEERS], nargs="+", default=["ours", *PEERS], help="systems")
    parser.add_argument("--cases", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--app-processes", type=int, default=8, metavar="N")
    parser.add_argument("--no-download", action="store_true", help="measure only peers that are here already")
    return parser.parse_args(arguments)


def _pin_to_cores(groups: list[int]) -> None:
    """Let this process, those that it starts, and the databases use only CORES cores."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    for thread in [0, *(int(one.name) for group in groups for one in Path(f"/proc/{group}/task").iterdir())]:
        os.sched_setaffinity(thread, cores)


def _start_systems(stack: ExitStack, options: argparse.Namespace, folder: Path, url: str) -> list[System]:
    clients = max(options.clients)
    running = []
    if "ours" in options.only:
        running.append(stack.enter_context(systems.run_app(folder / "ours", clients, options.app_processes)))
    for name, server in PEERS.items():
        if name not in options.only:
            continue
        try:
            root = xmpp_servers.find_root(server, not options.no_download)
            context = systems.run_xmpp_server(server, root, folder / name, url, clients)
            running.append(stack.enter_context(context))
        except CommandError as error:
            packages = " ".join(server.packages)
            print_line(f"{name} is not measured: {error}. Install it: apt-get install {packages}")
    return running


def _measure_all(
    running: list[System], options: argparse.Namespace, databases: Databases
) -> dict[tuple[str, int, str], Row]:
    """Measure every figure in turn, as often as there are rounds: the systems alternate and see the same machine."""
    rows: dict[tuple[str, int, str], Row] = {}
    for case in options.cases:
        for system in running:
            measure(system, CASES[case], max(options.clients), min(WARM_UP_SECONDS, options.seconds), databases)
    for number in range(options.rounds):
        first = number % len(running)  # the database still works for a system when the next one's slice begins
        for case in options.cases:
            for clients in options.clients:
                for system in running[first:] + running[:first]:
                    figures = measure(system, CASES[case], clients, options.seconds, databases)
                    rows.setdefault((case, clients, system.name), Row()).slices.append(figures)
    return rows


def _report_stored(running: list[System]) -> int:
    """Compare the messages in MySQL with those that were acknowledged; return 1 if any is missing."""
    code = 0
    for system in running:
        stored, acknowledged = system.count_stored(), system.count_acknowledged()
        print_line(f"{system.name}: {stored} messages are stored of {acknowledged} acknowledged.")
        code |= stored < acknowledged
    return code
