"""Whoever comes, goes, is put out, speaks and reads, in whatever order and whatever becomes of Redis meanwhile: MySQL's
answers are right at once, and so is what Redis shows, or within ten seconds of what it did not hear of.

PROPERTY_STORIES=2000 PROPERTY_SEED=1000 bin/test tests/gateway/test_properties.py looks for longer, elsewhere.
"""

from dataclasses import dataclass, field
from itertools import count

from chalicelib.adapters import redis
from tests.support import gateway_client
from tests.support.conversation_log import build_redis_keys
from tests.support.factories import Hospital
from tests.support.faults import final_state
from tests.support.faults.random_scenarios import REDIS_KEY_PARTS, check_scenarios
from tests.support.faults.reference_model import PROCESSES
from tests.support.faults.two_processes import TwoProcesses

NAMES = ("guo", "han", "lin")
RUNS = count()
WEIGHTS = {
    "send": 6,
    "read": 8,
    "join": 4,
    "leave": 3,
    "put_out": 2,
    "bring": 3,
    "archive": 1,
    "look": 3,
    "count_unread": 3,
    "disturb": 1,
    "cut_off": 1,
}


@dataclass
class Seat:
    sits: bool = False
    had_one: bool = False
    put_out: bool = False
    read: int = 0


@dataclass
class Known:
    """The least that a process must show: so many messages, and that these people have gone."""

    length: int = 0
    gone: set[str] = field(default_factory=set)


class Room(TwoProcesses):
    """One conversation of Guo's, which Han and Lin may join."""

    def __init__(self, hospital: Hospital) -> None:
        super().__init__()
        run = next(RUNS)
        self.hospital = hospital
        self.people = {name: gateway_client.create_external_user(hospital, f"{name}-{run}") for name in NAMES}
        self.conversation = gateway_client.create_conversation(self.people["guo"])
        self.log: list[str] = []  # who said each message: its number is what was said
        self.seats = {name: Seat() for name in NAMES}
        self.seats["guo"] = Seat(sits=True, had_one=True)
        self.archived = False
        self.known = [Known(), Known()]  # to each process
        self.lags = False  # something was written that Redis did not hear of, less than ten seconds ago

    def send(self, who: str, process: int, trouble: list[str]) -> None:
        with self.request(process, trouble):
            status = gateway_client.send(self.people[who], self.conversation, str(len(self.log))).status
        sits = self.seats[who].sits
        assert status == (404 if not sits else 403 if self.archived else 200)
        if status == 200:
            self.log.append(who)
            self.lags |= not self.published
            for known in self.known if self.published else [self.known[process]]:
                known.length = len(self.log)

    def read(self, who: str, process: int, trouble: list[str]) -> None:
        with self.request(process, trouble):
            answer = gateway_client.get_last_30(self.people[who], self.conversation)
        seat, known = self.seats[who], self.known[process]
        if answer.status == 404:
            assert not seat.sits
            known.gone.add(who)
            return
        assert seat.sits or who not in known.gone, f"{who} has gone, and reads"
        shown = [int(content) for content in gateway_client.list_contents(answer)]
        length = shown[-1] + 1 if shown else 0
        assert known.length <= length <= len(self.log), f"shown {length}, known {known.length}"
        assert shown == list(range(length))[-30:]
        known.length = length
        if seat.sits:
            seat.read = max(seat.read, length)
            self.lags |= not self.published

    def join(self, who: str, process: int, trouble: list[str]) -> None:
        with self.request(process, trouble):
            status = gateway_client.join(self.people[who], self.conversation).status
        seat = self.seats[who]
        assert status == (200 if seat.sits else 403 if seat.put_out or self.archived else 200)
        if status == 200:
            self.sat(who)

    def leave(self, who: str, process: int, trouble: list[str]) -> None:
        with self.request(process, trouble):
            status = gateway_client.leave(self.people[who], self.conversation).status
        assert status == (200 if self.seats[who].had_one else 404)
        if status == 200:
            self.stood(who, process)

    def put_out(self, who: str, process: int, trouble: list[str]) -> None:
        with self.request(process, trouble):
            assert gateway_client.remove_participants(self.hospital, self.conversation, self.people[who]).status == 200
        self.seats[who].put_out = self.seats[who].had_one
        self.stood(who, process)

    def bring(self, who: str, process: int, trouble: list[str]) -> None:
        with self.request(process, trouble):
            assert gateway_client.add_participants(self.hospital, self.conversation, self.people[who]).status == 200
        self.sat(who)

    def archive(self, process: int, trouble: list[str]) -> None:
        self.archived = not self.archived
        with self.request(process, trouble):
            assert gateway_client.archive(self.hospital, self.conversation, is_archive=self.archived).status == 200

    def look(self, who: str, process: int, trouble: list[str]) -> None:
        """What MySQL alone is asked for."""
        with self.request(process, trouble):
            joined = gateway_client.is_joined(self.people[who], self.conversation)
            detail = gateway_client.call_on_conversation(self.people[who], "get_conversation_detail", self.conversation)
        assert joined == (detail.status == 200) == self.seats[who].sits
        if joined:
            assert detail.data["IsArchive"] is self.archived
            last = self.people[self.log[-1]].session if self.log else ""
            assert detail.data["LastSendSession"] == last

    def count_unread(self, who: str, process: int, trouble: list[str]) -> None:
        if not self.seats[who].sits or self.lags:
            return
        with self.request(process, trouble):
            unread = gateway_client.count_unread(self.people[who], self.conversation)
        assert unread == sum(sender != who for sender in self.log[self.seats[who].read :])

    def disturb(self, what: str) -> None:
        if what == "flush":
            redis.get_client().flushall()
        elif what in REDIS_KEY_PARTS:
            redis.get_client().delete(build_redis_keys(self.conversation)[REDIS_KEY_PARTS.index(what)])
        else:
            if what == "a minute":
                final_state.age_write_intents(self.conversation)
            final_state.age_cache(self.conversation)
            self.everybody_knows()

    def end(self) -> None:
        self.cut = [0, 0]
        self.disturb("ten seconds")
        for who in NAMES:
            for process in PROCESSES:
                self.count_unread(who, process, [])
                self.read(who, process, [])
                self.look(who, process, [])

    def sat(self, who: str) -> None:
        if not self.seats[who].sits:
            self.seats[who] = Seat(sits=True, had_one=True, read=len(self.log))
        self.lags |= not self.published
        for known in self.known:
            known.gone.discard(who)

    def stood(self, who: str, process: int) -> None:
        self.seats[who].sits = False
        self.lags |= not self.published
        for known in self.known if self.published else [self.known[process]]:
            known.gone.add(who)

    def everybody_knows(self) -> None:
        self.lags = False
        for known in self.known:
            known.length = len(self.log)
            known.gone = {name for name in NAMES if not self.seats[name].sits}


def test_all_responses_match_model(hospital: Hospital) -> None:
    check_scenarios(Room, WEIGHTS, hospital)
