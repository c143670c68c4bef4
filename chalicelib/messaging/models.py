"""What the conversation log holds, whatever protocol it came by."""

import json
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple


class MessageType(IntEnum):
    """The types that the server knows. Clients of the gateway may use numbers of their own."""

    TEXT = 0
    IMAGE = 1


class ConversationKind(StrEnum):
    """Which protocol created a conversation, and who may join it."""

    CONSULT = "consult"  # a patient and a doctor
    DIRECT = "direct"  # two persons
    DESK = "desk"  # a patient and the agent who serves them
    ANNOUNCEMENT = "notice"  # from the hospital to one person
    CLIENT = "client"  # created by a participant: whoever knows the id may join
    SERVICE = "service"  # created by a hospital's own system, which alone adds participants


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message about to be sent. idempotency_key is unique for one sender and endpoint."""

    content: str
    endpoint: str
    idempotency_key: str | None = None
    type: int = MessageType.TEXT
    object_key: str = ""
    status: int = 0  # the client's own
    # A statement that enqueues jobs for the message, run in the packet that writes it. It may use the variables
    # @conversation and @seq (NULL if nothing was written) and the parameters %(sender)s and %(now)s.
    enqueue_sql: str = ""
    extra: str = ""  # the client's own too, beside the content
    closes_conversation: bool = False  # the conversation: nothing is said after it


class Message(NamedTuple):
    """One entry of the log. A withdrawn one keeps its place, but neither content, object_key nor extra."""

    seq: int  # 1, 2, 3 … without gaps, inside one conversation
    id: str
    sender: str
    type: int
    content: str
    object_key: str
    sent_at: int  # microseconds
    withdrawn: bool = False
    status: int = 0  # the client's own
    extra: str = ""  # the client's own too

    def to_record(self) -> str:
        """The form kept in Redis: neutral of protocols and readers."""
        return json.dumps(self, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_records(cls, records: list[str]) -> tuple["Message", ...]:
        """Read many at once: to begin with each anew takes longer than to read it."""
        return tuple(map(cls._make, json.loads(f"[{','.join(records)}]")))


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as its transaction left it, and who must hear of it."""

    message: Message
    prev_id: str  # the message before it, "" if it is the first
    changes: int
    recipients: list[str]  # participants, itself included, if they are few enough to tell them at once
    counts_as_change: bool = False  # a message that was there: the last of the changes
    is_large_conversation: bool = False  # participants: the outbox has promised to tell them


@dataclass(frozen=True, slots=True)
class ParticipantState:
    """One participant's own state in a conversation."""

    principal: str
    read_seq: int
    own_after_read: int
    hidden_seq: int

    def count_unread(self, last_seq: int) -> int:
        return max(last_seq - self.read_seq - self.own_after_read, 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A conversation as MySQL has it: its newest messages, newest first, and seats of participants."""

    tenant_id: int  # 0 for one that does not exist
    last_seq: int
    changes: int
    messages: list[Message]
    participants: list[ParticipantState]

    def find_participant(self, principal: str) -> ParticipantState | None:
        return next((seat for seat in self.participants if seat.principal == principal), None)


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """What a participant may know of a conversation beside its messages."""

    type: int  # the gateway's conversation_type
    archived: bool
    hidden: bool  # off this participant's list until its next message
    last_message: tuple[str, str, int] | None  # id, sender and time of the newest message
