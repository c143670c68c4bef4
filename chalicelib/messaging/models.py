"""The records of the conversation log, which are the same for all protocols."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple


class MessageType(IntEnum):
    """The types that the server knows. Clients of the gateway may use numbers of their own."""

    TEXT = 0
    IMAGE = 1


class ConversationKind(StrEnum):
    """Who takes part in a conversation, and who may join it."""

    CONSULT = "consult"  # a patient and a doctor
    DIRECT = "direct"  # two persons
    DESK = "desk"  # a patient and the agent who serves them
    ANNOUNCEMENT = "announcement"  # from the hospital to one person
    CLIENT = "client"  # created by a participant: everyone who knows the id may join
    SERVICE = "service"  # created by a hospital's own system, which alone adds participants


TWO_PERSON_KINDS = (ConversationKind.CONSULT, ConversationKind.DIRECT, ConversationKind.DESK)


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be sent. Its idempotency_key is unique for one sender and endpoint."""

    content: str
    endpoint: str
    idempotency_key: str | None = None
    type: int = MessageType.TEXT
    object_key: str = ""
    status: int = 0  # defined by clients
    # A further condition (AND …) on writing, part of store.SENDER_MAY_WRITE, and its parameters.
    condition_sql: str = ""
    condition_params: Mapping[str, Any] = field(default_factory=dict)
    # A statement that enqueues jobs for the message, run in the packet that writes it. It names the message by
    # store.JOIN_WRITTEN_MESSAGE and may use the parameters %(public_id)s, %(sender)s and %(now)s.
    enqueue_sql: str = ""
    extra: str = ""  # defined by the sending endpoint, returned unchanged
    closes_conversation: bool = False  # no message is accepted after it
    # Without an idempotency_key, a message equal to the sender's, which is the conversation's newest and younger than
    # store.DOUBLE_SUBMISSION_WINDOW, is that one: the sender pressed twice.
    merge_double_submission: bool = False
    few_recipients: bool = False  # always at most MAX_INLINE_RECIPIENTS, which costs the server less


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Who withdraws a message, and why."""

    by: str  # principal
    sender: str  # the principal who must have sent it, a while ago at most; "" for any sender at any time
    reason: str = ""


class Message(NamedTuple):
    """One entry of the log. A withdrawn one keeps its place, but has no content, object_key or extra."""

    seq: int  # 1, 2, 3, ... without gaps, inside one conversation
    id: str
    sender: str
    type: int
    content: str
    object_key: str
    sent_at: int  # microseconds
    withdrawn: bool = False
    status: int = 0  # defined by clients
    extra: str = ""  # defined by the sending endpoint


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as its transaction left it, and who is to be notified of it."""

    message: Message
    prev_id: str  # the message before it, "" for the first
    changes: int
    recipients: list[str]  # the participants, sender included; empty in a large conversation
    counts_as_change: bool = False  # this write is the last of the changes
    is_large_conversation: bool = False  # an outbox job notifies the participants
    withdraws_file: bool = False  # an outbox job makes the links to its file invalid


@dataclass(frozen=True, slots=True)
class IdempotentMessage:
    """The message that an idempotency key names: as it was sent, and as it is now."""

    public_id: str
    content: str
    object_key: str
    extra: str
    stored: StoredMessage


@dataclass(frozen=True, slots=True)
class ParticipantState:
    """One participant's own state in a conversation."""

    principal: str
    read_seq: int
    uncounted_after_read: int  # own and withdrawn messages after read_seq
    hidden_seq: int

    def count_unread(self, last_seq: int) -> int:
        """Return the number of unread messages if the newest message has this seq."""
        return max(last_seq - self.read_seq - self.uncounted_after_read, 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A conversation as MySQL has it: its newest messages, newest first, and states of participants."""

    tenant_id: int  # 0 for one that does not exist
    last_seq: int
    changes: int
    messages: list[Message]
    participants: list[ParticipantState]

    def find_participant(self, principal: str) -> ParticipantState | None:
        """Return the principal's state, None if the snapshot does not have it."""
        return next((state for state in self.participants if state.principal == principal), None)


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """What a participant may know of a conversation besides its messages."""

    type: int  # the gateway's conversation_type
    archived: bool
    hidden: bool  # absent from this participant's list until the next message
    last_message: tuple[str, str, int] | None  # id, sender and time of the newest message
