"""Mutants of SQL inside string literals: a condition that is always true, or a changed comparison.

The literals are changed as they are written, so that f-strings and concatenated literals need no special care: a
condition never reaches beyond a quotation mark.
"""

import re
from collections.abc import Iterator

LOOKS_LIKE_SQL = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|JOIN|SET|AND|OR|ON|CASE|ORDER BY)\b\s")
NESTED = r"\((?:[^()\"]|\((?:[^()\"]|\((?:[^()\"]|\([^()\"]*\))*\))*\))*\)"
PIECE = rf"(?:\bBETWEEN\s+\S+\s+AND\s|%\(\w+\)s|{NESTED}|'[^'\"]*'|\{{[^{{}}\"]*\}}|[^()\"'{{}}\\;])"
FOLLOWS = (
    r"(?:AND|OR|ORDER|GROUP|HAVING|LIMIT|FOR|LOCK|ON|WHERE|LEFT|INNER|CROSS|JOIN|UNION|SET|THEN|WHEN|ELSE|END|AS)\b"
)
CONDITION = re.compile(
    rf"\b(?P<word>WHERE|AND|OR|HAVING|WHEN|ON(?!\s+(?:DUPLICATE|UPDATE|DELETE)\b))\s+(?P<term>(?:{PIECE})+?)"
    rf"(?=\s+{FOLLOWS}|\s*(?:[)\"\\;]|$))",
    re.DOTALL,
)
BETWEEN = re.compile(r"\bBETWEEN\s+\S+\s+$")
SWAPS = [  # operator, what is found, what it becomes
    ("SQL comparison", r"(?<=\s)<=(?=\s)", "<"),
    ("SQL comparison", r"(?<=\s)<(?=\s)", "<="),
    ("SQL comparison", r"(?<=\s)>=(?=\s)", ">"),
    ("SQL comparison", r"(?<=\s)>(?=\s)", ">="),
    ("SQL comparison", r"(?<=\s)(?:<>|!=)(?=\s)", "="),
    ("SQL null or set", r"\bIS NULL\b", "IS NOT NULL"),
    ("SQL null or set", r"\bIS NOT NULL\b", "IS NULL"),
    ("SQL null or set", r"\bNOT (?=IN \(|EXISTS\b)", ""),
    ("SQL null or set", r"(?<!NOT )\b(?=IN \()", "NOT "),
    ("SQL step", r"(?<=[+-] )1\b", "0"),
    ("SQL order", r" DESC\b", ""),
]


def generate_changes(text: str) -> Iterator[tuple[str, int, int, str]]:
    """Operator, start, end and new text of each mutant of a literal; none if it is no SQL."""
    if not LOOKS_LIKE_SQL.search(text):
        return
    for operator, pattern, new in SWAPS:
        for found in re.finditer(pattern, text):
            yield operator, found.start(), found.end(), new
    position = 0
    while condition := CONDITION.search(text, position):
        position = condition.start() + 1  # a condition in parentheses has conditions of its own
        if not BETWEEN.search(text, 0, condition.start()):
            yield "SQL condition", *condition.span("term"), "FALSE" if condition["word"] == "OR" else "TRUE"
