"""Checks of the source code: imports, package cycles, SQL literals, names, sizes and docstrings.

Each check takes sources, a mapping from a path relative to the repository to the text of the file, and returns one line
of text per violation. Tests call it with the files of the repository, and with a planted violation.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from tests.support.vocabulary import BANNED_WORDS

Sources = Mapping[str, str]

PACKAGE = "chalicelib"
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 40
# Columns whose values are enums in Python.
ENUM_COLUMNS = r"(?:\w+_)?(?:status|state|kind|role|type|event|reason|purpose|source|job|action|relation)|cancelled_for"
SQL_TEXT = re.compile(r"%\(\w+\)s|\b(?:SELECT|INSERT|UPDATE|DELETE|WHERE|AND|OR|JOIN|CASE)\b")
ENUM_NUMBER = re.compile(rf"\b(?:{ENUM_COLUMNS})\s*(?:=|<>|!=|<|>|<=|>=|(?:NOT )?IN\s*\()\s*\d+")
QUOTED_WORD = re.compile(r"'[A-Za-z]\w*'|\b(?:id_type|duty_code)\s*(?:=|<>)\s*'\w*'")
INSERTED_ROW = re.compile(r"INSERT (?:IGNORE )?INTO \w+\s*\(([^()]*)\)\s*VALUES\s*\(((?:[^()]|%\(\w+\)s)*)\)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_upward_imports(sources: Sources, rows: Sequence[Collection[str]]) -> list[str]:
    """Report imports that point up or sideways in the package.

    Args:
        rows: names below the package, from the lowest row to the highest. A module imports from its own package and
            from lower rows; modules of the lowest row also import from each other.
    """
    row_of = {name: number for number, row in enumerate(rows) for name in row}

    def is_upward(own: str, module: str) -> bool:
        top, _, rest = module.partition(".")
        if top != PACKAGE:
            return top in ("", "app", "bundle", "apidocs", "devstack", "infra", "tests", "bench")
        theirs = rest.partition(".")[0]
        return own != theirs and row_of[theirs] >= row_of[own] and row_of[own] > 0

    return [
        f"{path}: imports {module}"
        for path, text in sources.items()
        if (own := _get_top_name(path)) != "__init__"
        for module in list_imports(text)
        if is_upward(own, module)
    ]


def find_package_cycles(sources: Sources) -> list[str]:
    """Report each cycle of imports between packages, at every depth of nesting.

    At depth 1 a package includes its subpackages; at greater depths each subpackage counts for itself.
    """
    modules = {_get_module_name(path): text for path, text in sources.items()}
    packages = {_get_module_name(path) for path in sources if path.endswith("__init__.py")}
    edges = {
        (_get_package(module, packages), _get_package(target, packages))
        for module, text in modules.items()
        for imported in list_imports(text)
        if (target := _resolve_module(imported, modules)) is not None
    }
    depths = range(2, max((package.count(".") + 2 for package in packages), default=2))
    cycles = {cycle for depth in depths for cycle in _find_cycles({(_cut(a, depth), _cut(b, depth)) for a, b in edges})}
    return [" <-> ".join(cycle) for cycle in sorted(cycles)]


def find_module_names_in_strings(sources: Sources) -> list[str]:
    """Report string constants that name a module of the package, and dynamic imports."""
    return [
        f"{path}:{node.lineno}: {problem}"
        for path, text in sources.items()
        for node, problem in _iter_dynamic_imports(ast.parse(text))
    ]


def find_enum_literals_in_sql(sources: Sources) -> list[str]:
    """Report SQL that contains a number or a word which a Python enum defines: it must be a parameter."""
    return [
        f"{path}:{line}: {literal}"
        for path, text in sources.items()
        for line, sql in _iter_sql(ast.parse(text))
        for literal in _list_enum_literals(sql)
    ]


def find_banned_identifiers(sources: Sources, words: Mapping[str, str] = BANNED_WORDS) -> list[str]:
    """Report functions, classes, parameters, variables and fields whose name contains a banned word.

    Views of endpoints are exempt: their names are operation ids of the published API.
    """
    return [
        f"{path}:{line}: {name}: say {words[word]}"
        for path, text in sources.items()
        for line, name in _iter_defined_names(path, ast.parse(text))
        for word in sorted(words.keys() & set(_split_words(name)))
    ]


def find_long_files_and_functions(sources: Sources) -> list[str]:
    """Report files and functions above the limits. The further lines of a multi-line text are not counted."""
    problems = []
    for path, text in sources.items():
        lines = len(text.splitlines())
        if lines > MAX_FILE_LINES:
            problems.append(f"{path}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function):
                length = _count_lines(node) - sum(map(_count_text_lines, ast.walk(node)))
                if length > MAX_FUNCTION_LINES:
                    problems.append(f"{path}: {node.name} has {length} lines")
    return problems


def find_missing_docstrings(sources: Sources) -> list[str]:
    """Report public functions, classes and methods without a docstring. Methods of private classes are not public."""
    return [
        f"{path}:{node.lineno}: {node.name}"
        for path, text in sources.items()
        for node in _iter_public_definitions(ast.parse(text).body)
        if not ast.get_docstring(node)
    ]


def find_unfinished_summaries(sources: Sources) -> list[str]:
    """Report English docstrings whose first line does not end in a full stop or is followed by text without a gap."""
    problems = []
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            docstring = ast.get_docstring(node) if isinstance(node, Function | ast.ClassDef) else None
            first, _, rest = (docstring or "").partition("\n")
            if first.isascii() and docstring and (not first.endswith(".") or (rest and not rest.startswith("\n"))):
                problems.append(f"{path}: {first}")
    return problems


def list_imports(text: str) -> list[str]:
    """Return the modules and names that a file imports anywhere in it; relative ones begin with a full stop."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names]
    return found


def _get_top_name(path: str) -> str:
    """Return the name below the package: `outbox` for chalicelib/outbox/store.py."""
    return PurePosixPath(path).parts[1].removesuffix(".py")


def _get_module_name(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _get_package(module: str, packages: Collection[str]) -> str:
    return module if module in packages else module.rpartition(".")[0]


def _resolve_module(imported: str, modules: Collection[str]) -> str | None:
    """Return the module that an import loads: the imported name itself, or the module that defines it."""
    if imported in modules:
        return imported
    parent = imported.rpartition(".")[0]
    return parent if parent in modules else None


def _cut(package: str, depth: int) -> str:
    return ".".join(package.split(".")[:depth])


def _find_cycles(edges: Collection[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the groups of nodes that reach each other."""
    reachable = {start: {end for begin, end in edges if begin == start and end != start} for start, _ in edges}
    changed = True
    while changed:
        changed = False
        for ends in reachable.values():
            further = {end for middle in ends for end in reachable.get(middle, ())} - ends
            ends |= further
            changed = changed or bool(further)
    groups = {
        tuple(sorted({node, *(end for end in ends if node in reachable.get(end, ()))}))
        for node, ends in reachable.items()
        if node in ends
    }
    return sorted(groups)


def _iter_dynamic_imports(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    docstrings = _list_docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            if re.search(rf"(?<![\w/]){PACKAGE}(?:\.|$)", node.value):
                yield node, f"names a module: {node.value}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            yield node, "imports by name"


def _list_docstrings(tree: ast.Module) -> list[ast.AST]:
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | Function)]
    return [body[0].value for body in bodies if body and isinstance(body[0], ast.Expr)]


def _iter_sql(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string that is SQL or a part of it; `?` stands for what an f-string puts in."""
    docstrings = _list_docstrings(tree)
    pieces = {piece for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    texts: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else " ? " for part in node.values]
            texts.append((node.lineno, "".join(parts)))
        elif isinstance(node, ast.Constant) and node not in docstrings and node not in pieces:
            texts += [(node.lineno, node.value)] if isinstance(node.value, str) else []
    yield from ((line, text) for line, text in texts if SQL_TEXT.search(text) and "redis.call" not in text)


def _list_enum_literals(sql: str) -> list[str]:
    found = [match[0] for pattern in (ENUM_NUMBER, QUOTED_WORD) for match in pattern.finditer(sql)]
    for columns, values in INSERTED_ROW.findall(sql):
        pairs = zip(columns.split(","), values.split(","), strict=False)
        found += [
            f"{column.strip()}: {value.strip()}"
            for column, value in pairs
            if re.fullmatch(ENUM_COLUMNS, column.strip()) and value.strip().isdigit()
        ]
    return found


def _iter_defined_names(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    yield 1, PurePosixPath(path).stem
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) or (isinstance(node, Function) and not _is_view(node)):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.lineno, node.name
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname


def _is_view(node: Function) -> bool:
    return any(ast.unparse(one).startswith(("routes.get(", "routes.post(")) for one in node.decorator_list)


def _split_words(name: str) -> list[str]:
    """Return the words of snake_case, CamelCase and mixedCase names, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _count_lines(node: Function) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def _count_text_lines(node: ast.AST) -> int:
    """Return how many lines a text (SQL, a docstring) takes beyond its first."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.end_lineno or 0) - node.lineno
    return 0


def _iter_public_definitions(body: Sequence[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _iter_public_definitions(node.body)
        elif isinstance(node, ast.If | ast.Try):
            yield from _iter_public_definitions(node.body)
