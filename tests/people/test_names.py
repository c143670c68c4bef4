"""Names are compared and searched in one form, however they were typed."""

import pytest

from chalicelib.people.names import are_equal, normalize_name

DOTS = "·•.．・･‧⋅∙․·˙᛫⸱。｡"
SPACES = (" ", "\u3000", "\u00a0", "\u2009", "\u200b", "\u200d", "\u2060", "\ufeff", "\t", "  ")


@pytest.mark.parametrize("dot", DOTS)
def test_dots_are_the_same(dot: str) -> None:
    assert are_equal(f"古丽{dot}艾山", "古丽·艾山")
    assert are_equal(f"古丽 {dot} 艾山", "古丽艾山")


@pytest.mark.parametrize("space", SPACES)
def test_spaces_and_invisible_characters_are_ignored(space: str) -> None:
    assert are_equal(f"张{space}三", "张三")
    assert are_equal(f"{space}SMITH{space}JOHN", "Smith John")


@pytest.mark.parametrize("hyphen", "-‐‑‒–—―−﹣－")
def test_hyphens_are_the_same(hyphen: str) -> None:
    assert are_equal(f"Anne{hyphen}Marie", "ANNE-MARIE")


@pytest.mark.parametrize("apostrophe", "'’‘ʼ＇`´")
def test_apostrophes_are_the_same(apostrophe: str) -> None:
    assert are_equal(f"O{apostrophe}Brien", "o'brien")


def test_width_case_and_composition_are_ignored() -> None:
    assert normalize_name("ＳＭＩＴＨ　Ｊｏｈｎ") == "smithjohn"
    assert are_equal("Straße", "STRASSE")
    assert are_equal("José", "Jose\u0301")


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("\ue863", "䶮"),  # GBK's private-use code points
        ("\ue81e", "龴"),
        ("\ue854", "龺"),
        ("\ue864", "龻"),
        ("李\ue831", "李\U000215d7"),
        ("⺠", "民"),  # a radical that looks like the character
        ("⾺", "馬"),
        ("李⻰", "李龙"),
        ("\uf9e1", "李"),  # a compatibility ideograph
        ("葛\U000e0100", "葛"),  # a variation selector
    ],
)
def test_look_alikes_of_other_systems_are_the_same(stored: str, typed: str) -> None:
    assert are_equal(stored, typed)


def test_private_use_table_agrees_with_the_codec() -> None:
    """Python's codec maps what GB 18030-2000 had in Unicode already; the rest stays private there."""
    compared = 0
    for trail in (*range(0x50, 0x7F), *range(0x80, 0xA1)):
        decoded = bytes([0xFE, trail]).decode("gb18030")
        point = 0xE815 + compared
        if decoded != chr(point):
            assert are_equal(chr(point), decoded), hex(point)
        compared += 1
    assert compared == 80


@pytest.mark.parametrize(("one", "other"), [("王强", "王𬭎"), ("王强", "汪强"), ("Li Na", "Li Ma")])
def test_different_names_stay_different(one: str, other: str) -> None:
    assert not are_equal(one, other)


@pytest.mark.parametrize("name", ["·", "。。。", "· •", "\u3164", "\u200b"])
def test_names_of_dots_and_invisible_characters_are_not_empty(name: str) -> None:
    """Else they would all be one name, and a search for one of them would find everybody."""
    assert normalize_name(name)
    assert are_equal(name, f" {name} ")
    assert not are_equal(name, f"{name}·")
    assert not are_equal(name, "张三")


def test_normalizing_twice_changes_nothing() -> None:
    assert normalize_name(" ") == normalize_name("") == ""
    for name in ("·", "· •", "古丽·艾山", "ＳＭＩＴＨ Ｊｏｈｎ", "\ue863⻰", "Straße…˙", "İ", "ﷺ"):
        assert normalize_name(normalize_name(name)) == normalize_name(name)
