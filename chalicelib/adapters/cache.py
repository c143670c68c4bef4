"""Short-lived copies in Redis of single rows: tokens, session cards.

A copy names the server that made it, so one that came back with an older replica is not believed.
"""

from chalicelib.adapters import redis
from chalicelib.adapters.redis import Script, ScriptCall

TTL_SECONDS = 60  # seconds
TOMBSTONE_TTL_SECONDS = 2 * TTL_SECONDS  # outlives every copy that a reader may be about to write
INVALIDATION_TTL_SECONDS = 15  # seconds that a reader may take between MySQL and its copy
TOMBSTONE = "dead"

_READ_SCRIPT = Script("""
    local copy = redis.call('GET', KEYS[1])
    if copy and string.sub(copy, 1, #server) == server then return string.sub(copy, #server + 1) end
""")
# NX: what was read from MySQL before a revocation must not cover its tombstone.
_WRITE_SCRIPT = Script("redis.call('SET', KEYS[1], server .. ARGV[1], 'EX', ARGV[2], 'NX')")
_TOMBSTONE_SCRIPT = Script("redis.call('SET', KEYS[1], server .. ARGV[1], 'EX', ARGV[2])")


def build_read_call(key: str) -> ScriptCall:
    """Return the script that answers the copy's text, TOMBSTONE or None, to be run with others."""
    return _READ_SCRIPT, [key], []


def read(key: str) -> str | None:
    """Return the copy's text, TOMBSTONE, or None where there is none that can be believed."""
    try:
        found: str | None = redis.run_script(*build_read_call(key))
    except redis.RedisUnavailableError:
        return None
    return found


def write(key: str, text: str, life: int = TTL_SECONDS) -> None:
    """Keep a copy for `life` seconds. Without Redis there is none, and readers ask MySQL."""
    redis.try_script(_WRITE_SCRIPT, [key], [text, life])


def write_tombstone(key: str) -> None:
    """Say that what was copied is no more."""
    redis.try_script(_TOMBSTONE_SCRIPT, [key], [TOMBSTONE, TOMBSTONE_TTL_SECONDS], insist=True)


def invalidate(key: str) -> None:
    """Say that what was copied is not the whole any more: for a moment, readers ask MySQL."""
    redis.try_script(_TOMBSTONE_SCRIPT, [key], [TOMBSTONE, INVALIDATION_TTL_SECONDS], insist=True)
