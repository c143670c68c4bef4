"""A model of a consultation in memory: what each response must be, or may be while Redis lags.

Two processes serve both sides. What a process wrote without Redis the other need not show until ten seconds have
passed, and then must; no process shows less than it has shown before.
"""

from dataclasses import dataclass, field
from typing import Any

SIDES = PROCESSES = (0, 1)
NEW_PROCESS = 2  # a process that has only just started


@dataclass(frozen=True)
class ModelMessage:
    id: str
    sender: int
    text: str


@dataclass(frozen=True)
class ModelParticipantState:
    read: int = 0
    hidden: int = -1  # an entry is listed while the log is longer: without messages too, until it is deleted


@dataclass
class KnownState:
    """The least that must be shown: so many messages, these withdrawals, each side's state at least of this version."""

    length: int = 0
    withdrawn: frozenset[str] = frozenset()
    participant_versions: list[int] = field(default_factory=lambda: [0, 0])

    def merge(self, other: "KnownState") -> None:
        self.length = max(self.length, other.length)
        self.withdrawn |= other.withdrawn
        self.participant_versions = [
            max(a, b) for a, b in zip(self.participant_versions, other.participant_versions, strict=True)
        ]


class ReferenceModel:
    def __init__(self) -> None:
        self.log: list[ModelMessage] = []
        self.withdrawn: frozenset[str] = frozenset()
        self.participant_versions: list[list[ModelParticipantState]] = [
            [ModelParticipantState()],
            [ModelParticipantState()],
        ]  # of each side, oldest first
        self.known = [KnownState(), KnownState(), KnownState()]  # to each process

    @property
    def current(self) -> KnownState:
        return KnownState(len(self.log), self.withdrawn, [len(versions) - 1 for versions in self.participant_versions])

    def publish_to_all(self) -> None:
        for known in self.known:
            known.merge(self.current)

    def record_write(self, process: int, published: bool, seq: int = 0) -> None:
        """Record an acknowledged message (seq) or withdrawal. A process that could not reach Redis then reads MySQL."""
        if not published:
            self.known[process].merge(self.current)
        for known in self.known if published else []:
            known.merge(KnownState(seq, self.withdrawn))

    def record_participant_change(
        self, process: int, side: int, published: bool, *, read: int = 0, hidden: int | None = None
    ) -> None:
        """Record that a page was read or an entry deleted. A deletion publishes the state in any case."""
        now = self.participant_versions[side][-1]
        moved = ModelParticipantState(max(now.read, read), now.hidden if hidden is None else max(now.hidden, hidden))
        if moved == now and hidden is None:
            return
        if moved != now:
            self.participant_versions[side].append(moved)
        new_versions = [0, 0]
        new_versions[side] = len(self.participant_versions[side]) - 1
        for known in self.known if published else [self.known[process]]:
            known.merge(KnownState(participant_versions=new_versions))

    def restart_process(self, process: int) -> None:
        """Record that a new process, which knows nothing, replaces this one."""
        self.known[process] = KnownState()
        self.known[process].merge(self.known[NEW_PROCESS])

    def check_page(self, process: int, side: int, data: list[dict[str, Any]], size: int) -> int:
        """Check the newest page; return the length of the log that it shows."""
        length = self.get_length_at(data[0]["msg_id"] if data else "")
        assert length >= self.known[process].length, f"shown {length}, known {self.known[process].length}"
        self.check_messages(process, side, data, self.log[max(length - size, 0) : length])
        self.known[process].merge(KnownState(length))
        return length

    def check_older_page(self, process: int, side: int, data: list[dict[str, Any]], before: int, size: int) -> None:
        """Check a page that is read from MySQL."""
        self.known[process].merge(
            KnownState(withdrawn=self.withdrawn & {message.id for message in self.log[:before][-size:]})
        )
        self.check_messages(process, side, data, self.log[max(before - size, 0) : before])

    def check_entry(self, process: int, side: int, entry: dict[str, Any] | None) -> None:
        """Check this session's entry in a list, None if it is not listed."""
        known, versions = self.known[process], self.participant_versions[side]
        length = self.get_listed_length(entry["last_msg_id"] if entry else "")
        possible = [
            number
            for number in range(known.participant_versions[side], len(versions))
            if (
                entry["unread"] in self.list_unread_counts(process, side, versions[number], length)
                and length > versions[number].hidden
                if entry
                else known.length <= versions[number].hidden
            )
        ]
        assert possible, f"{entry} where the state is one of {versions[known.participant_versions[side] :]}"
        if entry:
            assert length >= known.length, f"listed at {length}, known {known.length}"
            if length:
                self.check_text(process, entry["last_message"], self.log[length - 1])
            else:
                assert entry["last_message"] == ""
        new_versions = [0, 0]
        new_versions[side] = possible[0]
        known.merge(KnownState(length, participant_versions=new_versions))

    def get_length_at(self, id: str) -> int:
        """Return the length of the log when this was its newest message."""
        return next(n for n, message in enumerate(["", *(message.id for message in self.log)]) if message == id)

    def get_listed_length(self, id: str) -> int:
        """Return the length of the log that an entry of a list shows: 0 for an id that is no message's."""
        return self.get_length_at(id) if any(message.id == id for message in self.log) else 0

    def list_unread_counts(self, process: int, side: int, state: ModelParticipantState, length: int) -> range:
        """Return the possible unread counts: withdrawals that the process need not show yet may be counted or not."""
        ids = {message.id for message in self.log[state.read : length] if message.sender != side}
        return range(len(ids - self.withdrawn), len(ids - self.known[process].withdrawn) + 1)

    def check_messages(self, process: int, side: int, data: list[dict[str, Any]], expected: list[ModelMessage]) -> None:
        assert [one["msg_id"] for one in data] == [message.id for message in reversed(expected)]
        assert [one["from_to"] for one in data] == [int(message.sender != side) for message in reversed(expected)]
        for one, message in zip(data, reversed(expected), strict=True):
            self.check_text(process, one["message"], message)
            assert one["withdrawn"] == (one["message"] == "")

    def check_text(self, process: int, text: str, message: ModelMessage) -> None:
        if message.id in self.known[process].withdrawn:
            assert text == "", f"{message.text} was withdrawn"
        elif message.id in self.withdrawn:
            assert text in ("", message.text)
        else:
            assert text == message.text
        if text == "":
            self.known[process].merge(KnownState(withdrawn=frozenset([message.id])))
