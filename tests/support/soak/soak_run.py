"""A soak run: many listeners, some senders, and connections that are cut meanwhile."""

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
CONVERSATION_SIZE, SENDERS_PER_CONVERSATION = 5, 2  # members of a conversation, and senders among them
STALL_TIMEOUT_SECONDS = 20.0  # without progress
CUT_INTERVAL_SECONDS = 0.1


@dataclass
class SoakRun:
    senders: list[Sender]
    listeners: list[Listener]
    conversations: list[str]

    def __post_init__(self) -> None:
        self.stopped = Event()
        self.random = random.Random(4)

    def start(self) -> None:
        """Start all listeners and, when they are ready, the senders."""
        self.listener_threads = [one.start() for one in self.listeners]
        for one in self.listeners:
            assert one.ready.wait(STALL_TIMEOUT_SECONDS), one.error_trace or "it does not start to listen"
        self.sender_threads = [one.start() for one in self.senders]
        self.cutting = Thread(target=self.cut_random_connections, daemon=True)
        self.cutting.start()

    def cut_random_connections(self) -> None:
        while not self.stopped.wait(CUT_INTERVAL_SECONDS):
            self.random.choice(self.listeners).cut()

    def wait_until_sent(self, part: float) -> None:
        """Wait until this part of all messages has been sent."""
        expected = part * sum(one.count or 0 for one in self.senders)
        wait_for_progress(
            lambda: self.sent_count, lambda: self.sent_count >= expected or any(one.error_trace for one in self.senders)
        )

    @property
    def sent_count(self) -> int:
        return sum(len(one.acknowledged) for one in self.senders)

    @property
    def received_count(self) -> int:
        return sum(len(one.received) for one in self.listeners)

    def finish(self) -> None:
        """Wait until everything has been sent and received."""
        self.wait_until_sent(1)
        self.stopped.set()
        self.cutting.join()
        expected = self.count_expected()
        wait_for_progress(
            lambda: self.received_count, lambda: all(len(one.received) >= expected[one.token] for one in self.listeners)
        )
        for one in self.listeners:
            one.stopped.set()
            one.cut()
        for thread in self.listener_threads:
            thread.join(STALL_TIMEOUT_SECONDS)

    def count_expected(self) -> dict[str, int]:
        """Return the number of messages that each listener must have received, by token."""
        sizes = {conversation: len(list_stored(conversation)) for conversation in self.conversations}
        return {one.token: sum(sizes[conversation] for conversation in one.conversations) for one in self.listeners}

    def find_problems(self) -> list[str]:
        """Return problems: listeners must have each message of their conversations once, in the order of the log."""
        logs = {one: list_stored(one) for one in self.conversations}
        clients: list[Sender | Listener] = [*self.senders, *self.listeners]
        problems = [one.error_trace for one in clients if one.error_trace]
        problems += find_log_problems(logs, self.senders)
        return problems + [problem for one in self.listeners for problem in find_listener_problems(one, logs)]

    def format_figures(self) -> str:
        lines = []
        for kind in LISTEN_FUNCTIONS:
            own = [one for one in self.listeners if one.run is kind]
            sums = Counter[str]()
            for one in own:
                sums.update(
                    received=len(one.received),
                    history=len(one.from_history),
                    duplicates=one.duplicates,
                    lost=one.lost_connections,
                    gaps=one.gap_count,
                )
                sums.update(late=count_late_deliveries(one))
            name = kind.__module__.rpartition(".")[2]
            lines.append(f"{name}: {len(own)} listeners, " + ", ".join(f"{what} {sums[what]}" for what in sums))
        retries = sum(one.retries for one in self.senders)
        return "\n".join([f"{self.sent_count} messages sent by {len(self.senders)}, retries {retries}", *lines])


def create_soak_run(
    hospital: Hospital,
    listen_server: ServerProcess,
    send_server: ServerProcess,
    listeners: int,
    senders: int,
    each: int,
) -> SoakRun:
    """Create conversations of five, two of whom send `each` messages; each listener is in at least one."""
    random_source = random.Random(7)
    listening_users = [create_external_user(hospital, f"hearing-{n}") for n in range(listeners)]
    sending_users = [create_external_user(hospital, f"speaking-{n}") for n in range(senders)]
    conversations_of: dict[str, list[str]] = {one.token: [] for one in (*listening_users, *sending_users)}
    order = [*listening_users, *random_source.sample(listening_users, listeners // 2)]
    for n, start in enumerate(
        range(
            0,
            len(order) - CONVERSATION_SIZE + SENDERS_PER_CONVERSATION + 1,
            CONVERSATION_SIZE - SENDERS_PER_CONVERSATION,
        )
    ):
        people = [
            *dict.fromkeys(order[start : start + CONVERSATION_SIZE - SENDERS_PER_CONVERSATION]),
            sending_users[n % senders],
        ]
        people.append(sending_users[(n + 1 + n // senders) % senders])
        conversation = create_conversation_of(hospital, *dict.fromkeys(people))
        for one in dict.fromkeys(people):
            conversations_of[one.token].append(conversation)
    return SoakRun(
        [Sender(send_server.port, one.session, one.token, conversations_of[one.token], each) for one in sending_users],
        [
            Listener(
                LISTEN_FUNCTIONS[n % len(LISTEN_FUNCTIONS)], listen_server.port, one.token, conversations_of[one.token]
            )
            for n, one in enumerate(listening_users)
        ],
        sorted({conversation for found in conversations_of.values() for conversation in found}),
    )


def wait_for_progress(progress: Callable[[], int], done: Callable[[], bool]) -> None:
    """Wait until it is done or makes no progress."""
    last, until = progress(), monotonic() + STALL_TIMEOUT_SECONDS
    while not done() and monotonic() < until:
        sleep(0.02)
        if (now := progress()) != last:
            last, until = now, monotonic() + STALL_TIMEOUT_SECONDS


def find_log_problems(logs: dict[str, list[StoredMessage]], senders: list[Sender]) -> Iterator[str]:
    by_id = {entry.id: entry.text for log in logs.values() for entry in log}
    texts = Counter(by_id.values())
    yield from (f"{text} is stored {times} times" for text, times in texts.items() if times > 1)
    for one in senders:
        if len(one.acknowledged) != one.count:
            yield f"{one.name} has sent {len(one.acknowledged)} of {one.count}"
        yield from (
            f"{text} was acknowledged and is lost"
            for text, sent in one.acknowledged.items()
            if by_id.get(sent.id) != text
        )


def find_listener_problems(one: Listener, logs: dict[str, list[StoredMessage]]) -> Iterator[str]:
    name = f"{one.run.__module__.rpartition('.')[2]} listener"
    before = {b.id: a.id for conversation in one.conversations for a, b in pairwise(logs[conversation])}
    expected = {entry.id: entry.text for conversation in one.conversations for entry in logs[conversation]}
    yield from (f"{name} has not received {text}" for id, text in expected.items() if id not in one.received)
    yield from (f"{name} has received {message}" for id, message in one.received.items() if id not in expected)
    for conversation in one.conversations:
        own = [id for id in sorted(one.received) if one.received[id]["ConversationID"] == conversation]
        if own != [entry.id for entry in logs[conversation]]:
            yield f"{name} has another order than the log of {conversation}"
    for id in one.received.keys() - one.from_history:
        if one.received[id]["Content"] != expected.get(id) or one.received[id]["PreId"] != before.get(id, ""):
            yield f"{name} received different data of {id}: {one.received[id]}"


def count_late_deliveries(one: Listener) -> int:
    """Return how many messages were delivered after a later one of their conversation."""
    newest: dict[str, str] = {}
    found = 0
    for id, message in one.received.items():
        if id in one.from_history:
            continue
        conversation = message["ConversationID"]
        found += id < newest.get(conversation, "")
        newest[conversation] = max(id, newest.get(conversation, ""))
    return found
