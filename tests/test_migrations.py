"""Migrations, also with concurrent runs, crashes and errors."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib import clock, migrations
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import ConnectionLostError
from chalicelib.migrations import MigrationChangedError, MigrationFailedError, migrate, split_statements
from chalicelib.settings import settings

pytestmark = pytest.mark.store

FILES = sorted(path.name for path in migrations.DIRECTORY.glob("*.sql"))
CREATE_WARDS_SQL = "CREATE TABLE wards (ward_id INT PRIMARY KEY, name VARCHAR(64) NOT NULL);"
Write = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A separate empty database; the fixture returns its URL."""
    parts = urlsplit(settings.database_url)
    name = f"{parts.path.strip('/')}_migrations"
    mysql.autocommit.execute(f"DROP DATABASE IF EXISTS `{name}`")
    mysql.autocommit.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
    url = parts._replace(path=f"/{name}").geturl()
    monkeypatch.setattr(mysql, "settings", replace(settings, database_url=url))
    monkeypatch.setattr(mysql, "_idle_connections", [])  # they are connected to the other database
    yield url
    mysql.run_on_own_connection(lambda tx: tx.execute(f"DROP DATABASE `{name}`"), 10)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Replace the project's migrations; return a function that writes a file."""
    monkeypatch.setattr(migrations, "DIRECTORY", tmp_path)

    def write(name: str, sql: str) -> None:
        (tmp_path / name).write_text(sql, "utf-8")

    return write


def fetch_all(sql: str) -> list[dict[str, Any]]:
    """Return rows of the test's database, not of that of the pool."""
    return mysql.run_on_own_connection(lambda tx: tx.fetch_all(sql), 10)


def list_unfinished() -> list[tuple[str, int]]:
    return [(row["file"], row["number"]) for row in fetch_all("SELECT * FROM schema_ledger WHERE finished_at IS NULL")]


def list_tables() -> set[str]:
    return {str(next(iter(row.values()))) for row in fetch_all("SHOW TABLES")}


def crash_at_clock_reading(monkeypatch: pytest.MonkeyPatch, which: int) -> None:
    """Let a migration crash when it reads the clock for the nth time, before its nth write to the ledger."""
    readings = iter(range(1, 100))

    def now() -> int:
        if next(readings) == which:
            raise KeyboardInterrupt
        return 1

    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", now)
        with pytest.raises(KeyboardInterrupt):
            migrate()


def test_empty_database_is_migrated_once() -> None:
    assert migrate() == FILES
    assert {"tenants", "people", "tokens", "messages"} <= list_tables()
    assert migrate() == []
    assert list_unfinished() == []
    with_tenant = fetch_all(
        "SELECT table_name AS name FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND column_name = 'tenant_id' AND is_nullable = 'NO'"
    )
    assert list_tables() - {row["name"] for row in with_tenant} == {"schema_ledger"}


def test_concurrent_processes_run_each_file_once(database: str) -> None:
    command = [sys.executable, "-m", "chalicelib.migrations"]
    env = {**os.environ, "DATABASE_URL": database}
    root = Path(__file__).parent.parent
    processes = [subprocess.Popen(command, cwd=root, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=30)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(printed[0] + printed[1]) == FILES
    assert list_unfinished() == []


def test_run_gives_up_waiting_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "LOCK_WAIT_SECONDS", 0)

    def hold_lock(tx: mysql.Tx) -> None:
        tx.fetch_value("SELECT GET_LOCK(CONCAT('zhenxun.migrate.', DATABASE()), 0)")
        with pytest.raises(TimeoutError):
            migrate()

    mysql.run_on_own_connection(hold_lock, 10)
    assert "tenants" not in list_tables()


def test_statement_may_take_longer_than_that_of_a_request(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "settings", replace(vars(mysql)["settings"], database_timeout_seconds=0.1))
    write("0001.sql", "DO SLEEP(0.3);")
    assert migrate() == ["0001.sql"]


def test_only_new_files_are_run(write: Write) -> None:
    write("0002.sql", CREATE_WARDS_SQL)
    assert migrate() == ["0002.sql"]
    write("0003.sql", "INSERT INTO wards VALUES (1, '内科'), (2, '100%');")
    assert migrate() == ["0003.sql"]
    assert fetch_all("SELECT name FROM wards ORDER BY ward_id") == [{"name": "内科"}, {"name": "100%"}]


def test_run_resumes_after_a_crash_at_each_statement(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [
        "ALTER TABLE wards ADD COLUMN floor INT NOT NULL;",
        "CREATE INDEX high ON wards (floor);",
        "DROP INDEX high ON wards;",
        "ALTER TABLE wards DROP COLUMN floor;",
        "DROP TABLE wards;",
    ]
    write("0001.sql", "\n".join([CREATE_WARDS_SQL, *changes, "CREATE TABLE last (id INT PRIMARY KEY);"]))
    crash_at_clock_reading(monkeypatch, 2)
    for number in range(1, 6):
        assert list_unfinished() == [("0001.sql", number)]
        crash_at_clock_reading(monkeypatch, 3)  # finishes that statement and crashes at the next
    assert migrate() == ["0001.sql"]
    assert list_unfinished() == []
    assert list_tables() == {"schema_ledger", "last"}
    assert migrate() == []


def test_row_changes_are_rolled_back_by_a_crash(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        "0001.sql",
        f"{CREATE_WARDS_SQL}\nINSERT INTO wards VALUES (1, '内科');\nUPDATE wards SET ward_id = ward_id + 1;",
    )
    crash_at_clock_reading(monkeypatch, 6)
    assert fetch_all("SELECT ward_id FROM wards") == [{"ward_id": 1}]
    assert migrate() == ["0001.sql"]
    assert fetch_all("SELECT ward_id FROM wards") == [{"ward_id": 2}]


def test_existing_table_is_an_error(write: Write) -> None:
    fetch_all("CREATE TABLE wards (other INT)")
    write("0001.sql", CREATE_WARDS_SQL)
    with pytest.raises(MigrationFailedError, match=r"0001\.sql, statement 1: MySQL error 1050"):
        migrate()


def test_edited_statement_is_an_error(write: Write) -> None:
    write("0001.sql", f"{CREATE_WARDS_SQL}\nCREATE TABLE beds (bed_id INT PRIMARY KEY);")
    migrate()
    write("0001.sql", f"{CREATE_WARDS_SQL}\nCREATE TABLE beds (bed_id BIGINT PRIMARY KEY);")
    with pytest.raises(MigrationChangedError, match=r"0001\.sql, statement 2"):
        migrate()


def test_comment_may_be_edited(write: Write) -> None:
    write("0001.sql", CREATE_WARDS_SQL)
    migrate()
    write("0001.sql", f"-- The hospital's wards.\n{CREATE_WARDS_SQL}  -- one row each\n")
    assert migrate() == []


@pytest.mark.parametrize(
    ("broken", "number"),
    [
        ("CREATE TABEL beds (bed_id INT);", "1064"),
        ("INSERT INTO wards VALUES (1, '内科');", "1062"),
        ("INSERT INTO beds VALUES (1);", "1146"),
    ],
)
def test_failed_statement_is_named_and_can_be_fixed(write: Write, broken: str, number: str) -> None:
    first_statements = f"{CREATE_WARDS_SQL}\nINSERT INTO wards VALUES (1, '外科');"
    write("0001.sql", f"{first_statements}\n{broken}")
    for _ in range(2):
        with pytest.raises(MigrationFailedError, match=rf"^0001\.sql, statement 3: MySQL error {number}: "):
            migrate()
    write("0001.sql", f"{first_statements}\nCREATE TABLE beds (bed_id INT PRIMARY KEY);")
    assert migrate() == ["0001.sql"]
    assert list_tables() == {"schema_ledger", "wards", "beds"}
    assert fetch_all("SELECT name FROM wards") == [{"name": "外科"}]


def test_migration_gives_up_waiting_for_an_open_transaction(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """All requests for the table wait behind an ALTER that waits."""
    monkeypatch.setattr(migrations, "TABLE_WAIT_SECONDS", 1)
    monkeypatch.setattr(migrations, "STATEMENT_TIMEOUT_SECONDS", 5)
    write("0001.sql", CREATE_WARDS_SQL)
    migrate()
    write("0002.sql", "ALTER TABLE wards ADD COLUMN floor INT NOT NULL DEFAULT 0;")

    def migrate_meanwhile(tx: mysql.Tx) -> None:
        tx.execute("START TRANSACTION")
        tx.fetch_all("SELECT * FROM wards")
        with pytest.raises(MigrationFailedError, match=r"^0002\.sql, statement 1: MySQL error 1205"):
            migrate()

    mysql.run_on_own_connection(migrate_meanwhile, 20)
    assert migrate() == ["0002.sql"]


def test_lost_connection_is_raised_and_resumed(write: Write) -> None:
    write("0001.sql", f"{CREATE_WARDS_SQL}\nKILL CONNECTION_ID();")
    with pytest.raises(ConnectionLostError):
        migrate()
    write("0001.sql", CREATE_WARDS_SQL)
    assert migrate() == []


@pytest.mark.parametrize(
    ("sql", "split"),
    [
        ("", []),
        ("-- nothing; at all\n", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;\n\nSELECT 2;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1; -- one\nSELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1,\n-- the hospital's\n  2;", ["SELECT 1,\n\n  2"]),
        ("SELECT 'a;b';", ["SELECT 'a;b'"]),
        ("SELECT '--', 'it''s -- not', 'a\\'--';  -- but this is", ["SELECT '--', 'it''s -- not', 'a\\'--'"]),
    ],
)
def test_file_is_split_at_semicolons_at_line_ends(sql: str, split: list[str]) -> None:
    assert split_statements(sql) == split
