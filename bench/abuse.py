"""bin/bench abuse: other users' requests while an attacker uses one token and many connections.

They are compared with the same requests beside the same load on a handler that only answers 429.
"""

import argparse
import os
import secrets
import socket
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench import machine
from bench.abuse_load import Attacker, Outcome, Target, use_cores
from bench.console import print_line, silence_app_logs
from bench.lambda_events import MESSAGE_TEXT
from bench.peers import systems
from bench.process_pool import ProcessPool
from chalicelib import migrations
from chalicelib.adapters import mysql, redis
from chalicelib.messaging import feed, socket_store
from chalicelib.messaging.feed import MAX_LISTENERS, Listener
from chalicelib.messaging.sockets import MAX_OF_PRINCIPAL
from devstack.services import processes
from devstack.services.service import Service
from tests.support import consult_client, factories
from tests.support.factories import Hospital, Person
from tests.support.soak.api_client import ApiClient

MAX_FAILED = 0.02  # of the attacker's requests: more, and it was no attack
MAX_RATIO = 1.5  # of the p50 beside the attacked app to that beside the handler that only answers 429
WITHOUT, REJECTING, APP = "without", "429 only", "app"
CLOSE_SECONDS = 15.0  # within which WebSockets above the limit are closed, on a busy machine
WARM_UP_SECONDS = 1.5  # of each slice: the attacker uses up the tokens that its buckets have gained
SEND_SERVERS = 8
Request = Callable[[], Any]


@dataclass
class Result:
    """Seconds of each request by its name and by what was attacked, and what became of the attacker's requests."""

    durations: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    attack_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    most_open: Counter[str] = field(default_factory=Counter)  # the attacker's WebSockets and polls after a slice


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if the attacker is not limited or slows down the others too much."""
    options = _parse_arguments(arguments)
    # Forked before this process opens connections.
    pool = ProcessPool(1, lambda _: Attacker(options.connections, options.requests))
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    migrations.migrate()
    hospital = factories.create_hospital()
    own_cores, attacked_cores = _divide_cores()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sockets_port, limits = processes.find_free_port(), {"RATE_LIMITS": options.rate_limits}
        run = partial(_run_servers, stack, Path(folder), sockets_port)
        polls = sum(n % 10 in (1, 4, 7) for n in range(options.connections))
        attacked = run("app", attacked_cores, [sockets_port, *_find_ports(SEND_SERVERS + polls)], limits)
        rejecting = run("rejecting", attacked_cores, _find_ports(1 + SEND_SERVERS + polls), {}, "--reject")
        others = run("others", own_cores, _find_ports(2), {})
        session_no = consult_client.create_session(hospital.lin, hospital.chen)
        ports = {WITHOUT: [], REJECTING: rejecting, APP: attacked}
        requests = _build_requests(hospital, session_no, others)
        result = Result()
        for number in range(options.rounds):
            for what in list(ports)[number % 3 :] + list(ports)[: number % 3]:
                target = _build_target(ports[what], hospital.lin, session_no, attacked_cores)
                _measure(pool, what, target, hospital.lin, requests, options.seconds, result)
    pool.stop()
    return _report(result, requests)


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench abuse", description=__doc__)
    parser.add_argument("--connections", type=int, default=50, help="of the attacker")
    parser.add_argument("--requests", type=float, default=300, help="that the attacker makes in a second")
    parser.add_argument("--seconds", type=float, default=3, help="of each slice")
    parser.add_argument("--rounds", type=int, default=6, help="slices of each kind, which alternate")
    parser.add_argument("--rate-limits", default="", help="RATE_LIMITS of the attacked app; default: its own")
    return parser.parse_args(arguments)


def _divide_cores() -> tuple[set[int], set[int]]:
    """Return the cores of the other users and those of the attacker, each with their servers.

    On AWS each function has its own processor; what they share is the database and the cache, which use all cores here.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    half = len(cores) // 2
    return (set(cores[half:]), set(cores[:half])) if half else (set(cores), set(cores))


def _find_ports(count: int) -> list[int]:
    """Return free ports, no two of which are equal."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _run_servers(
    stack: ExitStack,
    folder: Path,
    sockets_port: int,
    name: str,
    cores: set[int],
    ports: list[int],
    variables: dict[str, str],
    *options: str,
) -> list[int]:
    """Run servers on these ports until the stack is closed; return the ports."""
    use_cores(cores)  # of this process, which the servers inherit
    argv = [sys.executable, "-m", "bench.abuse_servers", *options, *(str(port) for port in ports)]
    server = Service(name, name, argv, ports[-1], str(folder), str(folder / f"{name}.log"), "")
    server.env = {**os.environ, "WS_ENDPOINT_URL": f"http://127.0.0.1:{sockets_port}", "POLL_SECONDS": "5", **variables}
    stack.enter_context(systems.run_services([server]))
    return ports


def _build_target(ports: list[int], attacker: Person, session_no: str, cores: set[int]) -> Target | None:
    """Return the target that has these servers; None without any."""
    if not ports:
        return None
    sends = slice(1, 1 + SEND_SERVERS)
    return Target(ports[0], ports[sends], ports[1 + SEND_SERVERS :], attacker.token, session_no, cores)


def _build_requests(hospital: Hospital, session_no: str, ports: list[int]) -> dict[str, Request]:
    """Return requests of the doctor to whom the attacker writes, and of another patient, by name."""
    doctor, patient = ApiClient(ports[0], hospital.chen.token), ApiClient(ports[1], hospital.wang.token)
    own_session = consult_client.create_session(hospital.wang, hospital.chen)
    member = {"member_id": hospital.wang.member_id}

    def send_as_doctor() -> Any:
        body = {"session_no": session_no, "message": MESSAGE_TEXT}
        return doctor.request("POST", consult_client.DOCTOR_TEXT, body, secrets.token_hex(8))

    def send_as_patient() -> Any:
        body = {**member, "doctor_id": hospital.chen.user_id, "session_no": own_session, "message": MESSAGE_TEXT}
        return patient.request("POST", consult_client.PATIENT_TEXT, body, secrets.token_hex(8))

    page = f"session_no={own_session}&member_id={hospital.wang.member_id}&page_size=20"
    return {
        "doctor: send to the attacker": send_as_doctor,
        "doctor: session list": partial(doctor.request, "GET", f"{consult_client.DOCTOR_SESSIONS}?page_size=20"),
        "patient: send": send_as_patient,
        "patient: newest page": partial(patient.request, "GET", f"{consult_client.PATIENT_LIST}?{page}"),
    }


def _measure(
    pool: ProcessPool,
    what: str,
    target: Target | None,
    attacker: Person,
    requests: dict[str, Request],
    seconds: float,
    result: Result,
) -> None:
    """Make the requests in turn for so long, while the attacker attacks the target, if there is one."""
    if target:
        pool.call(1, Attacker.start, target)
    started = time.monotonic()
    while (now := time.monotonic()) < started + WARM_UP_SECONDS + seconds:
        for name, request in requests.items():
            before = time.monotonic()
            request()
            if now >= started + WARM_UP_SECONDS:
                result.durations.setdefault((name, what), []).append(time.monotonic() - before)
    if what == APP:
        for kind, count in _count_open(attacker).items():
            result.most_open[kind] = max(result.most_open[kind], count)
    if target:
        result.attack_seconds[what] += time.monotonic() - started
        result.outcomes.setdefault(what, []).extend(pool.call(1, Attacker.stop))


def _count_open(attacker: Person) -> dict[str, int]:
    """Return how many WebSockets and polls the attacker has, once jobs have closed those above the limit."""
    until = time.monotonic() + CLOSE_SECONDS
    while (sockets := _count_sockets(attacker)) > MAX_OF_PRINCIPAL and time.monotonic() < until:
        time.sleep(0.1)
    key = feed.build_listeners_key(Listener(attacker.tenant_id, attacker.principal, ""))
    return {"WebSockets": sockets, "polls": int(redis.get_client().zcard(key))}


def _count_sockets(attacker: Person) -> int:
    return len(socket_store.list_by_principals(mysql.autocommit, attacker.tenant_id, [attacker.principal]))


def _report(result: Result, requests: dict[str, Request]) -> int:
    print_line(
        f"\n{'':30}|{WITHOUT:^18}|{REJECTING:^18}|{APP:^18}|\n{'p50 and p99, ms':30}|{'|'.join([' ' * 18] * 3)}| ratio"
    )
    missed = []
    for name in requests:
        cells = [_format_percentiles(result.durations[name, what]) for what in (WITHOUT, REJECTING, APP)]
        ratio = _get_p50(result.durations[name, APP]) / _get_p50(result.durations[name, REJECTING])
        print_line(f"{name:30}|{'|'.join(cells)}|{ratio:>6.2f}")
        missed += [name] if ratio > MAX_RATIO else []
    for what, outcomes in result.outcomes.items():
        print_line(f"attack, {what}: {_format_outcomes(outcomes, result.attack_seconds[what])}")
    print_line(
        f"open after a slice, at most: {', '.join(f'{count} {kind}' for kind, count in result.most_open.items())}"
    )
    print_line(f"target: ratio ≤ {MAX_RATIO}{f'; MISSED: {missed}' if missed else ''}")
    failed = [what for what, outcomes in result.outcomes.items() if _compute_failed_share(outcomes) > MAX_FAILED]
    print_line(f"INVALID: the attacker's requests failed: {failed}" if failed else "")
    is_limited = result.most_open["polls"] <= MAX_LISTENERS and result.most_open["WebSockets"] <= MAX_OF_PRINCIPAL
    print_line("" if is_limited else "WRONG NUMBER of open connections")
    return int(bool(missed or failed) or not is_limited)


def _compute_failed_share(outcomes: list[Outcome]) -> float:
    failed = sum(outcome.failed.total() for outcome in outcomes)
    total = sum((outcome.accepted + outcome.rejected + outcome.failed).total() for outcome in outcomes)
    return failed / max(total, 1)


def _format_outcomes(outcomes: list[Outcome], seconds: float) -> str:
    total: dict[str, Counter[str]] = {"accepted": Counter(), "rejected": Counter(), "failed": Counter()}
    for outcome in outcomes:
        for name, counter in total.items():
            counter.update(getattr(outcome, name))
    texts = [
        f"{name} {counter.total() / seconds:.1f}/s ({', '.join(f'{kind} {count}' for kind, count in counter.items())})"
        for name, counter in total.items()
        if counter
    ]
    return "; ".join(texts)


def _format_percentiles(durations: list[float]) -> str:
    ms = [one * 1000 for one in quantiles(durations, n=100, method="inclusive")]
    return f"{ms[49]:>8.2f} {ms[98]:>8.2f} "


def _get_p50(durations: list[float]) -> float:
    return quantiles(durations, n=2, method="inclusive")[0]
