"""身份证 numbers. Those here belong to nobody: the examples of GB 11643, and made ones."""

from datetime import date, timedelta

import pytest

from chalicelib import clock
from chalicelib.people import id_cards
from tests.support.id_numbers import build_id_number


@pytest.mark.parametrize(
    "number", ["11010519491231002X", "440524188001010014", "11010519491231002x", " 440524188001010014 "]
)
def test_a_valid_number_is_kept_with_a_capital_x(number: str) -> None:
    assert id_cards.normalize(number) == number.strip().upper()


def test_an_area_that_was_abolished_long_ago_is_valid() -> None:
    assert id_cards.normalize(build_id_number(area="513021")) == build_id_number(area="513021")  # 达县, gone since 1999


def test_a_number_tells_birthday_and_sex() -> None:
    assert id_cards.parse_birthday("11010519491231002X") == date(1949, 12, 31)
    assert id_cards.parse_gender("11010519491231002X") == 2
    assert id_cards.parse_gender("440524188001010014") == 1


def test_a_mistyped_digit_is_noticed() -> None:
    good = "11010519491231002X"
    for place in range(17):
        for digit in "0123456789":
            if digit != good[place]:
                with pytest.raises(ValueError, match="身份证"):
                    id_cards.normalize(good[:place] + digit + good[place + 1 :])


def test_two_digits_changed_round_are_noticed() -> None:
    good = "440524188001010014"
    for place in range(17):
        changed = good[:place] + good[place + 1] + good[place] + good[place + 2 :]
        if changed != good:
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
def test_what_does_not_look_like_one_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="18位"):
        id_cards.normalize(number)


@pytest.mark.parametrize("born", ["19490230", "20231301", "20230229", "19000000"])
def test_a_date_that_never_was_is_refused(born: str) -> None:
    with pytest.raises(ValueError, match="出生日期有误"):
        id_cards.normalize(build_id_number(born=born))


def test_nobody_is_born_tomorrow() -> None:
    today = clock.today()
    assert id_cards.normalize(build_id_number(born=f"{today:%Y%m%d}"))
    with pytest.raises(ValueError, match="出生日期有误"):
        id_cards.normalize(build_id_number(born=f"{today + timedelta(days=1):%Y%m%d}"))


def test_birthday_and_sex_must_agree_with_the_number() -> None:
    number, born = "11010519491231002X", date(1949, 12, 31)
    for said in (2, 0, 9):
        id_cards.require_match(number, born, said)
    with pytest.raises(ValueError, match="性别"):
        id_cards.require_match(number, born, 1)
    for other in (date(1949, 12, 30), None):
        with pytest.raises(ValueError, match="出生日期"):
            id_cards.require_match(number, other, 2)
