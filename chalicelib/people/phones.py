"""Phone numbers, which are stored encrypted, with a blind index for searches by the whole number.

A mobile number of mainland China is stored with eleven digits, any other one in E.164 form: + and up to 15 digits.
"""

import re

from chalicelib.crypto import field_encryption

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


def compute_blind_index(tenant_id: int, number: str) -> bytes:
    """Return the blind index by which a normalized number is found. Not inside a transaction: see crypto."""
    return field_encryption.compute_blind_index(tenant_id, "phone", number)


def seal(tenant_id: int, table: str, row_id: int, number: str) -> bytes | None:
    """Return a number encrypted for a row of a table, None for "". Not inside a transaction, unless keys are loaded."""
    return field_encryption.encrypt(tenant_id, f"{table}.phone", row_id, number) if number else None


def unseal(tenant_id: int, table: str, row_id: int, sealed: bytes | None) -> str:
    """Return the number that was sealed for this row, "" for None."""
    return field_encryption.decrypt(tenant_id, f"{table}.phone", row_id, sealed) if sealed else ""
