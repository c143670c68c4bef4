"""Convert between principals and the session ids of document 004.

The session ids 12 and user:12 mean the account or member of staff with user_id 12, and responses use 12. Any other
session id is that of a user of the hospital's own system, and responses use it unchanged.
"""

import re

USER_PATTERN = re.compile("(?:user:)?(0|[1-9][0-9]*)")  # not 0012: that is an id of a hospital's own system


def parse_user_id(session: str) -> int | None:
    """Return the user_id that a session id means, or None for a user of a hospital's own system."""
    match = USER_PATTERN.fullmatch(session)
    return int(match[1]) if match else None


def parse_principal(session: str) -> str:
    """Return the principal that a session id means."""
    user_id = parse_user_id(session)
    return f"session:{session}" if user_id is None else f"user:{user_id}"


def format_principal(principal: str) -> str:
    """Return the session id of a principal."""
    return principal.partition(":")[2]
