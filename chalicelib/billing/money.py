"""Amounts of money: an integer number of fen in the code and in MySQL, yuan with two decimals in the API.

Arithmetic is never done on floats.
"""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_AMOUNT_PATTERN = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
MAX_FEN = 1_000_000  # ten thousand yuan


def to_yuan(fen: int) -> float:
    """Return an amount as JSON shows it: 12.5 for 1250."""
    return float(Decimal(fen) / 100)


def to_optional_yuan(fen: int | None) -> float | None:
    """Return an amount as `to_yuan`, None for one that is not known."""
    return None if fen is None else to_yuan(fen)


def to_fen(amount: float) -> int:
    """Return yuan, validated as YuanAmount, in fen."""
    return int(Decimal(str(amount)) * 100)


def _validate_amount(value: Any) -> Any:
    if isinstance(value, str) and _AMOUNT_PATTERN.fullmatch(value):  # in a form
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("必须是数字")
    if not 0 <= value <= MAX_FEN // 100:  # NaN fails here too
        raise ValueError(f"必须在 0 到 {MAX_FEN // 100} 之间")
    if Decimal(str(value)).quantize(Decimal("0.01")) != Decimal(str(value)):
        raise ValueError("最多两位小数")
    return value


_YUAN_SCHEMA = {"type": "number", "minimum": 0, "maximum": MAX_FEN // 100, "multipleOf": 0.01}
YuanAmount = Annotated[float, BeforeValidator(_validate_amount), WithJsonSchema(_YUAN_SCHEMA)]
"""An amount in a request: yuan, with at most two decimals."""
