"""Random scenarios of joins, leaves, removals, messages and reads with Redis faults, compared with a model.

Responses from MySQL must be right at once; those from Redis too, or within ten seconds of a change that did not reach
it. PROPERTY_SCENARIOS=2000 PROPERTY_SEED=1000 bin/test tests/gateway/test_properties.py runs other and more scenarios.
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
    "remove": 2,
    "add": 3,
    "archive": 1,
    "check_details": 3,
    "count_unread": 3,
    "disturb": 1,
    "cut_off": 1,
}


@dataclass
class ModelParticipant:
    joined: bool = False
    was_member: bool = False
    removed: bool = False
    read: int = 0


@dataclass
class KnownState:
    """The least that a process must show: so many messages, and no access for these users."""

    length: int = 0
    denied: set[str] = field(default_factory=set)


class ModelConversation(TwoProcesses):
    """One conversation of Guo, which Han and Lin may join."""

    def __init__(self, hospital: Hospital) -> None:
        super().__init__()
        run = next(RUNS)
        self.hospital = hospital
        self.people = {name: gateway_client.create_external_user(hospital, f"{name}-{run}") for name in NAMES}
        self.conversation = gateway_client.create_conversation(self.people["guo"])
        self.log: list[str] = []  # sender of each message, whose text is its index
        self.participants = {name: ModelParticipant() for name in NAMES}
        self.participants["guo"] = ModelParticipant(joined=True, was_member=True)
        self.archived = False
        self.known = [KnownState(), KnownState()]  # to each process
        self.lags = False  # a change did not reach Redis less than ten seconds ago

    def send(self, user: str, process: int, faults: list[str]) -> None:
        with self.request(process, faults):
            status = gateway_client.send(self.people[user], self.conversation, str(len(self.log))).status
        joined = self.participants[user].joined
        assert status == (404 if not joined else 403 if self.archived else 200)
        if status == 200:
            self.log.append(user)
            self.lags |= not self.published
            for known in self.known if self.published else [self.known[process]]:
                known.length = len(self.log)

    def read(self, user: str, process: int, faults: list[str]) -> None:
        with self.request(process, faults):
            response = gateway_client.get_last_30(self.people[user], self.conversation)
        participant, known = self.participants[user], self.known[process]
        if response.status == 404:
            assert not participant.joined
            known.denied.add(user)
            return
        assert participant.joined or user not in known.denied, f"{user} is no member and reads"
        shown = [int(content) for content in gateway_client.list_contents(response)]
        length = shown[-1] + 1 if shown else 0
        assert known.length <= length <= len(self.log), f"shown {length}, known {known.length}"
        assert shown == list(range(length))[-30:]
        known.length = length
        if participant.joined:
            participant.read = max(participant.read, length)
            self.lags |= not self.published

    def join(self, user: str, process: int, faults: list[str]) -> None:
        with self.request(process, faults):
            status = gateway_client.join(self.people[user], self.conversation).status
        participant = self.participants[user]
        assert status == (200 if participant.joined else 403 if participant.removed or self.archived else 200)
        if status == 200:
            self.set_joined(user)

    def leave(self, user: str, process: int, faults: list[str]) -> None:
        with self.request(process, faults):
            status = gateway_client.leave(self.people[user], self.conversation).status
        assert status == (200 if self.participants[user].was_member else 404)
        if status == 200:
            self.set_left(user, process)

    def remove(self, user: str, process: int, faults: list[str]) -> None:
        with self.request(process, faults):
            assert gateway_client.remove_participants(self.hospital, self.conversation, self.people[user]).status == 200
        self.participants[user].removed = self.participants[user].was_member
        self.set_left(user, process)

    def add(self, user: str, process: int, faults: list[str]) -> None:
        with self.request(process, faults):
            assert gateway_client.add_participants(self.hospital, self.conversation, self.people[user]).status == 200
        self.set_joined(user)

    def archive(self, process: int, faults: list[str]) -> None:
        self.archived = not self.archived
        with self.request(process, faults):
            assert gateway_client.archive(self.hospital, self.conversation, is_archive=self.archived).status == 200

    def check_details(self, user: str, process: int, faults: list[str]) -> None:
        """Check what is read from MySQL alone."""
        with self.request(process, faults):
            joined = gateway_client.is_joined(self.people[user], self.conversation)
            detail = gateway_client.call_on_conversation(
                self.people[user], "get_conversation_detail", self.conversation
            )
        assert joined == (detail.status == 200) == self.participants[user].joined
        if joined:
            assert detail.data["IsArchive"] is self.archived
            last = self.people[self.log[-1]].session if self.log else ""
            assert detail.data["LastSendSession"] == last

    def count_unread(self, user: str, process: int, faults: list[str]) -> None:
        if not self.participants[user].joined or self.lags:
            return
        with self.request(process, faults):
            unread = gateway_client.count_unread(self.people[user], self.conversation)
        assert unread == sum(sender != user for sender in self.log[self.participants[user].read :])

    def disturb(self, disturbance: str) -> None:
        if disturbance == "flush":
            redis.get_client().flushall()
        elif disturbance in REDIS_KEY_PARTS:
            redis.get_client().delete(build_redis_keys(self.conversation)[REDIS_KEY_PARTS.index(disturbance)])
        else:
            if disturbance == "a minute":
                final_state.age_write_intents(self.conversation)
            final_state.age_cache(self.conversation)
            self.publish_to_all()

    def end(self) -> None:
        self.cut_requests = [0, 0]
        self.disturb("ten seconds")
        for user in NAMES:
            for process in PROCESSES:
                self.count_unread(user, process, [])
                self.read(user, process, [])
                self.check_details(user, process, [])

    def set_joined(self, user: str) -> None:
        if not self.participants[user].joined:
            self.participants[user] = ModelParticipant(joined=True, was_member=True, read=len(self.log))
        self.lags |= not self.published
        for known in self.known:
            known.denied.discard(user)

    def set_left(self, user: str, process: int) -> None:
        self.participants[user].joined = False
        self.lags |= not self.published
        for known in self.known if self.published else [self.known[process]]:
            known.denied.add(user)

    def publish_to_all(self) -> None:
        self.lags = False
        for known in self.known:
            known.length = len(self.log)
            known.denied = {name for name in NAMES if not self.participants[name].joined}


def test_all_responses_match_model(hospital: Hospital) -> None:
    check_scenarios(ModelConversation, WEIGHTS, hospital)
