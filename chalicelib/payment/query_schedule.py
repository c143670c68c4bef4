"""When WeChat is asked next what has become of an order or refund, where it does not say so by itself."""

from chalicelib import clock

FIRST, LONGEST = 60 * clock.SECOND, 3600 * clock.SECOND
OFTEN = 300 * clock.SECOND  # while an order can be paid: a patient waits
BEFORE_END = 20 * clock.SECOND  # a last look before an unpaid booking is released


def next_after(checks: int) -> int:
    """Return when to ask again after so many times: the distance doubles up to an hour."""
    return clock.now() + min(FIRST << min(checks, 10), LONGEST)


def next_of_order(checks: int, expires_at: int) -> int:
    """The same for an order: at least every five minutes while it can be paid, and just before it cannot."""
    now = clock.now()
    if expires_at <= now:
        return next_after(checks)
    soon = min(now + OFTEN, next_after(checks))
    last = expires_at - BEFORE_END
    return last if now < last < soon else soon
