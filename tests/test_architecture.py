"""The house style, as far as a machine can hold it. Each test lists what breaks the rule."""

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from apidocs import endpoints
from app import GROUPS
from chalicelib.identity.callers import Role
from chalicelib.migrations import CREATE_LEDGER_SQL, DIRECTORY, split_statements

ROOT = Path(__file__).parent.parent
OURS = {".chalice", ".ci", ".github"}  # other folders that begin with a dot, or __, are made and not written

# What stands on what inside the bundle: a module imports from its own row and the rows above it.
ROWS = [
    ("errors", "settings", "clock", "logs"),
    ("adapters",),
    ("crypto", "migrations"),
    ("outbox",),
    ("people",),
    ("identity",),
    ("files",),
    ("messaging",),
    ("notifications", "billing", "wechat_account"),
    ("http",),
    GROUPS,
]
ROW = {name: number for number, row in enumerate(ROWS) for name in row}
# Only these modules of the bundle may touch these things.
ONLY = {
    "pymysql": ("adapters/__init__.py", "adapters/mysql.py", "adapters/mysql_statements.py"),
    "redis": ("adapters/redis.py", "adapters/redis_protocol.py"),
    "chalice": ("http/routing.py", "http/bodies.py"),
    "time": ("clock.py",),
    "os": ("settings.py",),
}
SITEMAP = (
    *("chalice.app", "chalicelib.http.routing", "chalicelib.http.websocket", "chalicelib.logs", "chalicelib.settings"),
    # What jobs do.
    *("chalicelib.migrations", "chalicelib.files", "chalicelib.identity", "chalicelib.messaging", "chalicelib.outbox"),
    *(
        "chalicelib.booking",
        "chalicelib.consult",
        "chalicelib.gateway",
        "chalicelib.notifications",
        "chalicelib.payment",
    ),
)
FILE_LINES, FUNCTION_LINES = 250, 40
NAMES_THAT_SAY_NOTHING = {"util", "utils", "helper", "helpers", "manager", "base", "common", "misc"}
# Folders of one machine, or beside the repository.
MACHINE = re.compile(r"(?<![\w.~-])/(?:work|root|home/\w+|Users/\w+)/|(?<![\w/-])(?:\.\./)?shared/")
NO_TENANT = {"schema_ledger": "what the database itself has been through"}


def files(suffix: str = "") -> list[Path]:
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [one for one in folders if one in OURS or not one.startswith((".", "__"))]
        found += [Path(folder, one) for one in names if one.endswith(suffix) and one != ".git"]  # of a worktree
    return sorted(found)


PYTHON = files(".py")
BUNDLE = [path for path in PYTHON if path.is_relative_to(ROOT / "chalicelib")]
TESTS = [path for path in PYTHON if path.is_relative_to(ROOT / "tests")]
MIGRATIONS = sorted(DIRECTORY.glob("*.sql"))
STATEMENTS = [
    CREATE_LEDGER_SQL.strip(),
    *(one for path in MIGRATIONS for one in split_statements(path.read_text("utf-8"))),
]
TABLES = {one.partition("(")[0].split()[-1]: one for one in STATEMENTS if one.startswith("CREATE TABLE")}


def found(paths: list[Path], problems: Callable[[Path], Iterator[str]]) -> list[str]:
    return [f"{path.relative_to(ROOT)}: {problem}" for path in paths for problem in problems(path)]


def tree(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text("utf-8")))


def matches(pattern: str) -> Callable[[Path], Iterator[str]]:
    return lambda path: (match[0] for match in re.finditer(pattern, path.read_text("utf-8")))


def imported(path: Path) -> Iterator[str]:
    for node in tree(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names)


def written_over(node: ast.AST) -> int:
    """The lines that a text (SQL, a docstring) takes beyond its first."""
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return (node.end_lineno or 0) - node.lineno if isinstance(node, ast.Constant) and text else 0


def part(path: Path) -> str:
    return path.relative_to(ROOT / "chalicelib").parts[0].removesuffix(".py")


def test_imports_point_one_way() -> None:
    def wrong(own: str, module: str) -> bool:
        top, _, rest = module.partition(".")
        if top != "chalicelib":
            return top in ("", "app", "apidocs", "devstack", "tests", "bench")
        theirs = rest.partition(".")[0]
        return own != theirs and ROW[theirs] >= ROW[own] and ROW[own] > 0

    placed = [path for path in BUNDLE if part(path) != "__init__"]
    assert found(placed, lambda path: (module for module in imported(path) if wrong(part(path), module))) == []


def test_each_outside_thing_is_touched_in_one_place() -> None:
    def wrong(path: Path) -> Iterator[str]:
        own = str(path.relative_to(ROOT / "chalicelib"))
        yield from (module for module in imported(path) if own not in ONLY.get(module.partition(".")[0], [own]))

    assert found(BUNDLE, wrong) == []


def test_app_py_is_a_sitemap() -> None:
    def wrong(path: Path) -> Iterator[str]:
        allowed = (*SITEMAP, "importlib", "typing")
        yield from (module for module in imported(path) if not module.startswith(allowed))

    assert found([ROOT / "app.py"], wrong) == []


def test_there_is_one_clock() -> None:
    others = [path for path in BUNDLE if path.name != "clock.py"]
    assert found(others, matches(r"\b(?:datetime|date)\.(?:now|utcnow|today|fromtimestamp)\(")) == []


def test_time_is_a_parameter_of_sql() -> None:
    asked = r"\b(?:NOW|SYSDATE|CURDATE|CURTIME|UTC_TIMESTAMP|UNIX_TIMESTAMP)\s*\(|\bCURRENT_TIMESTAMP\b"
    assert found([*BUNDLE, *MIGRATIONS], matches(asked)) == []


def test_files_and_functions_are_short() -> None:
    def wrong(path: Path) -> Iterator[str]:
        lines = len(path.read_text("utf-8").splitlines())
        yield from [f"{lines} lines"] if lines > FILE_LINES else []
        for node in tree(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1 - sum(map(written_over, ast.walk(node)))
                yield from [f"{node.name} has {length} lines"] if length > FUNCTION_LINES else []

    assert found(PYTHON, wrong) == []


def test_a_module_is_named_for_what_it_holds() -> None:
    names = {path: path.relative_to(ROOT).with_suffix("").parts for path in PYTHON}
    assert [
        path for path in PYTHON if NAMES_THAT_SAY_NOTHING & {w for one in names[path] for w in one.split("_")}
    ] == []


def test_every_endpoint_says_who_may_call_and_what_it_is() -> None:
    every = [(one.id, one.endpoint.callers, one.title) for one in endpoints.iter_endpoints()]
    assert every
    assert [one for one, callers, _ in every if not callers or callers - set(Role)] == []
    assert [one for one, _, title in every if not re.search(r"[\u4e00-\u9fff]", title)] == []


def test_a_test_waits_for_a_thing_and_not_for_a_while() -> None:
    """To sleep between two looks at a thing is to wait for it: inside `while`, and nowhere else."""

    def sleeps(node: ast.AST) -> set[ast.Call]:
        calls = {one for one in ast.walk(node) if isinstance(one, ast.Call)}
        return {call for call in calls if ast.unparse(call.func) in ("time.sleep", "sleep")}

    def wrong(path: Path) -> Iterator[str]:
        whole = ast.parse(path.read_text("utf-8"))
        looking = {call for node in ast.walk(whole) if isinstance(node, ast.While) for call in sleeps(node)}
        yield from (f"line {call.lineno}" for call in sleeps(whole) - looking)

    assert found(TESTS, wrong) == []


def test_nothing_speaks_of_the_machine_it_was_written_on() -> None:
    def wrong(path: Path) -> Iterator[str]:
        yield from (match[0] for match in MACHINE.finditer(path.read_bytes().decode("utf-8", "replace")))

    assert found([path for path in files() if path != Path(__file__)], wrong) == []


def test_migrations_are_numbered_without_gaps() -> None:
    numbers = [int(path.name.partition("_")[0]) for path in MIGRATIONS]
    assert numbers == list(range(1, len(numbers) + 1))


def test_no_reference_is_pretended() -> None:
    """MySQL reads REFERENCES beside a column and forgets it."""
    assert [statement for statement in STATEMENTS if re.search(r"\bREFERENCES\b", statement, re.IGNORECASE)] == []


def test_every_table_has_a_tenant() -> None:
    column = re.compile(r"^\s*tenant_id\s+BIGINT (?:NOT NULL|PRIMARY KEY)", re.MULTILINE)
    assert "members" in TABLES
    assert [table for table in TABLES if table not in NO_TENANT and not column.search(TABLES[table])] == []


def test_every_text_names_its_collation() -> None:
    text = re.compile(r"^\s*\w+\s+(?:(?:VAR)?CHAR|\w*TEXT|ENUM)\b.*", re.MULTILINE)

    def named(table: str) -> bool:
        whole = re.search(r"\) CHARACTER SET \w+ COLLATE \w+$", TABLES[table])
        columns = [column for column in text.findall(TABLES[table]) if not whole or "CHARACTER SET" in column]
        return all("COLLATE" in column for column in columns)

    assert [table for table in TABLES if not named(table)] == []
