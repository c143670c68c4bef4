"""Compare and search names of persons.

One name is typed in many ways: keyboards produce the dot of 古丽·艾山 as U+00B7, U+2022, U+30FB and others, old
systems store rare characters in private-use code points, and pasted texts have full-width letters and invisible
characters. A name is stored and displayed as entered; `normalize_name` returns the form that is compared and searched.
"""

import unicodedata

KEY_LENGTH = 64  # of the columns name_key

# What separates the parts of a name, of any width and at any height.
_DOTS = "·.•‧・･⋅∙．。｡﹒․·᛫⸱⸰⸳˙∘◦●⚫ꞏᐧ𐄁"
_HYPHENS = "‐‑‒–—―−⁃﹘﹣－⸺⸻"
_APOSTROPHES = "‘’‛ʹʻʼʽ′＇`´｀"
# Letters and symbols without a shape; white space and format characters are removed by their category.
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_VARIATION_SELECTORS = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), *range(0x180B, 0x1810))
_REMOVED_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})

# GBK and GB 18030-2000 map the double bytes FE50 to FEA0 to the private-use code points from U+E815. GB 18030-2022 maps
# them to these characters.
_FIRST_PRIVATE_USE = 0xE815
_PRIVATE_USE_CHARACTERS = (
    "⺁𠂇𠂉𠃌⺄㑳㑇⺈⺋龴㖞㘚㘎⺌⺗㥮㤘龵㧏㧟㩳㧐龶龷㭎㱮㳠⺧𡗗龸⺪䁖䅟⺮䌷⺳⺶⺷𢦏䎱䎬⺻䏝䓖䙡䙌"
    "龹䜣䜩䝼䞍⻊䥇䥺䥽䦂䦃䦅䦆䦟䦛䦷䦶龺𤇾䲣䲟䲠䲡䱷䲢䴓䴔䴕䴖䴗䴘䴙䶮龻"
)
# Radicals that look like a character, which normalization does not replace (EquivalentUnifiedIdeograph.txt of Unicode).
_RADICALS = dict(
    zip(
        "⺁⺄⺈⺌⺍⺎⺒⺓⺜⺝⺞⺟⺠⺡⺤⺥⺧⺩⺫⺬⺭⺰⺱⺶⺹⺻⺼⻀⻁⻂⻃⻄⻅⻆⻈⻉⻋⻌⻍⻎⻏⻐⻑⻒⻓⻔⻖⻗⻘⻙⻚⻛⻜⻝⻟⻠⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲⻳",
        "厂乙刀小小兀巳幺日月歹母民氵爫爫牛王目示礻纟罓羊耂聿肉艹虎衤覀西见角讠贝车辶辶辶邑钅長镸长门阝雨青韦页风飞食飠饣马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟",
        strict=True,
    )
)


def _build_translations() -> dict[int, str]:
    table = {_FIRST_PRIVATE_USE + place: character for place, character in enumerate(_PRIVATE_USE_CHARACTERS)}
    table = {point: _RADICALS.get(character, character) for point, character in table.items()}
    table |= {ord(radical): character for radical, character in _RADICALS.items()}
    table |= dict.fromkeys(map(ord, _DOTS + _INVISIBLE), "") | dict.fromkeys(_VARIATION_SELECTORS, "")
    return table | dict.fromkeys(map(ord, _HYPHENS), "-") | dict.fromkeys(map(ord, _APOSTROPHES), "'")


_TRANSLATIONS = _build_translations()


def normalize_name(text: str) -> str:
    """Return the form in which names are compared and searched: without dots and spaces, in one width and case.

    A text of which nothing would be left stays as it is: such names are not all the same, and do not match any name.
    """
    # Before and after NFKC, which turns some of these characters into others: U+02D9 into a space, U+2026 into dots.
    key = unicodedata.normalize("NFKC", text.translate(_TRANSLATIONS)).translate(_TRANSLATIONS)
    key = unicodedata.normalize("NFKC", key.casefold())
    return "".join(one for one in key if unicodedata.category(one) not in _REMOVED_CATEGORIES) or text.strip()


def build_key(name: str) -> str:
    """Return what the columns name_key hold for a name; for searches, of a part of a name."""
    return normalize_name(name)[:KEY_LENGTH]


def are_equal(one: str, other: str) -> bool:
    """Return whether two names are the same, however they were typed."""
    return normalize_name(one) == normalize_name(other)
