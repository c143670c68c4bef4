"""The one clock, so that a test can stop it. Inside: UTC microseconds; on the wire: Asia/Shanghai text."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as time_of_day
from functools import lru_cache

SECOND = 1_000_000
DAY = 86_400 * SECOND
# China has kept no summer time since 1991, before any instant this system stores.
SHANGHAI = timezone(timedelta(hours=8))


def now() -> int:
    """Return microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def today() -> date:
    """Return the civil date in Shanghai."""
    return datetime.fromtimestamp(now() // SECOND, SHANGHAI).date()


def to_instant(day: date, since_midnight: timedelta = timedelta()) -> int:
    """Return when a day of Shanghai's calendar begins, or so long after."""
    return int((datetime.combine(day, time_of_day(), SHANGHAI) + since_midnight).timestamp()) * SECOND


def format_wire_time(instant: int) -> str:
    """Return an instant as the protocol writes it: yyyy-MM-dd HH:mm:ss, Asia/Shanghai."""
    return _format_wire_seconds(instant // SECOND)


@lru_cache(maxsize=4096)
def _format_wire_seconds(seconds: int) -> str:
    """Both sides read the newest messages again and again, and their instants cost as much as all the rest of them."""
    days, second = divmod(seconds + 8 * 3600, 86_400)
    return f"{_format_date(days)} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


@lru_cache(maxsize=64)
def _format_date(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days)).isoformat()


def format_chinese_date(day: date) -> str:
    """Return a civil date as it is said: 2026年1月5日."""
    return f"{day.year}年{day.month}月{day.day}日"


def format_utc(instant: int) -> str:
    """Return an instant as other companies want it: 2026-01-05T01:30:00Z."""
    return datetime.fromtimestamp(instant // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_log_time(instant: int) -> str:
    """Return an instant as logs write it: 2026-01-05T09:30:00.123+08:00."""
    return datetime.fromtimestamp(instant / SECOND, SHANGHAI).isoformat(timespec="milliseconds")


def monotonic() -> float:
    """Return seconds for measuring how long something took."""
    return time.perf_counter()


def sleep(seconds: float) -> None:
    """Wait, where there is nothing to wait on."""
    time.sleep(seconds)
