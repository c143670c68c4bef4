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
from bench.console import hush, say
from bench.events import SAID
from chalicelib import migrations
from chalicelib.settings import settings
from tests import people
from tests.gateway.soak import gateway, poll, sse, ws
from tests.gateway.soak.gateway import Gateway
from tests.gateway.soak.listener import Listener
from tests.gateway.soak.sender import Sender
from tests.gateway.talk import seated, visitor
from tests.people import Hospital

WARM_UP = 5  # messages
PATIENCE = 10.0  # seconds until a message must have come
PAUSES = {"ws": 0.02, "poll": 0.05, "sse": 0.4}  # seconds, after which whoever was told something waits again


@dataclass(frozen=True)
class Row:
    """`together`: all listen in one conversation; else each in one with the sender, and each message is for one."""

    way: str
    listeners: int
    together: bool = False


@dataclass
class Times:
    """Seconds from the beginning of each send."""

    arrived: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)  # of those whom a message was for
    answered: list[float] = field(default_factory=list)


RUN: dict[str, Callable[[Listener], None]] = {"ws": ws.run, "poll": poll.run, "sse": sse.run}
ROWS = [
    *(Row(way, listeners) for way in RUN for listeners in (1, 20, 200)),
    *(Row(way, listeners, together=True) for way, listeners in (("ws", 19), ("ws", 200), ("poll", 19))),
]
HEAD = f"""
{"":32}|{"send to arrival, ms":^32}|{"answered":^17}|{"a bare stream, ms":^24}
{"":32}|{"p50":>8}{"p99":>8}{"last p50":>10}{"n":>6}|{"p50":>8}{"p99":>8} |{"p50":>8}{"p99":>8}{"last":>8}"""


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    say(machine.described(machine.servers()))
    hush()
    migrations.migrate()
    hospital = people.hospital()
    say(HEAD)
    with (
        tempfile.TemporaryDirectory() as logs,
        gateway.serving(Path(logs) / "hear.log") as to_hear,
        gateway.serving(Path(logs) / "speak.log", to_hear) as to_speak,
    ):
        for number, row in enumerate(one for one in ROWS if options.only in one.way and one.listeners <= options.up_to):
            times = _measured(row, hospital, f"{number}", to_hear, to_speak, options.samples)
            say(_line(row, times, _bare(row, options.samples)))
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench notify", description=__doc__)
    parser.add_argument("--samples", type=int, default=200, help="messages of each row")
    parser.add_argument("--up-to", type=int, default=200, metavar="N", help="leave out rows with more listeners")
    parser.add_argument("--only", choices=[*RUN, ""], default="", help="one way of listening")
    return parser.parse_args(arguments)


def _measured(row: Row, hospital: Hospital, name: str, to_hear: Gateway, to_speak: Gateway, samples: int) -> Times:
    """Send one message after another, each when the one before has come and its listeners wait again."""
    speaker = visitor(hospital, f"speaker-{name}")
    hearing = [visitor(hospital, f"hearing-{name}-{n}") for n in range(row.listeners)]
    groups = [hearing] if row.together else [[one] for one in hearing]
    rooms = [seated(hospital, speaker, *group) for group in groups]
    listeners = {one.token: Listener(RUN[row.way], to_hear.port, one.token, []) for one in hearing}
    sender, times = Sender(to_speak.port, speaker.session, speaker.token, rooms, 0), Times()
    with _listening(list(listeners.values())):
        places = [(room, [listeners[one.token] for one in group]) for room, group in zip(rooms, groups, strict=True)]
        for number, (room, group) in enumerate(islice(cycle(places), samples + WARM_UP)):
            begun = time.monotonic()
            message_id = sender.said(room, SAID, f"{number}")
            answered = time.monotonic() - begun
            arrived = [_arrival(one, message_id) - begun for one in group]
            if number >= WARM_UP:
                times.answered.append(answered)
                times.arrived += arrived
                times.last.append(max(arrived))
            time.sleep(random.uniform(1, 1.5) * PAUSES[row.way])
    sender.hang_up()
    return times


@contextmanager
def _listening(listeners: list[Listener]) -> Iterator[None]:
    threads = [one.start() for one in listeners]
    for one in listeners:
        if not one.ready.wait(PATIENCE * 3):
            raise RuntimeError(one.crash or "somebody does not come to listen")
    time.sleep(0.5)
    yield
    for one in listeners:
        one.over.set()
        one.cut()
    for thread in threads:
        thread.join()


def _arrival(one: Listener, message_id: str) -> float:
    until = time.monotonic() + PATIENCE
    while message_id not in one.at:
        if time.monotonic() > until:
            raise RuntimeError(f"a message did not come: {one.crash}")
        time.sleep(0.0005)
    return one.at[message_id]


def _bare(row: Row, samples: int) -> Times:
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
    times = _written(client, streams, came, row.together, samples)
    over.set()
    for thread in threads:
        thread.join()
    client.delete(*streams)
    client.close()
    return times


def _written(client: Any, streams: list[str], came: list[dict[str, float]], together: bool, samples: int) -> Times:
    times = Times()
    for number in range(1, samples + WARM_UP + 1):
        chosen = range(len(streams)) if together else [number % len(streams)]
        begun, pipe = time.monotonic(), client.pipeline(transaction=False)
        for n in chosen:
            pipe.xadd(streams[n], {"event": SAID}, f"{number}-0")
        pipe.execute()
        until = begun + PATIENCE
        while any(f"{number}-0" not in came[n] for n in chosen) and time.monotonic() < until:
            time.sleep(0.0005)
        arrived = [came[n][f"{number}-0"] - begun for n in chosen]
        if number > WARM_UP:
            times.arrived += arrived
            times.last.append(max(arrived))
        time.sleep(0.005)
    return times


def _line(row: Row, times: Times, bare: Times) -> str:
    name = f"{row.way}, {row.listeners} {'in one conversation' if row.together else 'listening'}"
    return (
        f"{name:32}|{_ms(times.arrived, 50)}{_ms(times.arrived, 99)}{_ms(times.last, 50):>10}{len(times.arrived):>6}|"
        f"{_ms(times.answered, 50)}{_ms(times.answered, 99)} |"
        f"{_ms(bare.arrived, 50)}{_ms(bare.arrived, 99)}{_ms(bare.last, 50)}"
    )


def _ms(times: list[float], percent: int) -> str:
    return f"{quantiles(times, n=100, method='inclusive')[percent - 1] * 1000:>8.1f}"
