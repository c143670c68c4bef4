"""Compare what writers and readers observed with the log that MySQL has at the end. Each problem is a sentence.

Times are seconds of the monotonic clock that all processes share.
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
    """An acknowledged send or withdrawal, `published` to Redis or not. Its text is writer/number."""

    kind: str  # send, withdraw
    session: str
    id: str
    text: str
    acknowledged_at: float
    published: bool = True

    @property
    def visible_by(self) -> float:
        """The time from which every reader must see it."""
        return self.acknowledged_at if self.published else self.acknowledged_at + GRACE_SECONDS


@dataclass(frozen=True)
class ObservedRead:
    """A page that a process received, newest first: (id, text) of each message. older: not the newest page."""

    process: str
    session: str
    started_at: float
    ended_at: float
    page: tuple[tuple[str, str], ...]
    older: bool = False


StoredLogs = dict[str, list[StoredMessage]]  # by session


def find_problems(stored: StoredLogs, writes: list[AcknowledgedWrite], reads: list[ObservedRead]) -> list[str]:
    found: list[str] = []
    for session, log in stored.items():
        own_writes = [write for write in writes if write.session == session]
        own_reads = sorted((read for read in reads if read.session == session), key=lambda read: read.started_at)
        found += find_log_problems(log, own_writes)
        found += find_page_problems(log, own_reads)
        found += find_stale_reads(log, own_writes, own_reads)
        found += find_withdrawal_problems(log, own_writes, own_reads)
    return found


def find_log_problems(log: list[StoredMessage], writes: list[AcknowledgedWrite]) -> Iterator[str]:
    """Find acknowledged messages that are lost, stored twice or out of their writer's order."""
    if [entry.seq for entry in log] != list(range(1, len(log) + 1)):
        yield "the log has a gap"
    if any(a.id >= b.id for a, b in pairwise(log)):
        yield "ids do not ascend"
    at: dict[str, list[StoredMessage]] = defaultdict(list)
    for entry in log:
        at[entry.text].append(entry)
    yield from (f"{text} is stored {len(entries)} times" for text, entries in at.items() if len(entries) > 1)
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
    """Find pages with a gap or with messages that MySQL does not have."""
    by_id = {entry.id: entry for entry in log}
    for read in reads:
        if unknown := [id for id, _ in read.page if id not in by_id]:
            yield f"{read.process} was shown {unknown[0]}, which is not in MySQL"
            continue
        seqs = [by_id[id].seq for id, _ in read.page]
        if seqs and seqs != list(range(seqs[0], seqs[0] - len(seqs), -1)):
            yield f"{read.process} received a page with a gap: {seqs}"
        for id, text in read.page:
            if text != by_id[id].text and (text or not by_id[id].withdrawn):
                yield f"{read.process} was shown {text!r} for {by_id[id].text}"


def find_stale_reads(
    log: list[StoredMessage], writes: list[AcknowledgedWrite], reads: list[ObservedRead]
) -> Iterator[str]:
    """Find newest pages without what was required when they were requested, or what the same process had shown."""
    seq_of = {entry.id: entry.seq for entry in log}
    sends = sorted((write.visible_by, seq_of.get(write.id, 0)) for write in writes if write.kind == "send")
    times, highest = [required for required, _ in sends], list(accumulate((seq for _, seq in sends), max))
    seen: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for read in (read for read in reads if not read.older):
        newest = seq_of.get(read.page[0][0], 0) if read.page else 0
        required = bisect_left(times, read.started_at)
        if required and newest < highest[required - 1]:
            yield f"{read.process} was shown {newest} where {highest[required - 1]} had been acknowledged"
        before = max((seq for ended, seq in seen[read.process] if ended < read.started_at), default=0)
        if newest < before:
            yield f"{read.process} was shown {newest} after {before}"
        seen[read.process] = [(ended, seq) for ended, seq in seen[read.process] if seq >= before]
        seen[read.process].append((read.ended_at, newest))


def find_withdrawal_problems(
    log: list[StoredMessage], writes: list[AcknowledgedWrite], reads: list[ObservedRead]
) -> Iterator[str]:
    """Find withdrawn texts that were shown too late, or by a process that had shown the tombstone."""
    text_of = {entry.id: entry.text for entry in log}
    required = {write.id: write.visible_by for write in writes if write.kind == "withdraw"}
    tombstone_seen: dict[tuple[str, str], float] = {}
    for read in reads:
        for id, text in read.page:
            known = tombstone_seen.get((read.process, id), float("inf"))
            if not text:
                tombstone_seen[read.process, id] = min(known, read.ended_at)
            elif required.get(id, float("inf")) < read.started_at:
                yield f"{read.process} was shown {text_of.get(id)} after it was withdrawn"
            elif known < read.started_at:
                yield f"{read.process} was shown {text_of.get(id)} again"
