"""Rules for new passwords."""

import re

import pytest

from chalicelib.identity import password_rules

STRONG = ["Demo-12345", "x7Kq-pW2_z", "correct horse battery", "小雨-Anderes9", "Zhen9xun.Ren", "a8w6k4m2q0z9x7v5"]
COMMON = [
    *("12345678", "87654321", "88888888", "00000000", "abcdefgh", "qwertyui", "1qaz2wsx", "a1234567", "abc12345"),
    *("password", "Password1", "P@ssw0rd", "iloveyou", "woaini520", "admin888", "1234567890123456", "aaaaaaaaaaaaaaaa"),
    *("Aa12345678", "Abcd123456", "Admin@12345", "Passw0rd!2026", "1qaz@WSX3edc", "Qwerty12345", "Zhenxun@2026"),
]


@pytest.mark.parametrize("password", STRONG)
def test_strong_password_is_accepted(password: str) -> None:
    assert password_rules.require_strong(password) == password
    assert password_rules.require_uncommon(password) == password


@pytest.mark.parametrize("password", COMMON)
def test_what_everyone_tries_first_is_rejected(password: str) -> None:
    for require in (password_rules.require_strong, password_rules.require_uncommon):
        with pytest.raises(ValueError, match=r"太常见|须包含"):
            require(password)


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("weniglang9", "大写字母、符号"),
        ("WENIGLANG9", "小写字母、符号"),
        ("WenigLangs", "数字、符号"),
        ("wenig-lang", "大写字母、数字"),
        ("7295018364", "小写字母、大写字母、符号"),
    ],
)
def test_error_says_what_is_missing(password: str, missing: str) -> None:
    text = f"须包含大写字母、小写字母、数字、符号中的三种（还没有{missing}），或不少于 16 个字符"
    with pytest.raises(ValueError, match=re.escape(text)):
        password_rules.require_strong(password)


@pytest.mark.parametrize("password", ["Tel-13900000001", "陈医生Kq-9x", "dr.chen-7Kq", "DR.CHEN-7kq"])
def test_phone_and_name_are_rejected(password: str) -> None:
    with pytest.raises(ValueError, match="不能包含本人的手机号或姓名"):
        password_rules.require_not_personal(password, "13900000001", "陈医生", "Dr.Chen")


def test_name_of_one_character_and_other_texts_are_accepted() -> None:
    password_rules.require_not_personal("x7Kq-pW2_z", "13900000001", "q", "")


def test_long_password_takes_little_time() -> None:
    """A visitor chooses it."""
    assert password_rules.require_uncommon("1a2b3c4d" * 9)
