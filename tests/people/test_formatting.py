from datetime import date

import pytest

from chalicelib.people import formatting


@pytest.mark.parametrize(
    ("birthday", "age"),
    [
        ("1990-05-17", "36岁"),
        ("1990-11-23", "35岁"),
        ("2023-11-22", "3岁"),
        ("2023-11-23", "2岁11个月"),
        ("2025-09-20", "1岁2个月"),
        ("2024-11-22", "2岁"),
        ("2026-05-30", "5个月"),
        ("2026-10-22", "1个月"),
        ("2026-11-10", "12天"),
        ("2026-11-22", "0天"),
        ("", ""),
    ],
)
def test_age(birthday: str, age: str) -> None:
    assert formatting.format_age(birthday, date(2026, 11, 22)) == age


@pytest.mark.parametrize(("phone", "masked"), [("13800000001", "138****0001"), ("12345", "*****"), ("", "")])
def test_masked_phone(phone: str, masked: str) -> None:
    assert formatting.mask_phone(phone) == masked
