"""Short-lived copies in Redis of single rows: tokens, session cards.

A copy names the server that made it, so one that came back with an older replica is not believed.
"""

from chalicelib.adapters import redis
from chalicelib.adapters.redis import Call, Script

LIFE = 60  # seconds
TOMBSTONE_LIFE = 2 * LIFE  # outlives every copy that a reader may be about to write
IN_FLIGHT = 15  # seconds that a reader may take between MySQL and its copy
TOMBSTONE = "dead"

_READ = Script("""
    local copy = redis.call('GET', KEYS[1])
    if copy and string.sub(copy, 1, #server) == server then return string.sub(copy, #server + 1) end
""")
# NX: what was read from MySQL before a revocation must not cover its tombstone.
_WRITE = Script("redis.call('SET', KEYS[1], server .. ARGV[1], 'EX', ARGV[2], 'NX')")
_BURY = Script("redis.call('SET', KEYS[1], server .. ARGV[1], 'EX', ARGV[2])")


def reading(key: str) -> Call:
    """Return the script that answers the copy's text, TOMBSTONE or None, to be run with others."""
    return _READ, [key], []


def read(key: str) -> str | None:
    """Return the copy's text, TOMBSTONE, or None where there is none that can be believed."""
    try:
        found: str | None = redis.run(*reading(key))
    except redis.Down:
        return None
    return found


def write(key: str, text: str, life: int = LIFE) -> None:
    """Keep a copy for `life` seconds. Without Redis there is none, and readers ask MySQL."""
    redis.attempt(_WRITE, [key], [text, life])


def bury(key: str) -> None:
    """Say that what was copied is no more."""
    redis.attempt(_BURY, [key], [TOMBSTONE, TOMBSTONE_LIFE], insist=True)


def outdate(key: str) -> None:
    """Say that what was copied is not the whole any more: for a moment, readers ask MySQL."""
    redis.attempt(_BURY, [key], [TOMBSTONE, IN_FLIGHT], insist=True)
