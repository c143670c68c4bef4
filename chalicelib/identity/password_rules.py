"""Which new passwords are accepted. Existing ones keep working, whatever they are.

Staff need at least ten characters of three kinds, or sixteen of any. For both staff and patients, what everyone tries
first is rejected: sequences, repetitions and common words with digits around them.
"""

import re
from collections.abc import Iterator

MIN_LENGTH_FOR_STAFF = 10
SUFFICIENT_LENGTH = 16  # for staff, whatever the characters are
MIN_KINDS = 3
MIN_OWN_CHARACTERS = 4  # beside sequences and common words
PATTERN_BY_KIND = {"小写字母": "[a-z]", "大写字母": "[A-Z]", "数字": "[0-9]", "符号": "[^a-zA-Z0-9]"}
STAFF_RULE = (
    f"{MIN_LENGTH_FOR_STAFF}–72 个字符，含大写字母、小写字母、数字、符号中的三种，或不少于 {SUFFICIENT_LENGTH} 个字符；"
    "不能太常见，不能包含本人的手机号或姓名"
)
COMMON_TEXT = "太常见，容易被猜到，请换一个"

_SEQUENCES = (
    *("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
)
_MIN_SEQUENCE = 4
_COMMON_WORDS = """
    password passwd pass admin administrator root user test guest welcome hello login master system
    changeme iloveyou letmein monkey dragon woaini woaiwojia mima guanliyuan yisheng doctor yiyuan
    hospital kefu zhenxun wechat weixin abc abcabc aa qq qwe asd zxc
"""
_UNSHIFTED = str.maketrans("!@#$%^&*()", "1234567890")  # the digits on whose keys these symbols are
_LETTERS = str.maketrans("013457@$!", "oieastasi")  # that are written like these digits and symbols


def require_strong(password: str) -> str:
    """Return a new password of a member of staff, of MIN_LENGTH_FOR_STAFF characters.

    Raises:
        ValueError: with a Chinese text that says what it lacks.
    """
    missing = [kind for kind, pattern in PATTERN_BY_KIND.items() if not re.search(pattern, password)]
    if len(password) < SUFFICIENT_LENGTH and len(PATTERN_BY_KIND) - len(missing) < MIN_KINDS:
        raise ValueError(
            f"须包含大写字母、小写字母、数字、符号中的三种（还没有{'、'.join(missing)}），"
            f"或不少于 {SUFFICIENT_LENGTH} 个字符"
        )
    return require_uncommon(password)


def require_uncommon(password: str) -> str:
    """Return a new password. Raises ValueError with a Chinese text if it is one that everyone tries first."""
    if _is_common(password):
        raise ValueError(COMMON_TEXT)
    return password


def require_not_personal(password: str, *facts: str) -> None:
    """Raise ValueError with a Chinese text if a password contains its owner's phone or name."""
    if any(len(fact) > 1 and fact.casefold() in password.casefold() for fact in facts):
        raise ValueError("不能包含本人的手机号或姓名")


def _is_common(password: str) -> bool:
    lower = password.lower()
    own = "".join(_iter_own_characters(lower.translate(_UNSHIFTED)))
    word = re.sub("[^a-z]", "", re.sub(r"^[^a-z]+|[^a-z]+$", "", lower).translate(_LETTERS))
    return len(own) < MIN_OWN_CHARACTERS or word in _COMMON_WORDS.split()


def _iter_own_characters(text: str) -> Iterator[str]:
    """Yield the characters of a text outside sequences (1234, dcba, qwer, 1qaz) and repetitions (aaaa)."""
    place = 0
    while place < len(text):
        length = _measure_sequence(text[place:])
        if length < _MIN_SEQUENCE:
            yield text[place]
        place += length if length >= _MIN_SEQUENCE else 1


def _measure_sequence(text: str) -> int:
    """Return the length of the sequence or repetition with which a text begins."""
    found = len(text) - len(text.lstrip(text[0]))
    for sequence in _SEQUENCES:
        for line in (sequence, sequence[::-1]):
            length = next((n for n in range(len(text), found, -1) if text[:n] in line), 0)
            found = max(found, length)
    return found
