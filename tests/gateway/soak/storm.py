"""Many who listen, some who speak, and what goes wrong meanwhile."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from threading import Event, Thread
from time import monotonic, sleep

from tests.faults.aftermath import stored
from tests.faults.checker import Entry
from tests.gateway.soak import poll, sse, ws
from tests.gateway.soak.gateway import Gateway
from tests.gateway.soak.listener import Listener
from tests.gateway.soak.sender import Sender
from tests.gateway.talk import seated, visitor
from tests.people import Hospital

KINDS = (poll.run, sse.run, ws.run)
SIZE, SPEAKING = 5, 2  # people of a conversation, and those of them who speak
PATIENCE = 20.0  # seconds in which something must get on
CUT_EVERY = 0.1  # seconds


@dataclass
class Storm:
    senders: list[Sender]
    listeners: list[Listener]
    conversations: list[str]

    def __post_init__(self) -> None:
        self.over = Event()
        self.chance = random.Random(4)

    def begin(self) -> None:
        """Everybody listens before anybody speaks."""
        self.listening = [one.start() for one in self.listeners]
        for one in self.listeners:
            assert one.ready.wait(PATIENCE), one.crash or "it does not come to listen"
        self.speaking = [one.start() for one in self.senders]
        self.cutting = Thread(target=self.cut_some, daemon=True)
        self.cutting.start()

    def cut_some(self) -> None:
        while not self.over.wait(CUT_EVERY):
            self.chance.choice(self.listeners).cut()

    def after(self, part: float) -> None:
        """Wait until so much of everything has been said."""
        wanted = part * sum(one.count for one in self.senders)
        wait_patiently(lambda: self.said, lambda: self.said >= wanted or any(one.crash for one in self.senders))

    @property
    def said(self) -> int:
        return sum(len(one.acked) for one in self.senders)

    @property
    def heard(self) -> int:
        return sum(len(one.heard) for one in self.listeners)

    def end(self) -> None:
        """Wait until everything is said and heard."""
        self.after(1)
        self.over.set()
        self.cutting.join()
        wanted = self.wanted()
        wait_patiently(lambda: self.heard, lambda: all(len(one.heard) >= wanted[one.token] for one in self.listeners))
        for one in self.listeners:
            one.over.set()
            one.cut()
        for thread in self.listening:
            thread.join(PATIENCE)

    def wanted(self) -> dict[str, int]:
        """Return how many messages each listener must have heard, by token."""
        sizes = {where: len(stored(where)) for where in self.conversations}
        return {one.token: sum(sizes[where] for where in one.conversations) for one in self.listeners}

    def complaints(self) -> list[str]:
        """What is wrong; [] if every listener has every message of its conversations once, in the log's order."""
        logs = {one: stored(one) for one in self.conversations}
        everybody: list[Sender | Listener] = [*self.senders, *self.listeners]
        wrong = [one.crash for one in everybody if one.crash]
        wrong += about_logs(logs, self.senders)
        return wrong + [complaint for one in self.listeners for complaint in about_listener(one, logs)]

    def figures(self) -> str:
        lines = []
        for kind in KINDS:
            own = [one for one in self.listeners if one.run is kind]
            sums = Counter[str]()
            for one in own:
                sums.update(heard=len(one.heard), history=len(one.read), again=one.again, lost=one.lost, gaps=one.gaps)
                sums.update(late=late(one))
            name = kind.__module__.rpartition(".")[2]
            lines.append(f"{name}: {len(own)} listeners, " + ", ".join(f"{what} {sums[what]}" for what in sums))
        again = sum(one.repeated for one in self.senders)
        return "\n".join([f"{self.said} messages said by {len(self.senders)}, again {again}", *lines])


def made(hospital: Hospital, to_hear: Gateway, to_speak: Gateway, listeners: int, senders: int, each: int) -> Storm:
    """Conversations of five, two of whom speak; each listener is in one at least. Each sender says so much."""
    chance = random.Random(7)
    hearing = [visitor(hospital, f"hearing-{n}") for n in range(listeners)]
    speaking = [visitor(hospital, f"speaking-{n}") for n in range(senders)]
    places: dict[str, list[str]] = {one.token: [] for one in (*hearing, *speaking)}
    order = [*hearing, *chance.sample(hearing, listeners // 2)]
    for n, start in enumerate(range(0, len(order) - SIZE + SPEAKING + 1, SIZE - SPEAKING)):
        people = [*dict.fromkeys(order[start : start + SIZE - SPEAKING]), speaking[n % senders]]
        people.append(speaking[(n + 1 + n // senders) % senders])
        conversation = seated(hospital, *dict.fromkeys(people))
        for one in dict.fromkeys(people):
            places[one.token].append(conversation)
    return Storm(
        [Sender(to_speak.port, one.session, one.token, places[one.token], each) for one in speaking],
        [Listener(KINDS[n % len(KINDS)], to_hear.port, one.token, places[one.token]) for n, one in enumerate(hearing)],
        sorted({conversation for found in places.values() for conversation in found}),
    )


def wait_patiently(progress: Callable[[], int], done: Callable[[], bool]) -> None:
    """Wait until it is done, or does not get on."""
    seen, until = progress(), monotonic() + PATIENCE
    while not done() and monotonic() < until:
        sleep(0.02)
        if (now := progress()) != seen:
            seen, until = now, monotonic() + PATIENCE


def about_logs(logs: dict[str, list[Entry]], senders: list[Sender]) -> Iterator[str]:
    by_id = {entry.id: entry.text for log in logs.values() for entry in log}
    texts = Counter(by_id.values())
    yield from (f"{text} is there {times} times" for text, times in texts.items() if times > 1)
    for one in senders:
        if len(one.acked) != one.count:
            yield f"{one.name} has said {len(one.acked)} of {one.count}"
        yield from (f"{text} was acknowledged and is lost" for text, id in one.acked.items() if by_id.get(id) != text)


def about_listener(one: Listener, logs: dict[str, list[Entry]]) -> Iterator[str]:
    name = f"{one.run.__module__.rpartition('.')[2]} listener"
    before = {b.id: a.id for where in one.conversations for a, b in pairwise(logs[where])}
    wanted = {entry.id: entry.text for where in one.conversations for entry in logs[where]}
    yield from (f"{name} has not heard {text}" for id, text in wanted.items() if id not in one.heard)
    yield from (f"{name} has heard {message}" for id, message in one.heard.items() if id not in wanted)
    for where in one.conversations:
        own = [id for id in sorted(one.heard) if one.heard[id]["ConversationID"] == where]
        if own != [entry.id for entry in logs[where]]:
            yield f"{name} has another order than the log of {where}"
    for id in one.heard.keys() - one.read:
        if one.heard[id]["Content"] != wanted.get(id) or one.heard[id]["PreId"] != before.get(id, ""):
            yield f"{name} was told another thing of {id}: {one.heard[id]}"


def late(one: Listener) -> int:
    """Return how many messages were delivered after a later one of their conversation."""
    newest: dict[str, str] = {}
    found = 0
    for id, message in one.heard.items():
        if id in one.read:
            continue
        where = message["ConversationID"]
        found += id < newest.get(where, "")
        newest[where] = max(id, newest.get(where, ""))
    return found
