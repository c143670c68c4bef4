"""身份证: 17 digits and a check character (GB 11643), which tell a birthday and a sex.

Area codes are not looked up: those that were abolished decades ago stand on the cards of living people.
"""

import re
from datetime import date
from enum import IntEnum

from chalicelib import clock

_PATTERN = re.compile(r"[1-9][0-9]{16}[0-9X]")
_CHECK_CHARACTERS = "10X98765432"  # by the sum's remainder of 11 (ISO 7064, MOD 11-2)


class Gender(IntEnum):
    """The genders that an identity card states, as documents 000 and 003 number them."""

    MALE = 1
    FEMALE = 2


def normalize(number: str) -> str:
    """Return the number as it is kept, with a capital X. ValueError says in Chinese what is wrong."""
    number = number.strip().upper()
    if not _PATTERN.fullmatch(number):
        raise ValueError("身份证号码应为18位")
    if compute_check_character(number[:17]) != number[17]:
        raise ValueError("身份证号码有误")
    try:
        born = parse_birthday(number)
    except ValueError:
        raise ValueError("身份证号码中的出生日期有误") from None
    if born > clock.today():
        raise ValueError("身份证号码中的出生日期有误")
    return number


def compute_check_character(digits: str) -> str:
    """Return the last character of the number that begins with these 17 digits."""
    return _CHECK_CHARACTERS[sum(int(digit) << (17 - place) for place, digit in enumerate(digits)) % 11]


def parse_birthday(number: str) -> date:
    return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))


def parse_gender(number: str) -> int:
    return Gender.MALE if int(number[16]) % 2 else Gender.FEMALE


def require_match(number: str, born: date | None, said: int) -> None:
    """ValueError where a checked number tells another birthday, or another sex where one was said (1 or 2)."""
    if born != parse_birthday(number):
        raise ValueError("出生日期与身份证号码不一致")
    if said in (Gender.MALE, Gender.FEMALE) and said != parse_gender(number):
        raise ValueError("性别与身份证号码不一致")
