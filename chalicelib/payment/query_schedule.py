"""When to query WeChat Pay about an order or refund for which no notification has arrived."""

from chalicelib import clock

MIN_INTERVAL, MAX_INTERVAL = 60 * clock.SECOND, 3600 * clock.SECOND
PAYABLE_ORDER_INTERVAL = 300 * clock.SECOND  # while an order can be paid: a patient may be waiting
FINAL_CHECK_MARGIN = 20 * clock.SECOND  # before an unpaid booking is released


def compute_next_check(checks: int) -> int:
    """Return the time of the next query, given the number of earlier ones: the interval doubles up to an hour."""
    return clock.now() + min(MIN_INTERVAL << min(checks, 10), MAX_INTERVAL)


def compute_next_order_check(checks: int, expires_at: int) -> int:
    """Return the time of an order's next query: at least every five minutes and shortly before it expires."""
    now = clock.now()
    if expires_at <= now:
        return compute_next_check(checks)
    regular_check = min(now + PAYABLE_ORDER_INTERVAL, compute_next_check(checks))
    final_check = expires_at - FINAL_CHECK_MARGIN
    return final_check if now < final_check < regular_check else regular_check
