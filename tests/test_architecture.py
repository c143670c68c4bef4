"""Rules of the source code that a program can check. A failing test lists the violations.

The checks are in tests/support/architecture.py; tests/test_architecture_checks.py proves that each finds a violation.
"""

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from apidocs import endpoints
from app import GROUPS
from chalicelib.identity.callers import Role
from chalicelib.migrations import CREATE_LEDGER_SQL, DIRECTORY, split_statements
from tests.support import architecture
from tests.support.architecture import Sources, list_imports

ROOT = Path(__file__).parent.parent
HIDDEN_FOLDERS = {".chalice", ".ci", ".github"}  # other hidden folders, and __pycache__, are not under version control

# A module imports from its own package and from the rows listed before its own.
ROWS = [
    ("errors", "settings", "clock", "logs"),
    ("adapters",),
    ("crypto", "migrations"),
    ("outbox", "audit"),
    ("people",),
    ("identity",),
    ("files",),
    ("messaging",),
    ("notifications", "billing", "wechat_account"),
    ("patient_identity",),
    ("http",),
    GROUPS,
]
# The only modules of chalicelib that import these modules.
EXCLUSIVE_IMPORTS = {
    "pymysql": ("adapters/__init__.py", "adapters/mysql.py", "adapters/mysql_statements.py"),
    "redis": ("adapters/redis.py",),
    "hiredis": ("adapters/redis_connection.py", "adapters/redis_protocol.py"),
    "chalice": ("http/routing.py", "http/request_input.py", "http/bodies.py"),
    "time": ("clock.py",),
    "os": ("settings.py",),
}
APP_IMPORTS = (
    *("gc", "importlib", "typing", "chalice.app", "chalicelib.logs", "chalicelib.settings"),
    *("chalicelib.http.routing", "chalicelib.http.websocket", "chalicelib.http.after_response"),
    # Handlers of jobs.
    *("chalicelib.migrations", "chalicelib.files", "chalicelib.identity", "chalicelib.messaging", "chalicelib.outbox"),
    *("chalicelib.accounts", "chalicelib.booking", "chalicelib.consult", "chalicelib.gateway", "chalicelib.helpdesk"),
    *("chalicelib.notifications", "chalicelib.patient_identity", "chalicelib.payment", "chalicelib.admin"),
)
VAGUE_MODULE_NAMES = {"util", "utils", "helper", "helpers", "manager", "base", "common", "misc"}
# Absolute paths of one machine, and folders beside the repository.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home/\w+|Users/\w+)/|(?<![\w/-])(?:\.\./)?shared/")
TABLES_WITHOUT_TENANT = {"schema_ledger"}  # it describes the database itself


def list_files(suffix: str = "") -> list[Path]:
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name in HIDDEN_FOLDERS or not name.startswith((".", "__"))]
        found += [
            Path(folder, name) for name in names if name.endswith(suffix) and name != ".git"
        ]  # .git of a worktree
    return sorted(found)


PYTHON = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in list_files(".py")}


def select(*folders: str) -> Sources:
    """Return the Python sources in these folders, and these files."""
    return {path: text for path, text in PYTHON.items() if path.split("/")[0] in folders}


CHALICELIB = select("chalicelib")
DEVSTACK = select("devstack")
MIGRATIONS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in sorted(DIRECTORY.glob("*.sql"))}
STATEMENTS = [
    CREATE_LEDGER_SQL.strip(),
    *(statement for text in MIGRATIONS.values() for statement in split_statements(text)),
]
TABLES = {
    statement.partition("(")[0].split()[-1]: statement
    for statement in STATEMENTS
    if statement.startswith("CREATE TABLE")
}


def search(sources: Sources, pattern: str) -> list[str]:
    return [f"{path}: {match[0]}" for path, text in sources.items() for match in re.finditer(pattern, text)]


def report(sources: Sources, list_problems: Callable[[str], Iterator[str]]) -> list[str]:
    return [f"{path}: {problem}" for path, text in sources.items() for problem in list_problems(text)]


def test_imports_point_to_lower_rows() -> None:
    assert architecture.find_upward_imports(CHALICELIB, ROWS) == []


def test_packages_have_no_cycles() -> None:
    assert architecture.find_package_cycles(CHALICELIB) == []


def test_no_module_is_imported_by_its_name_in_a_string() -> None:
    """Only app.py and bundle.py do that: they import the groups by name."""
    assert architecture.find_module_names_in_strings(select("chalicelib", "apidocs", "infra")) == []


def test_each_external_module_is_imported_by_its_adapter_only() -> None:
    assert [
        f"{path}: {module}"
        for path, text in CHALICELIB.items()
        for module in list_imports(text)
        if path.removeprefix("chalicelib/") not in EXCLUSIVE_IMPORTS.get(module.partition(".")[0], [path[11:]])
    ] == []


def test_app_imports_only_routing_and_job_handlers() -> None:
    assert [module for module in list_imports(PYTHON["app.py"]) if not module.startswith(APP_IMPORTS)] == []


def test_the_clock_is_read_in_one_module() -> None:
    others = {path: text for path, text in CHALICELIB.items() if path != "chalicelib/clock.py"}
    assert search(others, r"\b(?:datetime|date)\.(?:now|utcnow|today|fromtimestamp)\(") == []


def test_time_is_a_parameter_of_sql() -> None:
    functions = r"\b(?:NOW|SYSDATE|CURDATE|CURTIME|UTC_TIMESTAMP|UNIX_TIMESTAMP)\s*\(|\bCURRENT_TIMESTAMP\b"
    assert search({**CHALICELIB, **MIGRATIONS}, functions) == []


def test_enum_values_are_parameters_of_sql() -> None:
    assert architecture.find_enum_literals_in_sql(CHALICELIB) == []


def test_identifiers_are_standard_terms() -> None:
    assert architecture.find_banned_identifiers(PYTHON) == []


def test_files_and_functions_are_short() -> None:
    assert architecture.find_long_files_and_functions(PYTHON) == []


def test_public_functions_and_classes_have_docstrings() -> None:
    assert architecture.find_missing_docstrings({**CHALICELIB, **DEVSTACK}) == []


def test_docstrings_begin_with_a_summary_line() -> None:
    assert architecture.find_unfinished_summaries({**CHALICELIB, **DEVSTACK}) == []


def test_module_names_are_specific() -> None:
    assert [path for path in PYTHON if VAGUE_MODULE_NAMES & set(re.split(r"[/_]", path.removesuffix(".py")))] == []


def test_every_endpoint_declares_callers_and_a_chinese_title() -> None:
    documented = [(one.id, one.endpoint.callers, one.title) for one in endpoints.iter_endpoints()]
    assert documented
    assert [name for name, callers, _ in documented if not callers or callers - set(Role)] == []
    assert [name for name, _, title in documented if not re.search(r"[\u4e00-\u9fff]", title)] == []


def test_tests_wait_for_a_condition_and_not_for_a_fixed_time() -> None:
    """A sleep between two polls, inside `while`, is allowed."""

    def list_sleeps(node: ast.AST) -> set[ast.Call]:
        calls = {one for one in ast.walk(node) if isinstance(one, ast.Call)}
        return {call for call in calls if ast.unparse(call.func) in ("time.sleep", "sleep")}

    def list_fixed_waits(text: str) -> Iterator[str]:
        tree = ast.parse(text)
        polling = {call for node in ast.walk(tree) if isinstance(node, ast.While) for call in list_sleeps(node)}
        yield from (f"line {call.lineno}" for call in list_sleeps(tree) - polling)

    assert report(select("tests"), list_fixed_waits) == []


def test_no_file_contains_a_path_of_one_machine() -> None:
    texts = {
        str(path.relative_to(ROOT)): path.read_bytes().decode("utf-8", "replace")
        for path in list_files()
        if path != Path(__file__)
    }
    assert search(texts, MACHINE_PATH.pattern) == []


def test_migrations_are_numbered_without_gaps() -> None:
    numbers = [int(Path(path).name.partition("_")[0]) for path in MIGRATIONS]
    assert numbers == list(range(1, len(numbers) + 1))


def test_no_column_has_a_references_clause() -> None:
    """MySQL parses REFERENCES beside a column and ignores it."""
    assert [statement for statement in STATEMENTS if re.search(r"\bREFERENCES\b", statement, re.IGNORECASE)] == []


def test_every_table_has_a_tenant() -> None:
    column = re.compile(r"^\s*tenant_id\s+BIGINT (?:NOT NULL|PRIMARY KEY)", re.MULTILINE)
    assert "members" in TABLES
    assert [table for table in TABLES if table not in TABLES_WITHOUT_TENANT and not column.search(TABLES[table])] == []


def test_every_text_column_declares_its_collation() -> None:
    text = re.compile(r"^\s*\w+\s+(?:(?:VAR)?CHAR|\w*TEXT|ENUM)\b.*", re.MULTILINE)

    def declares_collations(table: str) -> bool:
        whole = re.search(r"\) CHARACTER SET \w+ COLLATE \w+$", TABLES[table])
        columns = [column for column in text.findall(TABLES[table]) if not whole or "CHARACTER SET" in column]
        return all("COLLATE" in column for column in columns)

    assert [table for table in TABLES if not declares_collations(table)] == []
