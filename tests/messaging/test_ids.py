import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.messaging import ids

TICKS = st.integers(0, 2**54 - 1)
TAGS = st.integers(0, 2**26 - 1)


@given(TICKS, TAGS)
def test_id_encodes_tick_and_tag(tick: int, tag: int) -> None:
    assert ids.decode(ids.encode(tick, tag)) == (tick, tag)


@given(TICKS, TICKS, TAGS)
def test_ids_of_a_conversation_sort_in_order_of_ticks(one: int, other: int, tag: int) -> None:
    assert (ids.encode(one, tag) < ids.encode(other, tag)) == (one < other)


def test_id_has_format_of_documented_example() -> None:
    assert ids.decode("EDCZL-SY32-243Y-VWQ")
    assert len(ids.encode(0, 0)) == len("EDCZL-SY32-243Y-VWQ")


@pytest.mark.parametrize("text", ["", "x", "EDCZL-SY32-243Y-VW0", "edczl-sy32-243y-vwq", "EDCZL-SY32-243Y-VWQ\n"])
def test_other_text_is_not_an_id(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ids.decode(text)


def test_conversation_type_is_above_hash_in_tag() -> None:
    assert ids.compute_tag("a", 15) >> 22 == 15
    assert ids.compute_tag("a", 0) != ids.compute_tag("b", 0)
    assert ids.compute_tag("a", 15) < 2**ids.TAG_BITS
