"""All mutants of a Python file: one changed operator, condition, constant, return value, call or piece of SQL."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from devstack.mutation import sql

COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {ast.Add: ("+", "-"), ast.Sub: ("-", "+")}
LOGGING = re.compile(r"(?:\w+\.)*_?(?:log|logs|logger|logging)\.")  # calls whose removal changes no behaviour
DOCUMENTED = ("description", "examples", "json_schema_extra", "title")  # arguments that only the documentation shows
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Mutant:
    """One change of a file: the text between the offsets `start` and `end` becomes `new`."""

    path: str
    operator: str
    owner: str  # qualified name of the function, class or constant that holds the change; "" for other statements
    lines: tuple[int, int]  # first and last line of the statement, or of the header of a compound statement
    body: tuple[int, int] | None  # first and last line of the innermost function's body
    line: int  # of the change
    start: int
    end: int
    new: str
    before: str  # the changed source lines, joined and stripped
    after: str

    @property
    def key(self) -> str:
        """What the mutant is known by when lines move."""
        return f"{self.path}:{self.owner}: {self.before} -> {self.after}"

    def apply(self, text: str) -> str:
        """Return the source text with the change."""
        return text[: self.start] + self.new + text[self.end :]


@dataclass(frozen=True)
class Place:
    """The position of a node: what holds it and when it runs."""

    owner: str = ""
    lines: tuple[int, int] = (1, 1)
    body: tuple[int, int] | None = None
    imported: bool = True  # runs when the module is imported, not when a function is called


class Source:
    """A Python file with the conversion of a syntax tree's positions to offsets."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.rows = text.splitlines(keepends=True)

    @cached_property
    def starts(self) -> list[int]:
        """Return the offset of each line."""
        starts = [0]
        for row in self.rows:
            starts.append(starts[-1] + len(row))
        return starts

    def get_offset(self, line: int, column: int) -> int:
        """Offset in characters of a column that is counted in UTF-8 bytes."""
        return self.starts[line - 1] + len(self.rows[line - 1].encode()[:column].decode())

    def get_span(self, node: ast.AST) -> tuple[int, int]:
        """Return the start and end offsets of a node."""
        assert isinstance(node, ast.expr | ast.stmt)
        return self.get_offset(node.lineno, node.col_offset), self.get_offset(
            node.end_lineno or node.lineno, node.end_col_offset or 0
        )

    def build_mutant(self, operator: str, place: Place, start: int, end: int, new: str) -> Mutant:
        """Return the mutant that replaces a span with `new`."""
        first = self.text.rfind("\n", 0, start) + 1
        last = self.text.find("\n", end)
        last = len(self.text) if last < 0 else last
        before = " ".join(self.text[first:last].split())
        after = " ".join((self.text[first:start] + new + self.text[end:last]).split())
        line = self.text.count("\n", 0, start) + 1
        body = place.body
        return Mutant(
            self.path, operator, place.owner, place.lines, body, line, start, end, new, before=before, after=after
        )


def find_in_file(root: Path, path: Path) -> list[Mutant]:
    """Return the mutants of a file."""
    return find_in_source(str(path.relative_to(root)), path.read_text("utf-8"))


def find_in_source(path: str, text: str) -> list[Mutant]:
    """All mutants in the order of the text; changes of nothing are left out, those that do not compile are not."""
    source = Source(path, text)
    found = {(one.start, one.end, one.new): one for one in walk(source, ast.parse(text), Place())}
    return [one for _, one in sorted(found.items()) if one.before != one.after]


def is_valid(text: str) -> bool:
    """Return whether a text is valid Python."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def walk(source: Source, node: ast.AST, place: Place) -> Iterator[Mutant]:
    """The mutants of a node and of all below it."""
    if isinstance(node, ast.stmt):
        place = replace(
            place, lines=get_header_lines(node), owner=place.owner or (get_bound_name(node) if place.imported else "")
        )
    yield from find_in_node(source, node, place)
    if isinstance(node, ast.JoinedStr) or has_no_effect(node):  # Python 3.11 lacks the positions of an f-string's parts
        return
    statements = getattr(node, "body", [])
    for child in ast.iter_child_nodes(node):
        if is_docstring(child, statements):
            continue
        yield from walk(source, child, get_child_place(node, child, place))


def get_child_place(node: ast.AST, child: ast.AST, place: Place) -> Place:
    """The place of a node's child: inside a function or class it is named after that."""
    if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return place
    outer = place.owner if place.owner != node.name else ""
    place = replace(place, owner=f"{outer}.{node.name}".strip("."))
    if isinstance(node, ast.ClassDef):
        return place
    body = (node.body[0].lineno, node.end_lineno or node.lineno)
    return replace(place, body=body, imported=place.imported and child not in node.body)


def get_header_lines(node: ast.stmt) -> tuple[int, int]:
    """The lines of a statement, of a compound one those before its first inner statement."""
    inner = getattr(node, "body", None)
    last = (node.end_lineno or node.lineno) if not inner else max(node.lineno, inner[0].lineno - 1)
    return node.lineno, last


def get_bound_name(node: ast.stmt) -> str:
    """The first name that a module's or class's statement binds."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    names = [one.id for target in targets if target for one in ast.walk(target) if isinstance(one, ast.Name)]
    return names[0] if names else ""


def is_docstring(node: ast.AST, statements: object) -> bool:
    """Whether it is a text that stands as a statement; those of attributes count too."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(statements, list)
        and node in statements
    )


def has_no_effect(node: ast.AST) -> bool:
    """Whether no mutant below this node changes what the code does."""
    if isinstance(node, ast.keyword):
        return node.arg in DOCUMENTED
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).endswith("dataclass")  # whether its objects have slots or are frozen
    return False


def find_in_node(source: Source, node: ast.AST, place: Place) -> Iterator[Mutant]:
    """The mutants of this very node."""
    for operator, start, end, new in generate_changes(source, node):
        yield source.build_mutant(operator, place, start, end, new)


Change = tuple[str, int, int, str]  # operator, start, end, new text


def generate_changes(source: Source, node: ast.AST) -> Iterator[Change]:
    """Yield the changes of a node."""
    match node:
        case ast.Compare():
            operands = [node.left, *node.comparators]
            for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
                yield from replace_operator(source, "comparison", left, right, *COMPARISONS[type(op)])
        case ast.BoolOp():
            words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from replace_operator(source, "and/or", left, right, *words)
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield from replace_operator(source, "arithmetic", node.left, node.right, *ARITHMETIC[type(node.op)])
        case ast.UnaryOp(op=ast.Not()):
            start, end = source.get_span(node)
            yield "condition", start, end, f"({source.text[slice(*source.get_span(node.operand))]})"
        case ast.If() | ast.While() | ast.IfExp():
            yield from negate_condition(source, node.test)
        case ast.comprehension():
            for test in node.ifs:
                yield from negate_condition(source, test)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant) or value.value is not None:
            yield "return", *source.get_span(value), "None"
        case ast.Constant() | ast.JoinedStr():
            yield from change_constant(source, node)
        case ast.Expr(value=ast.Call() as call) if not LOGGING.match(ast.unparse(call.func)):
            yield "call", *source.get_span(node), "pass"


def replace_operator(
    source: Source, operator: str, left: ast.expr, right: ast.expr, old: str, new: str
) -> Iterator[Change]:
    """The operator that stands between two operands."""
    start, end = source.get_span(left)[1], source.get_span(right)[0]
    word = r"\s+".join(map(re.escape, old.split()))
    if found := re.search(rf"(?<![\w<>=!]){word}(?![\w<>=!])", source.text[start:end]):
        yield operator, start + found.start(), start + found.end(), new


def negate_condition(source: Source, test: ast.expr) -> Iterator[Change]:
    """A condition turned round, where none of its own operators can be changed instead."""
    if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp) and ast.unparse(test) != "TYPE_CHECKING":
        start, end = source.get_span(test)
        yield "condition", start, end, f"(not ({source.text[start:end]}))"


def change_constant(source: Source, node: ast.Constant | ast.JoinedStr) -> Iterator[Change]:
    """Yield the changes of a constant."""
    start, end = source.get_span(node)
    value = node.value if isinstance(node, ast.Constant) else ""
    if isinstance(value, bool):
        yield "constant", start, end, str(not value)
    elif isinstance(value, int):
        yield "constant", start, end, str(value + 1)
    elif isinstance(value, str):
        for operator, first, last, new in sql.generate_changes(source.text[start:end]):
            yield operator, start + first, start + last, new
