"""What writers and readers may claim, held against the log as MySQL has it at the end. Each complaint is a sentence.

Times are seconds of the one monotonic clock that all processes share.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

GRACE_SECONDS = 10.0  # seconds in which other processes may not see what a process without Redis wrote


@dataclass(frozen=True)
class StoredMessage:
    """A message as MySQL has it."""

    seq: int
    id: str
    text: str
    withdrawn: bool = False


@dataclass(frozen=True)
class AcknowledgedWrite:
    """A send or a withdrawal that was acknowledged; `heard` by Redis or not. text is writer/number."""

    kind: str  # send, withdraw
    session: str
    id: str
    text: str
    acknowledged_at: float
    published: bool = True

    @property
    def visible_by(self) -> float:
        """When every reader must know."""
        return self.acknowledged_at if self.published else self.acknowledged_at + GRACE_SECONDS


@dataclass(frozen=True)
class ObservedRead:
    """A page as a process was given it, newest first: (id, text) of each message. older: not the newest page."""

    process: str
    session: str
    started_at: float
    ended_at: float
    page: tuple[tuple[str, str], ...]
    older: bool = False


StoredLogs = dict[str, list[StoredMessage]]  # by session


def find_problems(truth: StoredLogs, writes: list[AcknowledgedWrite], reads: list[ObservedRead]) -> list[str]:
    found: list[str] = []
    for session, log in truth.items():
        own_writes = [write for write in writes if write.session == session]
        own_reads = sorted((read for read in reads if read.session == session), key=lambda read: read.started_at)
        found += find_log_problems(log, own_writes)
        found += find_page_problems(log, own_reads)
        found += find_stale_reads(log, own_writes, own_reads)
        found += find_withdrawal_problems(log, own_writes, own_reads)
    return found


def find_log_problems(log: list[StoredMessage], writes: list[AcknowledgedWrite]) -> Iterator[str]:
    """Every acknowledged message is there, in its writer's order, once."""
    if [entry.seq for entry in log] != list(range(1, len(log) + 1)):
        yield "the log has a gap"
    if any(a.id >= b.id for a, b in pairwise(log)):
        yield "ids do not ascend"
    at: dict[str, list[StoredMessage]] = defaultdict(list)
    for entry in log:
        at[entry.text].append(entry)
    yield from (f"{text} is there {len(entries)} times" for text, entries in at.items() if len(entries) > 1)
    for write in writes:
        if write.id not in (entry.id for entry in at[write.text]):
            yield f"{write.text} was acknowledged and is lost"
        elif write.kind == "withdraw" and not at[write.text][0].withdrawn:
            yield f"{write.text} was withdrawn and is not"
    for writer, numbers in group_numbers_by_writer(log).items():
        if numbers != sorted(numbers):
            yield f"the messages of {writer} are out of order"


def group_numbers_by_writer(log: Iterable[StoredMessage]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for entry in log:
        writer, _, number = entry.text.rpartition("/")
        numbers[writer].append(int(number))
    return numbers


def find_page_problems(log: list[StoredMessage], reads: list[ObservedRead]) -> Iterator[str]:
    """No page has a hole, nor anything that MySQL does not hold."""
    by_id = {entry.id: entry for entry in log}
    for read in reads:
        if unknown := [id for id, _ in read.page if id not in by_id]:
            yield f"{read.process} was shown {unknown[0]}, which is not in MySQL"
            continue
        seqs = [by_id[id].seq for id, _ in read.page]
        if seqs and seqs != list(range(seqs[0], seqs[0] - len(seqs), -1)):
            yield f"{read.process} was given a page with a hole: {seqs}"
        for id, text in read.page:
            if text != by_id[id].text and (text or not by_id[id].withdrawn):
                yield f"{read.process} was shown {text!r} for {by_id[id].text}"


def find_stale_reads(
    log: list[StoredMessage], writes: list[AcknowledgedWrite], reads: list[ObservedRead]
) -> Iterator[str]:
    """The newest page holds what was due before it was asked for, and what the same process was shown before."""
    seq_of = {entry.id: entry.seq for entry in log}
    sends = sorted((write.visible_by, seq_of.get(write.id, 0)) for write in writes if write.kind == "send")
    times, highest = [due for due, _ in sends], list(accumulate((seq for _, seq in sends), max))
    seen: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for read in (read for read in reads if not read.older):
        newest = seq_of.get(read.page[0][0], 0) if read.page else 0
        due = bisect_left(times, read.started_at)
        if due and newest < highest[due - 1]:
            yield f"{read.process} was shown {newest} where {highest[due - 1]} had been acknowledged"
        before = max((seq for ended, seq in seen[read.process] if ended < read.started_at), default=0)
        if newest < before:
            yield f"{read.process} was shown {newest} after {before}"
        seen[read.process] = [(ended, seq) for ended, seq in seen[read.process] if seq >= before]
        seen[read.process].append((read.ended_at, newest))


def find_withdrawal_problems(
    log: list[StoredMessage], writes: list[AcknowledgedWrite], reads: list[ObservedRead]
) -> Iterator[str]:
    """A withdrawn text is shown to nobody, and never again to a process that was shown its tombstone."""
    text_of = {entry.id: entry.text for entry in log}
    due = {write.id: write.visible_by for write in writes if write.kind == "withdraw"}
    gone: dict[tuple[str, str], float] = {}
    for read in reads:
        for id, text in read.page:
            known = gone.get((read.process, id), float("inf"))
            if not text:
                gone[read.process, id] = min(known, read.ended_at)
            elif due.get(id, float("inf")) < read.started_at:
                yield f"{read.process} was shown {text_of.get(id)} after it was withdrawn"
            elif known < read.started_at:
                yield f"{read.process} was shown {text_of.get(id)} again"
