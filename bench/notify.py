"""bin/bench notify: from a send to its arrival at who listens, beside a bare Redis stream."""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import quantiles
from threading import Event, Thread
from typing import Any

from redis import Redis

from bench import machine
from bench.console import print_line, silence_app_logs
from bench.lambda_events import MESSAGE_TEXT
from chalicelib import migrations
from chalicelib.settings import settings
from tests.support import factories
from tests.support.factories import Hospital
from tests.support.gateway_client import create_conversation_of, create_external_user
from tests.support.soak import poll, server_process, sse, ws
from tests.support.soak.listener import Listener
from tests.support.soak.sender import Sender
from tests.support.soak.server_process import ServerProcess

WARM_UP_MESSAGES = 5  # messages
TIMEOUT_SECONDS = 10.0  # seconds until a message must have come
PAUSE_SECONDS = {"ws": 0.02, "poll": 0.05, "sse": 0.4}  # seconds, after which whoever was told something waits again


@dataclass(frozen=True)
class Case:
    """`together`: all listen in one conversation; else each in one with the sender, and each message is for one."""

    transport: str
    listeners: int
    in_one_conversation: bool = False


@dataclass
class Latencies:
    """Seconds from the beginning of each send."""

    arrived: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)  # of those whom a message was for
    answered: list[float] = field(default_factory=list)


LISTEN_FUNCTIONS: dict[str, Callable[[Listener], None]] = {"ws": ws.listen, "poll": poll.listen, "sse": sse.listen}
CASES = [
    *(Case(way, listeners) for way in LISTEN_FUNCTIONS for listeners in (1, 20, 200)),
    *(Case(way, listeners, in_one_conversation=True) for way, listeners in (("ws", 19), ("ws", 200), ("poll", 19))),
]
TABLE_HEADER = f"""
{"":32}|{"send to arrival, ms":^32}|{"answered":^17}|{"a bare stream, ms":^24}
{"":32}|{"p50":>8}{"p99":>8}{"last p50":>10}{"n":>6}|{"p50":>8}{"p99":>8} |{"p50":>8}{"p99":>8}{"last":>8}"""


def main(arguments: list[str]) -> int:
    options = _parse_arguments(arguments)
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    migrations.migrate()
    hospital = factories.create_hospital()
    print_line(TABLE_HEADER)
    with (
        tempfile.TemporaryDirectory() as logs,
        server_process.run_server(Path(logs) / "hear.log") as to_hear,
        server_process.run_server(Path(logs) / "speak.log", to_hear) as to_speak,
    ):
        for number, row in enumerate(
            one for one in CASES if options.only in one.transport and one.listeners <= options.up_to
        ):
            times = _measure(row, hospital, f"{number}", to_hear, to_speak, options.samples)
            print_line(_format_line(row, times, _measure_baseline(row, options.samples)))
    return 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench notify", description=__doc__)
    parser.add_argument("--samples", type=int, default=200, help="messages of each row")
    parser.add_argument("--up-to", type=int, default=200, metavar="N", help="leave out rows with more listeners")
    parser.add_argument("--only", choices=[*LISTEN_FUNCTIONS, ""], default="", help="one way of listening")
    return parser.parse_args(arguments)


def _measure(
    row: Case, hospital: Hospital, name: str, to_hear: ServerProcess, to_speak: ServerProcess, samples: int
) -> Latencies:
    """Send one message after another, each when the one before has come and its listeners wait again."""
    speaker = create_external_user(hospital, f"speaker-{name}")
    hearing = [create_external_user(hospital, f"hearing-{name}-{n}") for n in range(row.listeners)]
    groups = [hearing] if row.in_one_conversation else [[one] for one in hearing]
    rooms = [create_conversation_of(hospital, speaker, *group) for group in groups]
    listeners = {one.token: Listener(LISTEN_FUNCTIONS[row.transport], to_hear.port, one.token, []) for one in hearing}
    sender, times = Sender(to_speak.port, speaker.session, speaker.token, rooms, 0), Latencies()
    with _run_listeners(list(listeners.values())):
        places = [(room, [listeners[one.token] for one in group]) for room, group in zip(rooms, groups, strict=True)]
        for number, (room, group) in enumerate(islice(cycle(places), samples + WARM_UP_MESSAGES)):
            begun = time.monotonic()
            message_id = sender.send(room, MESSAGE_TEXT, f"{number}")
            answered = time.monotonic() - begun
            arrived = [_wait_for_arrival(one, message_id) - begun for one in group]
            if number >= WARM_UP_MESSAGES:
                times.answered.append(answered)
                times.arrived += arrived
                times.last.append(max(arrived))
            time.sleep(random.uniform(1, 1.5) * PAUSE_SECONDS[row.transport])
    sender.close()
    return times


@contextmanager
def _run_listeners(listeners: list[Listener]) -> Iterator[None]:
    threads = [one.start() for one in listeners]
    for one in listeners:
        if not one.ready.wait(TIMEOUT_SECONDS * 3):
            raise RuntimeError(one.error_trace or "somebody does not come to listen")
    time.sleep(0.5)
    yield
    for one in listeners:
        one.stopped.set()
        one.cut()
    for thread in threads:
        thread.join()


def _wait_for_arrival(one: Listener, message_id: str) -> float:
    until = time.monotonic() + TIMEOUT_SECONDS
    while message_id not in one.received_at:
        if time.monotonic() > until:
            raise RuntimeError(f"a message did not come: {one.error_trace}")
        time.sleep(0.0005)
    return one.received_at[message_id]


def _measure_baseline(row: Case, samples: int) -> Latencies:
    """The floor: so many block on a stream each, in threads of this process; one or all of these are written to."""
    client: Any = Redis.from_url(settings.redis_url, decode_responses=True, max_connections=1_000)
    over = Event()
    streams = [f"{{floor}}:{n}" for n in range(row.listeners)]
    came: list[dict[str, float]] = [{} for _ in streams]

    def block(stream: str, mine: dict[str, float]) -> None:
        after = "0"
        while not over.is_set():
            for _, entries in client.xread({stream: after}, block=200):
                mine.update((id, time.monotonic()) for id, _ in entries)
                after = entries[-1][0]

    threads = [Thread(target=block, args=one, daemon=True) for one in zip(streams, came, strict=True)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    times = _write_to_streams(client, streams, came, row.in_one_conversation, samples)
    over.set()
    for thread in threads:
        thread.join()
    client.delete(*streams)
    client.close()
    return times


def _write_to_streams(
    client: Any, streams: list[str], came: list[dict[str, float]], together: bool, samples: int
) -> Latencies:
    times = Latencies()
    for number in range(1, samples + WARM_UP_MESSAGES + 1):
        chosen = range(len(streams)) if together else [number % len(streams)]
        begun, pipe = time.monotonic(), client.pipeline(transaction=False)
        for n in chosen:
            pipe.xadd(streams[n], {"event": MESSAGE_TEXT}, f"{number}-0")
        pipe.execute()
        until = begun + TIMEOUT_SECONDS
        while any(f"{number}-0" not in came[n] for n in chosen) and time.monotonic() < until:
            time.sleep(0.0005)
        arrived = [came[n][f"{number}-0"] - begun for n in chosen]
        if number > WARM_UP_MESSAGES:
            times.arrived += arrived
            times.last.append(max(arrived))
        time.sleep(0.005)
    return times


def _format_line(row: Case, times: Latencies, bare: Latencies) -> str:
    name = f"{row.transport}, {row.listeners} {'in one conversation' if row.in_one_conversation else 'listening'}"
    return (
        f"{name:32}|{_format_percentile(times.arrived, 50)}{_format_percentile(times.arrived, 99)}"
        f"{_format_percentile(times.last, 50):>10}{len(times.arrived):>6}|"
        f"{_format_percentile(times.answered, 50)}{_format_percentile(times.answered, 99)} |"
        f"{_format_percentile(bare.arrived, 50)}{_format_percentile(bare.arrived, 99)}"
        f"{_format_percentile(bare.last, 50)}"
    )


def _format_percentile(times: list[float], percent: int) -> str:
    return f"{quantiles(times, n=100, method='inclusive')[percent - 1] * 1000:>8.1f}"
