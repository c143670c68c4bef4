"""Many who listen, some who speak, and what goes wrong meanwhile."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from threading import Event, Thread
from time import monotonic, sleep

from tests.support.factories import Hospital
from tests.support.faults.final_state import list_stored
from tests.support.faults.history_checker import StoredMessage
from tests.support.gateway_client import create_conversation_of, create_external_user
from tests.support.soak import poll, sse, ws
from tests.support.soak.listener import Listener
from tests.support.soak.sender import Sender
from tests.support.soak.server_process import ServerProcess

LISTEN_FUNCTIONS = (poll.listen, sse.listen, ws.listen)
CONVERSATION_SIZE, SENDERS_PER_CONVERSATION = 5, 2  # people of a conversation, and those of them who speak
STALL_TIMEOUT_SECONDS = 20.0  # seconds in which something must get on
CUT_INTERVAL_SECONDS = 0.1  # seconds


@dataclass
class SoakRun:
    senders: list[Sender]
    listeners: list[Listener]
    conversations: list[str]

    def __post_init__(self) -> None:
        self.stopped = Event()
        self.random = random.Random(4)

    def start(self) -> None:
        """Everybody listens before anybody speaks."""
        self.listening = [one.start() for one in self.listeners]
        for one in self.listeners:
            assert one.ready.wait(STALL_TIMEOUT_SECONDS), one.error_trace or "it does not come to listen"
        self.speaking = [one.start() for one in self.senders]
        self.cutting = Thread(target=self.cut_random_connections, daemon=True)
        self.cutting.start()

    def cut_random_connections(self) -> None:
        while not self.stopped.wait(CUT_INTERVAL_SECONDS):
            self.random.choice(self.listeners).cut()

    def wait_until_sent(self, part: float) -> None:
        """Wait until so much of everything has been said."""
        wanted = part * sum(one.count for one in self.senders)
        wait_for_progress(
            lambda: self.sent_count, lambda: self.sent_count >= wanted or any(one.error_trace for one in self.senders)
        )

    @property
    def sent_count(self) -> int:
        return sum(len(one.acknowledged) for one in self.senders)

    @property
    def received_count(self) -> int:
        return sum(len(one.received) for one in self.listeners)

    def finish(self) -> None:
        """Wait until everything is said and heard."""
        self.wait_until_sent(1)
        self.stopped.set()
        self.cutting.join()
        wanted = self.count_expected()
        wait_for_progress(
            lambda: self.received_count, lambda: all(len(one.received) >= wanted[one.token] for one in self.listeners)
        )
        for one in self.listeners:
            one.stopped.set()
            one.cut()
        for thread in self.listening:
            thread.join(STALL_TIMEOUT_SECONDS)

    def count_expected(self) -> dict[str, int]:
        """Return how many messages each listener must have heard, by token."""
        sizes = {where: len(list_stored(where)) for where in self.conversations}
        return {one.token: sum(sizes[where] for where in one.conversations) for one in self.listeners}

    def find_problems(self) -> list[str]:
        """What is wrong; [] if every listener has every message of its conversations once, in the log's order."""
        logs = {one: list_stored(one) for one in self.conversations}
        everybody: list[Sender | Listener] = [*self.senders, *self.listeners]
        wrong = [one.error_trace for one in everybody if one.error_trace]
        wrong += find_log_problems(logs, self.senders)
        return wrong + [complaint for one in self.listeners for complaint in find_listener_problems(one, logs)]

    def format_figures(self) -> str:
        lines = []
        for kind in LISTEN_FUNCTIONS:
            own = [one for one in self.listeners if one.run is kind]
            sums = Counter[str]()
            for one in own:
                sums.update(
                    heard=len(one.received),
                    history=len(one.from_history),
                    again=one.duplicates,
                    lost=one.lost_connections,
                    gaps=one.gap_count,
                )
                sums.update(late=count_late_deliveries(one))
            name = kind.__module__.rpartition(".")[2]
            lines.append(f"{name}: {len(own)} listeners, " + ", ".join(f"{what} {sums[what]}" for what in sums))
        again = sum(one.retries for one in self.senders)
        return "\n".join([f"{self.sent_count} messages said by {len(self.senders)}, again {again}", *lines])


def create_soak_run(
    hospital: Hospital, to_hear: ServerProcess, to_speak: ServerProcess, listeners: int, senders: int, each: int
) -> SoakRun:
    """Conversations of five, two of whom speak; each listener is in one at least. Each sender says so much."""
    chance = random.Random(7)
    hearing = [create_external_user(hospital, f"hearing-{n}") for n in range(listeners)]
    speaking = [create_external_user(hospital, f"speaking-{n}") for n in range(senders)]
    places: dict[str, list[str]] = {one.token: [] for one in (*hearing, *speaking)}
    order = [*hearing, *chance.sample(hearing, listeners // 2)]
    for n, start in enumerate(
        range(
            0,
            len(order) - CONVERSATION_SIZE + SENDERS_PER_CONVERSATION + 1,
            CONVERSATION_SIZE - SENDERS_PER_CONVERSATION,
        )
    ):
        people = [
            *dict.fromkeys(order[start : start + CONVERSATION_SIZE - SENDERS_PER_CONVERSATION]),
            speaking[n % senders],
        ]
        people.append(speaking[(n + 1 + n // senders) % senders])
        conversation = create_conversation_of(hospital, *dict.fromkeys(people))
        for one in dict.fromkeys(people):
            places[one.token].append(conversation)
    return SoakRun(
        [Sender(to_speak.port, one.session, one.token, places[one.token], each) for one in speaking],
        [
            Listener(LISTEN_FUNCTIONS[n % len(LISTEN_FUNCTIONS)], to_hear.port, one.token, places[one.token])
            for n, one in enumerate(hearing)
        ],
        sorted({conversation for found in places.values() for conversation in found}),
    )


def wait_for_progress(progress: Callable[[], int], done: Callable[[], bool]) -> None:
    """Wait until it is done, or does not get on."""
    seen, until = progress(), monotonic() + STALL_TIMEOUT_SECONDS
    while not done() and monotonic() < until:
        sleep(0.02)
        if (now := progress()) != seen:
            seen, until = now, monotonic() + STALL_TIMEOUT_SECONDS


def find_log_problems(logs: dict[str, list[StoredMessage]], senders: list[Sender]) -> Iterator[str]:
    by_id = {entry.id: entry.text for log in logs.values() for entry in log}
    texts = Counter(by_id.values())
    yield from (f"{text} is there {times} times" for text, times in texts.items() if times > 1)
    for one in senders:
        if len(one.acknowledged) != one.count:
            yield f"{one.name} has said {len(one.acknowledged)} of {one.count}"
        yield from (
            f"{text} was acknowledged and is lost" for text, id in one.acknowledged.items() if by_id.get(id) != text
        )


def find_listener_problems(one: Listener, logs: dict[str, list[StoredMessage]]) -> Iterator[str]:
    name = f"{one.run.__module__.rpartition('.')[2]} listener"
    before = {b.id: a.id for where in one.conversations for a, b in pairwise(logs[where])}
    wanted = {entry.id: entry.text for where in one.conversations for entry in logs[where]}
    yield from (f"{name} has not heard {text}" for id, text in wanted.items() if id not in one.received)
    yield from (f"{name} has heard {message}" for id, message in one.received.items() if id not in wanted)
    for where in one.conversations:
        own = [id for id in sorted(one.received) if one.received[id]["ConversationID"] == where]
        if own != [entry.id for entry in logs[where]]:
            yield f"{name} has another order than the log of {where}"
    for id in one.received.keys() - one.from_history:
        if one.received[id]["Content"] != wanted.get(id) or one.received[id]["PreId"] != before.get(id, ""):
            yield f"{name} was told another thing of {id}: {one.received[id]}"


def count_late_deliveries(one: Listener) -> int:
    """Return how many messages were delivered after a later one of their conversation."""
    newest: dict[str, str] = {}
    found = 0
    for id, message in one.received.items():
        if id in one.from_history:
            continue
        where = message["ConversationID"]
        found += id < newest.get(where, "")
        newest[where] = max(id, newest.get(where, ""))
    return found
