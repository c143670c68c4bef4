"""Limits on how often a principal may do what costs others time: a token bucket for each principal and limit.

A bucket gains tokens at a constant rate up to its burst, and each request takes one. It is a value in Redis: the time
at which it will be full. The script that takes a token runs in the round trip that authenticates the request, for the
owner whom this process remembers (tokens.find_last_owner). While Redis is unavailable, nothing is limited.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from chalicelib import clock, errors
from chalicelib.adapters import redis
from chalicelib.adapters.redis import ScriptBatch, load_script
from chalicelib.errors import ApiError
from chalicelib.identity import addresses
from chalicelib.identity.tokens import Owner
from chalicelib.settings import settings

MAX_REMEMBERED_REJECTIONS = 1_000  # of a process

_TAKE = load_script(__file__, "rate_limit_take", names_server=False)
_RETURN = load_script(__file__, "rate_limit_return", names_server=False)


class RateLimit(StrEnum):
    """What is limited."""

    MESSAGES = "messages"
    CONVERSATIONS = "conversations"  # new ones
    SEARCHES = "searches"
    OAUTH_STATES = "oauth_states"
    CONNECTIONS = "connections"  # new WebSockets
    QUEUES = "queues"  # reading a place in a queue, or a screen
    REJECTIONS = "rejections"  # requests without a valid token or key, of one network


@dataclass(frozen=True)
class Rate:
    """How often a principal may do something."""

    per_second: float  # tokens that the bucket gains
    burst: int  # tokens in a full bucket


# Far above what a person does: a doctor who answers in 80 sessions at once stays below them.
DEFAULT_RATES = {
    RateLimit.MESSAGES: Rate(10, 120),
    RateLimit.CONVERSATIONS: Rate(2, 100),
    RateLimit.SEARCHES: Rate(5, 60),
    RateLimit.OAUTH_STATES: Rate(0.5, 20),
    RateLimit.CONNECTIONS: Rate(0.5, 30),
    RateLimit.QUEUES: Rate(1, 30),
    RateLimit.REJECTIONS: Rate(5, 300),  # an expired token in each page of a hospital's network stays below it
}


def read_rates(text: str) -> dict[RateLimit, Rate]:
    """Return the default rates but for those in a text like "messages=20/200 searches=0.5/30": per second, and burst.

    Raises:
        ValueError: for an unknown name, or a rate that is not positive.
    """
    found = dict(DEFAULT_RATES)
    for name, _, rate in (pair.partition("=") for pair in text.split()):
        per_second, _, burst = rate.partition("/")
        parsed = Rate(float(per_second), int(burst))
        if parsed.per_second <= 0 or parsed.burst < 1:
            raise ValueError(f"RATE_LIMITS: {name}={rate}")
        found[RateLimit(name)] = parsed
    return found


rates = read_rates(settings.rate_limits)


def add_to_batch(batch: ScriptBatch, owner: Owner, limit: RateLimit) -> None:
    """Add the script that takes a token to a batch; `require_within` must be called when the batch has run.

    If the request is not authenticated after all, undoing the batch returns the token.
    """
    rate = rates[limit]
    keys, interval = [build_key(owner, limit)], max(round(clock.SECOND / rate.per_second), 1)
    batch.calls.append((_TAKE, keys, [clock.now(), interval, rate.burst]))
    batch.undo.append((_RETURN, keys, [interval]))


def require_within(batch: ScriptBatch) -> None:
    """Remove what `add_to_batch` added, for a request that has been authenticated.

    Raises:
        ApiError: 429 if the bucket was empty.
    """
    _, [key], (now, *_) = batch.calls.pop()
    batch.undo.pop()
    wait = batch.replies.pop() if batch.replies is not None else 0
    if wait:
        _remember_rejection(key, now + wait)
        raise _build_rejection(wait)


def find_rejection(owner: Owner, limit: RateLimit) -> ApiError | None:
    """Return the error with which a request is to be rejected, because this process knows that the bucket is empty.

    An authenticated request is then rejected without another script, and without the scripts of its view.
    """
    key = build_key(owner, limit)
    wait = _empty_until.get(key, 0) - clock.now()
    if wait <= 0:
        _empty_until.pop(key, None)
        return None
    return _build_rejection(wait)


_empty_until: dict[str, int] = {}  # by key of the bucket, oldest first


def _remember_rejection(key: str, until: int) -> None:
    _empty_until.pop(key, None)
    _empty_until[key] = until
    while len(_empty_until) > MAX_REMEMBERED_REJECTIONS:
        with suppress(KeyError, RuntimeError, StopIteration):  # another thread may remove the same one
            del _empty_until[next(iter(_empty_until))]


def _build_rejection(wait: int) -> ApiError:
    return ApiError(errors.RATE_LIMITED, retry_after=math.ceil(wait / clock.SECOND))


def require(owner: Owner, limit: RateLimit) -> None:
    """Take a token in a round trip of its own. Raises ApiError 429 if the bucket is empty."""
    if rejection := find_rejection(owner, limit):
        raise rejection
    batch = ScriptBatch([])
    add_to_batch(batch, owner, limit)
    batch.replies = redis.try_scripts(batch.calls)
    require_within(batch)


def count_rejection(address: str) -> int | None:
    """Count a request that has no valid token or key against its network.

    It is called for such requests only: those with a valid token, and signing in, are not limited by what others of the
    same address do. The request stays one that is not signed in: its client must sign in again.

    Args:
        address: the client's, "" if it is not known.

    Returns:
        If there were too many, the seconds after which the client may try again.
    """
    if not address:
        return None
    try:
        require(Owner(0, f"network:{addresses.get_network(address)}"), RateLimit.REJECTIONS)
    except ApiError as error:
        return error.retry_after
    return None


def build_key(owner: Owner, limit: RateLimit) -> str:
    """Return the key of a bucket. It has the hash tag of the principal's feed."""
    return f"rate:1:{{{owner.tenant_id}:{owner.principal}}}:{limit}"
