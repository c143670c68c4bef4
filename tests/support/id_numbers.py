"""Invented ID card numbers that pass all checks."""

from itertools import count

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # as GB 11643 prints them
_places = count(1)


def build_id_number(birthday: str = "19900517", order: int = 2, area: str = "110105") -> str:
    """Return a number for a birthday yyyymmdd; an odd order means male."""
    digits = f"{area}{birthday}{order:03}"
    total = sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True))
    return digits + "10X98765432"[total % 11]


def build_unused_id_number(birthday: str = "19900517") -> str:
    """Return a number that no other test uses."""
    number = next(_places)
    return build_id_number(birthday, number % 500 * 2, f"{110000 + number // 500 + 1}")
