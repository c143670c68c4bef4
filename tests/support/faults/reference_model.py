"""A consultation as it should be, kept in memory: what each answer must be, or may be while Redis lags.

Two processes serve both sides. What a process wrote without Redis the other may not show until ten seconds are over,
and then must; no process shows less than it has shown before.
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
    hidden: int = 0


@dataclass
class KnownState:
    """The least that must be shown: so many messages, these withdrawn, each side's seat at least that new."""

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
        ]  # of each side, as it was and is
        self.known = [KnownState(), KnownState(), KnownState()]  # to each process

    @property
    def current(self) -> KnownState:
        return KnownState(len(self.log), self.withdrawn, [len(versions) - 1 for versions in self.participant_versions])

    def publish_to_all(self) -> None:
        for known in self.known:
            known.merge(self.current)

    def record_write(self, process: int, heard: bool, seq: int = 0) -> None:
        """A message (seq) or a withdrawal was acknowledged. Who could not tell Redis asks MySQL from then on."""
        if not heard:
            self.known[process].merge(self.current)
        for known in self.known if heard else []:
            known.merge(KnownState(seq, self.withdrawn))

    def record_participant_change(
        self, process: int, side: int, heard: bool, *, read: int = 0, hidden: int | None = None
    ) -> None:
        """A page was read, or an entry deleted, which tells of the seat in any case."""
        now = self.participant_versions[side][-1]
        moved = ModelParticipantState(max(now.read, read), max(now.hidden, hidden or 0))
        if moved == now and hidden is None:
            return
        if moved != now:
            self.participant_versions[side].append(moved)
        seats = [0, 0]
        seats[side] = len(self.participant_versions[side]) - 1
        for known in self.known if heard else [self.known[process]]:
            known.merge(KnownState(participant_versions=seats))

    def restart_process(self, process: int) -> None:
        """Another takes its place, and has seen nothing."""
        self.known[process] = KnownState()
        self.known[process].merge(self.known[NEW_PROCESS])

    def check_page(self, process: int, side: int, data: list[dict[str, Any]], size: int) -> int:
        """The newest page; return how many messages there were for whoever answered."""
        length = self.get_length_at(data[0]["msg_id"] if data else "")
        assert length >= self.known[process].length, f"shown {length}, known {self.known[process].length}"
        self.check_messages(process, side, data, self.log[max(length - size, 0) : length])
        self.known[process].merge(KnownState(length))
        return length

    def check_older_page(self, process: int, side: int, data: list[dict[str, Any]], before: int, size: int) -> None:
        """MySQL's own answer."""
        self.known[process].merge(
            KnownState(withdrawn=self.withdrawn & {said.id for said in self.log[:before][-size:]})
        )
        self.check_messages(process, side, data, self.log[max(before - size, 0) : before])

    def check_entry(self, process: int, side: int, entry: dict[str, Any] | None) -> None:
        """This session in a list, or that it is not there."""
        known, versions = self.known[process], self.participant_versions[side]
        length = self.get_length_at(entry["last_msg_id"] if entry else "")
        possible = [
            number
            for number in range(known.participant_versions[side], len(versions))
            if (
                self.count_unread(side, versions[number], length) == entry["unread"]
                and length > versions[number].hidden
                if entry
                else known.length <= versions[number].hidden
            )
        ]
        assert possible, f"{entry} where the seat is one of {versions[known.participant_versions[side] :]}"
        if entry:
            assert length >= known.length, f"listed at {length}, known {known.length}"
            self.check_text(process, entry["last_message"], self.log[length - 1])
        seats = [0, 0]
        seats[side] = possible[0]
        known.merge(KnownState(length, participant_versions=seats))

    def get_length_at(self, id: str) -> int:
        """How long the log was when this was its newest message."""
        return next(n for n, said in enumerate(["", *(said.id for said in self.log)]) if said == id)

    def count_unread(self, side: int, seat: ModelParticipantState, length: int) -> int:
        return sum(said.sender != side for said in self.log[seat.read : length])

    def check_messages(self, process: int, side: int, data: list[dict[str, Any]], expected: list[ModelMessage]) -> None:
        assert [one["msg_id"] for one in data] == [said.id for said in reversed(expected)]
        assert [one["from_to"] for one in data] == [int(said.sender != side) for said in reversed(expected)]
        for one, said in zip(data, reversed(expected), strict=True):
            self.check_text(process, one["message"], said)
            assert one["withdrawn"] == (one["message"] == "")

    def check_text(self, process: int, text: str, said: ModelMessage) -> None:
        if said.id in self.known[process].withdrawn:
            assert text == "", f"{said.text} was withdrawn"
        elif said.id in self.withdrawn:
            assert text in ("", said.text)
        else:
            assert text == said.text
        if text == "":
            self.known[process].merge(KnownState(withdrawn=frozenset([said.id])))
