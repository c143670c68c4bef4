"""bin/bench notify: time from a send to the arrival at the listener, compared with a plain Redis stream."""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
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

WARM_UP_MESSAGES = 5
TIMEOUT_SECONDS = 10.0  # within which a message must arrive
PAUSE_SECONDS = {"ws": 0.02, "poll": 0.05, "sse": 0.4}  # after which a listener that received a message waits again


@dataclass(frozen=True)
class Case:
    """Listeners of one transport: all in one conversation, or each in its own conversation with the sender."""

    transport: str
    listeners: int
    in_one_conversation: bool = False


@dataclass
class Latencies:
    """Seconds since the start of each send."""

    arrived: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)  # arrival at the last receiver of a message
    responses: list[float] = field(default_factory=list)
    responses_without_listener: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Sent:
    """A message, when its send started, and the seconds until the response."""

    message_id: str
    started: float
    seconds: float


LABELS = {"ws": "WebSocket", "poll": "poll", "sse": "SSE"}
LISTEN_FUNCTIONS: dict[str, Callable[[Listener], None]] = {"ws": ws.listen, "poll": poll.listen, "sse": sse.listen}
CASES = [
    *(Case(transport, listeners) for transport in LISTEN_FUNCTIONS for listeners in (1, 20, 200)),
    *(Case(*one, in_one_conversation=True) for one in (("ws", 19), ("ws", 200), ("poll", 19))),
]
TABLE_HEADER = f"""
{"":32}|{"arrival, ms":^32}|{"response, ms":^17}|{"without listener":^24}|{"floor, ms":^24}
{"":32}|{"p50":>8}{"p99":>8}{"last p50":>10}{"n":>6}|{"p50":>8}{"p99":>8} |{"p50":>8}{"p99":>8}{"ratio":>7} \
|{"p50":>8}{"p99":>8}{"last":>8}"""


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    options = _parse_arguments(arguments)
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    migrations.migrate()
    hospital = factories.create_hospital()
    print_line(TABLE_HEADER)
    with (
        tempfile.TemporaryDirectory() as logs,
        server_process.run_server(Path(logs) / "listeners.log") as listener_server,
        server_process.run_server(Path(logs) / "sender.log", listener_server) as sender_server,
    ):
        for number, case in enumerate(
            one for one in CASES if options.only in one.transport and one.listeners <= options.up_to
        ):
            times = _measure(case, hospital, f"{number}", listener_server, sender_server, options.samples)
            print_line(_format_line(case, times, _measure_baseline(case, options.samples)))
    return 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench notify", description=__doc__)
    parser.add_argument("--samples", type=int, default=200, help="messages of each case")
    parser.add_argument("--up-to", type=int, default=200, metavar="N", help="leave out rows with more listeners")
    parser.add_argument("--only", choices=[*LISTEN_FUNCTIONS, ""], default="", help="one transport")
    return parser.parse_args(arguments)


def _measure(
    case: Case,
    hospital: Hospital,
    name: str,
    listener_server: ServerProcess,
    sender_server: ServerProcess,
    samples: int,
) -> Latencies:
    """Send one message after another, each when the previous one has arrived and its listeners wait again.

    Before or after each, a message is sent to a conversation of as many participants that has no listener.
    """
    sending_user = create_external_user(hospital, f"sender-{name}")
    users = [create_external_user(hospital, f"listener-{name}-{n}") for n in range(case.listeners)]
    groups = [users] if case.in_one_conversation else [[one] for one in users]
    conversations = [create_conversation_of(hospital, sending_user, *group) for group in groups]
    absent = [create_external_user(hospital, f"absent-{name}-{n}") for n in range(len(groups[0]))]
    conversation_without_listener = create_conversation_of(hospital, sending_user, *absent)
    listen = LISTEN_FUNCTIONS[case.transport]
    listeners = {one.token: Listener(listen, listener_server.port, one.token, []) for one in users}
    sender = Sender(sender_server.port, sending_user.session, sending_user.token, conversations, 0)
    times = Latencies()
    with _run_listeners(list(listeners.values())):
        receivers = [[listeners[one.token] for one in group] for group in groups]
        turns = islice(cycle(zip(conversations, receivers, strict=True)), samples + WARM_UP_MESSAGES)
        for number, (conversation, group) in enumerate(turns):
            without = [_send(sender, conversation_without_listener, f"before-{number}")] if number % 2 else []
            one = _send(sender, conversation, f"{number}")
            arrived = [_wait_for_arrival(receiver, one.message_id) - one.started for receiver in group]
            without += [] if without else [_send(sender, conversation_without_listener, f"after-{number}")]
            if number >= WARM_UP_MESSAGES:
                times.responses_without_listener.append(without[0].seconds)
                times.responses.append(one.seconds)
                times.arrived += arrived
                times.last.append(max(arrived))
            time.sleep(random.uniform(1, 1.5) * PAUSE_SECONDS[case.transport])
    sender.close()
    return times


def _send(sender: Sender, conversation: str, key: str) -> Sent:
    started = time.monotonic()
    message_id = sender.send(conversation, MESSAGE_TEXT, key)
    return Sent(message_id, started, time.monotonic() - started)


@contextmanager
def _run_listeners(listeners: list[Listener]) -> Iterator[None]:
    threads = [one.start() for one in listeners]
    for one in listeners:
        if not one.ready.wait(TIMEOUT_SECONDS * 3):
            raise RuntimeError(one.error_trace or "a listener does not connect")
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
            raise RuntimeError(f"a message did not arrive: {one.error_trace}")
        time.sleep(0.0005)
    return one.received_at[message_id]


def _measure_baseline(case: Case, samples: int) -> Latencies:
    """Measure the floor: each listener is a thread of this process that blocks on its own Redis stream."""
    client: Any = Redis.from_url(settings.redis_url, decode_responses=True, max_connections=1_000)
    stopped = Event()
    streams = [f"{{floor}}:{n}" for n in range(case.listeners)]
    arrivals: list[dict[str, float]] = [{} for _ in streams]

    def read_stream(stream: str, received_at: dict[str, float]) -> None:
        after = "0"
        while not stopped.is_set():
            for _, entries in client.xread({stream: after}, block=200):
                received_at.update((id, time.monotonic()) for id, _ in entries)
                after = entries[-1][0]

    threads = [Thread(target=read_stream, args=one, daemon=True) for one in zip(streams, arrivals, strict=True)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    times = _write_to_streams(client, streams, arrivals, case.in_one_conversation, samples)
    stopped.set()
    for thread in threads:
        thread.join()
    client.delete(*streams)
    client.close()
    return times


def _write_to_streams(
    client: Any, streams: list[str], arrivals: list[dict[str, float]], to_all: bool, samples: int
) -> Latencies:
    times = Latencies()
    for number in range(1, samples + WARM_UP_MESSAGES + 1):
        chosen = range(len(streams)) if to_all else [number % len(streams)]
        started, pipe = time.monotonic(), client.pipeline(transaction=False)
        for n in chosen:
            pipe.xadd(streams[n], {"event": MESSAGE_TEXT}, f"{number}-0")
        pipe.execute()
        until = started + TIMEOUT_SECONDS
        while any(f"{number}-0" not in arrivals[n] for n in chosen) and time.monotonic() < until:
            time.sleep(0.0005)
        arrived = [arrivals[n][f"{number}-0"] - started for n in chosen]
        if number > WARM_UP_MESSAGES:
            times.arrived += arrived
            times.last.append(max(arrived))
        time.sleep(0.005)
    return times


def _format_line(case: Case, times: Latencies, floor: Latencies) -> str:
    listeners = (
        "in one conversation" if case.in_one_conversation else "listener" if case.listeners == 1 else "listeners"
    )
    name = f"{LABELS[case.transport]}, {case.listeners} {listeners}"
    return (
        f"{name:32}|{_format_percentile(times.arrived, 50)}{_format_percentile(times.arrived, 99)}"
        f"{_format_percentile(times.last, 50):>10}{len(times.arrived):>6}|"
        f"{_format_percentile(times.responses, 50)}{_format_percentile(times.responses, 99)} |"
        f"{_format_percentile(times.responses_without_listener, 50)}"
        f"{_format_percentile(times.responses_without_listener, 99)}"
        f"{median(times.responses) / median(times.responses_without_listener):>7.2f} |"
        f"{_format_percentile(floor.arrived, 50)}{_format_percentile(floor.arrived, 99)}"
        f"{_format_percentile(floor.last, 50)}"
    )


def _format_percentile(times: list[float], percent: int) -> str:
    return f"{quantiles(times, n=100, method='inclusive')[percent - 1] * 1000:>8.1f}"
