"""ID card numbers. Those used here are the examples of GB 11643 and invented ones."""

from datetime import date, timedelta

import pytest

from chalicelib import clock
from chalicelib.people import id_cards
from tests.support.id_numbers import build_id_number


@pytest.mark.parametrize(
    "number", ["11010519491231002X", "440524188001010014", "11010519491231002x", " 440524188001010014 "]
)
def test_valid_number_is_normalized_to_a_capital_x(number: str) -> None:
    assert id_cards.normalize(number) == number.strip().upper()


def test_abolished_area_code_is_valid() -> None:
    assert id_cards.normalize(build_id_number(area="513021")) == build_id_number(
        area="513021"
    )  # 达县, abolished in 1999


def test_number_encodes_birthday_and_gender() -> None:
    assert id_cards.parse_birthday("11010519491231002X") == date(1949, 12, 31)
    assert id_cards.parse_gender("11010519491231002X") == 2
    assert id_cards.parse_gender("440524188001010014") == 1


def test_mistyped_digit_is_rejected() -> None:
    valid = "11010519491231002X"
    for place in range(17):
        for digit in "0123456789":
            if digit != valid[place]:
                with pytest.raises(ValueError, match="身份证"):
                    id_cards.normalize(valid[:place] + digit + valid[place + 1 :])


def test_transposed_digits_are_rejected() -> None:
    valid = "440524188001010014"
    for place in range(17):
        changed = valid[:place] + valid[place + 1] + valid[place] + valid[place + 2 :]
        if changed != valid:
            with pytest.raises(ValueError, match="身份证"):
                id_cards.normalize(changed)


@pytest.mark.parametrize(
    "number",
    [
        *("", "1", "110105491231002", "11010519491231002", "11010519491231002XX", "X1010519491231002X"),
        *(
            "１１０１０５１９４９１２３１００２Ｘ",
            "110105194912310O2X",
            "110105 19491231002X",
            "11010519491231002X\x00",
        ),
    ],
)
def test_malformed_number_is_rejected(number: str) -> None:
    with pytest.raises(ValueError, match="18位"):
        id_cards.normalize(number)


@pytest.mark.parametrize("birthday", ["19490230", "20231301", "20230229", "19000000"])
def test_nonexistent_birthday_is_rejected(birthday: str) -> None:
    with pytest.raises(ValueError, match="出生日期有误"):
        id_cards.normalize(build_id_number(birthday=birthday))


def test_future_birthday_is_rejected() -> None:
    today = clock.today()
    assert id_cards.normalize(build_id_number(birthday=f"{today:%Y%m%d}"))
    with pytest.raises(ValueError, match="出生日期有误"):
        id_cards.normalize(build_id_number(birthday=f"{today + timedelta(days=1):%Y%m%d}"))


def test_birthday_and_gender_must_match_the_number() -> None:
    number, birthday = "11010519491231002X", date(1949, 12, 31)
    for gender in (2, 0, 9):
        id_cards.require_match(number, birthday, gender)
    with pytest.raises(ValueError, match="性别"):
        id_cards.require_match(number, birthday, 1)
    for other in (date(1949, 12, 30), None):
        with pytest.raises(ValueError, match="出生日期"):
            id_cards.require_match(number, other, 2)
