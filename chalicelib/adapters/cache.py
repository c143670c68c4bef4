"""Cache of short-lived copies in Redis of rows of MySQL, such as sessions, and of short lists of them.

An entry names the server that stored it (see redis.Script), so an entry that an outdated replica returns is ignored.
"""

from collections.abc import Sequence

from chalicelib.adapters import redis
from chalicelib.adapters.redis import ScriptBatch, ScriptCall, load_script

TTL_SECONDS = 60
TOMBSTONE_TTL_SECONDS = 2 * TTL_SECONDS  # longer than the life of any entry that a concurrent reader may still write
INVALIDATION_TTL_SECONDS = 15  # longer than a reader takes between reading MySQL and writing the entry
TOMBSTONE = "dead"
BATCH_SIZE = 500  # tombstones that are sent at once

_READ_SCRIPT = load_script(__file__, "cache_read")
_WRITE_SCRIPT = load_script(__file__, "cache_write")
_TOMBSTONE_SCRIPT = load_script(__file__, "cache_write_tombstone")


def build_read_call(key: str) -> ScriptCall:
    """Return the call of `read`, to be run together with other scripts."""
    return _READ_SCRIPT, [key], []


def read(key: str, batch: ScriptBatch | None = None) -> str | None:
    """Return the text of an entry, TOMBSTONE, or None if there is no valid entry or Redis is unavailable.

    Args:
        batch: other scripts to run in the same round trip.
    """
    try:
        text: str | None = redis.run_with_batch(build_read_call(key), batch)
    except redis.RedisUnavailableError:
        return None
    return text


def write(key: str, text: str, ttl_seconds: int = TTL_SECONDS) -> None:
    """Store an entry unless there is one or a tombstone. Without Redis nothing is stored, and readers use MySQL."""
    redis.try_script(_WRITE_SCRIPT, [key], [text, ttl_seconds])


def write_tombstone(key: str) -> None:
    """Mark a row as deleted or changed: no entry is stored for TOMBSTONE_TTL_SECONDS, and readers use MySQL."""
    redis.try_script(_TOMBSTONE_SCRIPT, [key], [TOMBSTONE, TOMBSTONE_TTL_SECONDS], ignore_backoff=True)


def write_tombstones(keys: Sequence[str]) -> None:
    """Do the same as `write_tombstone` for several rows, in few round trips."""
    for start in range(0, len(keys), BATCH_SIZE):
        calls: list[ScriptCall] = [
            (_TOMBSTONE_SCRIPT, [key], [TOMBSTONE, TOMBSTONE_TTL_SECONDS]) for key in keys[start : start + BATCH_SIZE]
        ]
        redis.try_scripts(calls, ignore_backoff=True)


def invalidate(key: str) -> None:
    """Discard an entry that is incomplete now: readers use MySQL for INVALIDATION_TTL_SECONDS."""
    redis.try_script(_TOMBSTONE_SCRIPT, [key], [TOMBSTONE, INVALIDATION_TTL_SECONDS], ignore_backoff=True)
