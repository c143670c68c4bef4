"""The official holidays, as data: days off and make-up days (调休) as the State Council announces them each November.

A year that is missing here has not been announced, or not been entered yet: then nothing is proposed. To enter one,
copy it from the notice, whose number is its source.
"""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Holiday:
    """Days off, and the days of a weekend on which people work instead."""

    name: str
    from_day: date
    to_day: date  # the last one
    makeup_days: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class HolidayYear:
    """The holidays of a year, by day."""

    source: str  # number of the notice
    holidays: tuple[Holiday, ...]


# Source: https://www.gov.cn/zhengce/zhengceku/202511/content_7047091.htm
HOLIDAY_YEARS = {
    2026: HolidayYear(
        "国办发明电〔2025〕7号",
        (
            Holiday("元旦", date(2026, 1, 1), date(2026, 1, 3), (date(2026, 1, 4),)),
            Holiday("春节", date(2026, 2, 15), date(2026, 2, 23), (date(2026, 2, 14), date(2026, 2, 28))),
            Holiday("清明节", date(2026, 4, 4), date(2026, 4, 6)),
            Holiday("劳动节", date(2026, 5, 1), date(2026, 5, 5), (date(2026, 5, 9),)),
            Holiday("端午节", date(2026, 6, 19), date(2026, 6, 21)),
            Holiday("中秋节", date(2026, 9, 25), date(2026, 9, 27)),
            Holiday("国庆节", date(2026, 10, 1), date(2026, 10, 7), (date(2026, 9, 20), date(2026, 10, 10))),
        ),
    ),
}
