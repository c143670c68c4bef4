"""A consultation as it should be, kept in memory: what each answer must be, or may be while Redis lags.

Two processes serve both sides. What a process wrote without Redis the other may not show until ten seconds are over,
and then must; no process shows less than it has shown before.
"""

from dataclasses import dataclass, field
from typing import Any

SIDES = PROCESSES = (0, 1)
NEW = 2  # a process that has only just started


@dataclass(frozen=True)
class Said:
    id: str
    sender: int
    text: str


@dataclass(frozen=True)
class Seat:
    read: int = 0
    hidden: int = 0


@dataclass
class Known:
    """The least that must be shown: so many messages, these withdrawn, each side's seat at least that new."""

    length: int = 0
    withdrawn: frozenset[str] = frozenset()
    seats: list[int] = field(default_factory=lambda: [0, 0])

    def learn(self, other: "Known") -> None:
        self.length = max(self.length, other.length)
        self.withdrawn |= other.withdrawn
        self.seats = [max(a, b) for a, b in zip(self.seats, other.seats, strict=True)]


class Model:
    def __init__(self) -> None:
        self.log: list[Said] = []
        self.withdrawn: frozenset[str] = frozenset()
        self.seats: list[list[Seat]] = [[Seat()], [Seat()]]  # of each side, as it was and is
        self.known = [Known(), Known(), Known()]  # to each process

    @property
    def truth(self) -> Known:
        return Known(len(self.log), self.withdrawn, [len(versions) - 1 for versions in self.seats])

    def everybody_knows(self) -> None:
        for known in self.known:
            known.learn(self.truth)

    def wrote(self, process: int, heard: bool, seq: int = 0) -> None:
        """A message (seq) or a withdrawal was acknowledged. Who could not tell Redis asks MySQL from then on."""
        if not heard:
            self.known[process].learn(self.truth)
        for known in self.known if heard else []:
            known.learn(Known(seq, self.withdrawn))

    def sat(self, process: int, side: int, heard: bool, *, read: int = 0, hidden: int | None = None) -> None:
        """A page was read, or an entry deleted, which tells of the seat in any case."""
        now = self.seats[side][-1]
        moved = Seat(max(now.read, read), max(now.hidden, hidden or 0))
        if moved == now and hidden is None:
            return
        if moved != now:
            self.seats[side].append(moved)
        seats = [0, 0]
        seats[side] = len(self.seats[side]) - 1
        for known in self.known if heard else [self.known[process]]:
            known.learn(Known(seats=seats))

    def died(self, process: int) -> None:
        """Another takes its place, and has seen nothing."""
        self.known[process] = Known()
        self.known[process].learn(self.known[NEW])

    def check_page(self, process: int, side: int, data: list[dict[str, Any]], size: int) -> int:
        """The newest page; return how many messages there were for whoever answered."""
        length = self.length_by(data[0]["msg_id"] if data else "")
        assert length >= self.known[process].length, f"shown {length}, known {self.known[process].length}"
        self.check_messages(process, side, data, self.log[max(length - size, 0) : length])
        self.known[process].learn(Known(length))
        return length

    def check_older(self, process: int, side: int, data: list[dict[str, Any]], before: int, size: int) -> None:
        """MySQL's own answer."""
        self.known[process].learn(Known(withdrawn=self.withdrawn & {said.id for said in self.log[:before][-size:]}))
        self.check_messages(process, side, data, self.log[max(before - size, 0) : before])

    def check_entry(self, process: int, side: int, entry: dict[str, Any] | None) -> None:
        """This session in a list, or that it is not there."""
        known, versions = self.known[process], self.seats[side]
        length = self.length_by(entry["last_msg_id"] if entry else "")
        possible = [
            number
            for number in range(known.seats[side], len(versions))
            if (
                self.unread(side, versions[number], length) == entry["unread"] and length > versions[number].hidden
                if entry
                else known.length <= versions[number].hidden
            )
        ]
        assert possible, f"{entry} where the seat is one of {versions[known.seats[side] :]}"
        if entry:
            assert length >= known.length, f"listed at {length}, known {known.length}"
            self.check_text(process, entry["last_message"], self.log[length - 1])
        seats = [0, 0]
        seats[side] = possible[0]
        known.learn(Known(length, seats=seats))

    def length_by(self, id: str) -> int:
        """How long the log was when this was its newest message."""
        return next(n for n, said in enumerate(["", *(said.id for said in self.log)]) if said == id)

    def unread(self, side: int, seat: Seat, length: int) -> int:
        return sum(said.sender != side for said in self.log[seat.read : length])

    def check_messages(self, process: int, side: int, data: list[dict[str, Any]], expected: list[Said]) -> None:
        assert [one["msg_id"] for one in data] == [said.id for said in reversed(expected)]
        assert [one["from_to"] for one in data] == [int(said.sender != side) for said in reversed(expected)]
        for one, said in zip(data, reversed(expected), strict=True):
            self.check_text(process, one["message"], said)
            assert one["withdrawn"] == (one["message"] == "")

    def check_text(self, process: int, text: str, said: Said) -> None:
        if said.id in self.known[process].withdrawn:
            assert text == "", f"{said.text} was withdrawn"
        elif said.id in self.withdrawn:
            assert text in ("", said.text)
        else:
            assert text == said.text
        if text == "":
            self.known[process].learn(Known(withdrawn=frozenset([said.id])))
