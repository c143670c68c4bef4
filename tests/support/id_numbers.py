"""身份证 numbers that pass every check and belong to nobody."""

from itertools import count

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # as GB 11643 prints them
_places = count(1)


def build_id_number(born: str = "19900517", order: int = 2, area: str = "110105") -> str:
    """Return the number of a person born yyyymmdd; an odd order is a man's."""
    digits = f"{area}{born}{order:03}"
    total = sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True))
    return digits + "10X98765432"[total % 11]


def build_unused_id_number(born: str = "19900517") -> str:
    """Return a number that no other test was given."""
    number = next(_places)
    return build_id_number(born, number % 500 * 2, f"{110000 + number // 500 + 1}")
