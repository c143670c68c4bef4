"""Changes of a principal's sessions, announced to requests that wait, such as a long poll.

The announcement is the newest entry of a stream in Redis. Its key has the hash tag of the principal's feed, so that one
script reads both: who reads an event that was published after a sign-out also reads that the sign-out was announced.
"""

from chalicelib.adapters import redis
from chalicelib.adapters.redis import load_script

TTL_SECONDS = 120  # longer than any request waits

_ANNOUNCE = load_script(__file__, "session_change", TTL_SECONDS=TTL_SECONDS)


def announce(tenant_id: int, principal: str) -> None:
    """Wake the requests of a principal that wait, so that they check their token again.

    To be called when the change is in MySQL and no cached copy can hide it.
    """
    redis.try_script(_ANNOUNCE, [build_key(tenant_id, principal)], [], ignore_backoff=True)


def build_key(tenant_id: int, principal: str) -> str:
    """Return the key of the stream."""
    return f"session_changes:1:{{{tenant_id}:{principal}}}"
