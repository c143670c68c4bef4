"""Ids of messages and conversations, the same for all protocols.

A message id has 80 bits: tick (54: milliseconds << 12 and a counter), conversation type (4), hash of the conversation
(22). Its text is 16 letters of a base32 whose alphabet is in ASCII order, XXXXX-XXXX-XXXX-XXX, so that the ids of one
conversation sort as text in the order of its messages.
"""

import hashlib
import re
import uuid

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without 0, 1, I, O
MESSAGE_ID_PATTERN = r"^[2-9A-HJ-NP-Z]{5}-[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{3}$"
TAG_BITS = 26
TICK_LIMIT = 1 << 54  # above every tick
_LETTER_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}


def generate_public_id() -> str:
    """Return a public id that cannot be guessed."""
    return str(uuid.uuid4())


def compute_tag(public_id: str, conversation_type: int) -> int:
    """Return the part of a message id that identifies its conversation."""
    digest = hashlib.sha256(public_id.encode()).digest()
    return conversation_type << 22 | int.from_bytes(digest[:3], "big") >> 2


def compute_first_tick(now: int) -> int:
    """Return the lowest tick of the millisecond that contains `now` (microseconds)."""
    return now // 1000 << 12


def encode(tick: int, tag: int) -> str:
    """Return the text of a message id."""
    value = tick << TAG_BITS | tag
    letters = "".join(ALPHABET[value >> shift & 31] for shift in range(75, -1, -5))
    return f"{letters[:5]}-{letters[5:9]}-{letters[9:13]}-{letters[13:]}"


def decode(message_id: str) -> tuple[int, int]:
    """Return (tick, tag) of a message id's text.

    Raises:
        ValueError: for any other text.
    """
    if not re.fullmatch(MESSAGE_ID_PATTERN, message_id):
        raise ValueError(message_id)
    value = 0
    for letter in message_id.replace("-", ""):
        value = value << 5 | _LETTER_VALUES[letter]
    return value >> TAG_BITS, value & (1 << TAG_BITS) - 1
