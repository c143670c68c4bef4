"""Time: the only module that reads the clock, so that tests can replace it.

An instant is an int, microseconds since 1970 UTC; the API shows instants as text in Asia/Shanghai.
"""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as time_of_day
from functools import lru_cache

SECOND = 1_000_000
DAY = 86_400 * SECOND
# A fixed offset: China has had no daylight saving time since 1991.
SHANGHAI = timezone(timedelta(hours=8))


def now() -> int:
    """Return the present instant."""
    return time.time_ns() // 1000


def today() -> date:
    """Return the present date in Shanghai."""
    return datetime.fromtimestamp(now() // SECOND, SHANGHAI).date()


def to_instant(day: date, since_midnight: timedelta = timedelta()) -> int:
    """Return the instant at which a day begins in Shanghai, or a time after that."""
    return int((datetime.combine(day, time_of_day(), SHANGHAI) + since_midnight).timestamp()) * SECOND


def format_wire_time(instant: int) -> str:
    """Return an instant in the format of the API: yyyy-MM-dd HH:mm:ss, Asia/Shanghai."""
    return _format_wire_seconds(instant // SECOND)


@lru_cache(maxsize=4096)
def _format_wire_seconds(seconds: int) -> str:
    """Cached because the newest messages are read repeatedly; formatting took as long as all the rest of a message."""
    days, second = divmod(seconds + 8 * 3600, 86_400)
    return f"{_format_date(days)} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


@lru_cache(maxsize=64)
def _format_date(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days)).isoformat()


def format_chinese_date(day: date) -> str:
    """Return a date in Chinese: 2026年1月5日."""
    return f"{day.year}年{day.month}月{day.day}日"


def format_utc(instant: int) -> str:
    """Return an instant in ISO 8601, UTC, for external services: 2026-01-05T01:30:00Z."""
    return datetime.fromtimestamp(instant // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_log_time(instant: int) -> str:
    """Return an instant in the format of the logs: 2026-01-05T09:30:00.123+08:00."""
    return datetime.fromtimestamp(instant / SECOND, SHANGHAI).isoformat(timespec="milliseconds")


def monotonic() -> float:
    """Return a clock in seconds to measure durations."""
    return time.perf_counter()


def sleep(seconds: float) -> None:
    """Wait for some seconds."""
    time.sleep(seconds)
