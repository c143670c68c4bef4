"""Validate ID card numbers (身份证): 17 digits, which encode birthday and gender, and a check character (GB 11643).

Area codes are not checked: cards of living people have codes that were abolished decades ago.
"""

import re
from datetime import date
from enum import IntEnum

from chalicelib import clock

_PATTERN = re.compile(r"[1-9][0-9]{16}[0-9X]")
_CHECK_CHARACTERS = "10X98765432"  # indexed by the weighted sum modulo 11 (ISO 7064, MOD 11-2)


class Gender(IntEnum):
    """The genders that an ID card number encodes, as documents 000 and 003 number them."""

    MALE = 1
    FEMALE = 2


def normalize(number: str) -> str:
    """Return a valid number as it is stored, with a capital X.

    Raises:
        ValueError: with a Chinese message if the number is invalid.
    """
    number = number.strip().upper()
    if not _PATTERN.fullmatch(number):
        raise ValueError("身份证号码应为18位")
    if compute_check_character(number[:17]) != number[17]:
        raise ValueError("身份证号码有误")
    try:
        birthday = parse_birthday(number)
    except ValueError:
        raise ValueError("身份证号码中的出生日期有误") from None
    if birthday > clock.today():
        raise ValueError("身份证号码中的出生日期有误")
    return number


def compute_check_character(digits: str) -> str:
    """Return the 18th character for the first 17 digits of a number."""
    return _CHECK_CHARACTERS[sum(int(digit) << (17 - place) for place, digit in enumerate(digits)) % 11]


def parse_birthday(number: str) -> date:
    """Return the birthday that a number encodes. Raises ValueError if there is no such date."""
    return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))


def parse_gender(number: str) -> int:
    """Return the Gender that a number encodes."""
    return Gender.MALE if int(number[16]) % 2 else Gender.FEMALE


def require_match(number: str, birthday: date | None, gender: int) -> None:
    """Check that a normalized number encodes the birthday, and the gender if that is male or female.

    Raises:
        ValueError: with a Chinese message if it does not.
    """
    if birthday != parse_birthday(number):
        raise ValueError("出生日期与身份证号码不一致")
    if gender in (Gender.MALE, Gender.FEMALE) and gender != parse_gender(number):
        raise ValueError("性别与身份证号码不一致")
