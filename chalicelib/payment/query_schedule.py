"""When WeChat is asked next what has become of an order or refund, where it does not say so by itself."""

from chalicelib import clock

MIN_INTERVAL, MAX_INTERVAL = 60 * clock.SECOND, 3600 * clock.SECOND
PAYABLE_ORDER_INTERVAL = 300 * clock.SECOND  # while an order can be paid: a patient waits
FINAL_CHECK_MARGIN = 20 * clock.SECOND  # a last look before an unpaid booking is released


def compute_next_check(checks: int) -> int:
    """Return when to ask again after so many times: the distance doubles up to an hour."""
    return clock.now() + min(MIN_INTERVAL << min(checks, 10), MAX_INTERVAL)


def compute_next_order_check(checks: int, expires_at: int) -> int:
    """The same for an order: at least every five minutes while it can be paid, and just before it cannot."""
    now = clock.now()
    if expires_at <= now:
        return compute_next_check(checks)
    soon = min(now + PAYABLE_ORDER_INTERVAL, compute_next_check(checks))
    last = expires_at - FINAL_CHECK_MARGIN
    return last if now < last < soon else soon
