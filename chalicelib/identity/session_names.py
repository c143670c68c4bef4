"""Participants as document 004 names them.

12 or user:12 is the account or member of staff of that id, answered as 12; anything else is a user of the hospital's
own system, and answered as it came.
"""

import re

USER_PATTERN = re.compile("(?:user:)?(0|[1-9][0-9]*)")  # 0012 is somebody else's number, not our 12


def parse_user_id(session: str) -> int | None:
    """Return the user_id that a session names, None for somebody who is known by this text alone."""
    found = USER_PATTERN.fullmatch(session)
    return int(found[1]) if found else None


def parse_principal(session: str) -> str:
    user_id = parse_user_id(session)
    return f"session:{session}" if user_id is None else f"user:{user_id}"


def format_principal(principal: str) -> str:
    """Return how a principal is written on 004's wire."""
    return principal.partition(":")[2]
