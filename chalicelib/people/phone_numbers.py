"""Phone numbers as they are stored.

A mobile number of mainland China has eleven digits, any other one is in E.164 form: + and up to 15 digits.
"""

import re

MAINLAND_PATTERN = r"^1[3-9][0-9]{9}$"
_E164_PATTERN = re.compile(r"\+[1-9][0-9]{6,14}")
_SEPARATORS = re.compile(r"[\s()-]")
_MAINLAND = re.compile(MAINLAND_PATTERN)


def normalize(number: str) -> str:
    """Return a phone number as it is stored: +86 is removed from numbers of mainland China, separators from all.

    Raises:
        ValueError: with a Chinese message if it is neither a mobile number of mainland China nor in E.164 form.
    """
    number = _SEPARATORS.sub("", number)
    number = "+" + number[2:] if number.startswith("00") else number
    local = number.removeprefix("+86")
    if _MAINLAND.match(local):
        return local
    if number.startswith("+86") or not _E164_PATTERN.fullmatch(number):
        raise ValueError("手机号格式不正确，境外号码请加国家或地区代码，如 +85291234567")
    return number
