"""Number codes of document 002 (messagecenter)."""

from enum import IntEnum


class UserType(IntEnum):
    """userType and sendType."""

    STAFF = 1
    USER = 2
    SYSTEM = 3


class MsgType(IntEnum):
    """msgType: the kind of a conversation."""

    ANNOUNCEMENT = 1
    DIRECT = 2  # with a person
    DESK = 3  # between a patient and the help desk
    GROUP = 4


class OwnType(IntEnum):
    """ownType of messageAdd: the kind of recipient."""

    PERSON = 1
    HOSPITAL = 2  # from a patient to the help desk; from staff as an announcement in the hospital's name
    GROUP = 3


class ConversationType(IntEnum):
    """conversationType: who takes part in a conversation."""

    USERS = 1
    USER_AND_STAFF = 2
    GROUP = 3


class QueryType(IntEnum):
    """queryType of the lists."""

    ALL = 0
    UNREAD = 1
    OPEN = 2
    CLOSED = 3
