"""Migrate a database to the newest schema: SQL files, run in the order of their names.

Concurrent runs and runs after a crash are safe. MySQL commits each DDL statement implicitly, so the ledger has one row
for each statement, inserted before it runs and updated after. If a run stops in between, the next one repeats the
statement and ignores errors that mean that it was already applied. A statement that changes rows is committed together
with its ledger row.
"""

import hashlib
import re
from pathlib import Path

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx

DIRECTORY = Path(__file__).parent
LOCK_WAIT_SECONDS = 60  # for another run
TABLE_WAIT_SECONDS = 10  # for a table that a transaction uses; all requests for the table wait meanwhile
STATEMENT_TIMEOUT_SECONDS = 900  # the maximum duration of a Lambda function
# Table, column or index exists already; table, index or column was dropped already.
ALREADY_APPLIED_ERRORS = {1050, 1060, 1061, 1051, 1091}

CREATE_LEDGER_SQL = """
    CREATE TABLE IF NOT EXISTS schema_ledger (
        file         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        number       INT NOT NULL,
        checksum     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        started_at   BIGINT NOT NULL,
        finished_at  BIGINT NULL,
        PRIMARY KEY (file, number)
    )
"""


class MigrationChangedError(Exception):
    """A statement that has run was edited. Add a new file instead."""


class MigrationFailedError(Exception):
    """The server rejected a statement, which changed nothing. Fix the file or the data and migrate again."""


def migrate() -> list[str]:
    """Run all statements that have not run yet.

    Returns:
        The names of the files of which at least one statement was run.

    Raises:
        MigrationChangedError, MigrationFailedError: see there.
        TimeoutError: another migration is running.
        mysql.ConnectionLostError: run again to resume.
    """
    return mysql.run_on_own_connection(_run_pending_files, STATEMENT_TIMEOUT_SECONDS)


def split_statements(sql: str) -> list[str]:
    """Return the statements of a file, which end with a semicolon at the end of a line, without comments."""
    bare = re.sub(r"('(?:[^'\\]|\\.)*')|--[^\n]*", r"\1", sql)  # keeps -- inside a quoted string
    return [part.strip() for part in re.split(r";\s*$", bare, flags=re.MULTILINE) if part.strip()]


def _run_pending_files(tx: Tx) -> list[str]:
    name = tx.fetch_value("SELECT CONCAT('zhenxun.migrate.', DATABASE())")
    if tx.fetch_value("SELECT GET_LOCK(%(name)s, %(wait)s)", name=name, wait=LOCK_WAIT_SECONDS) != 1:
        raise TimeoutError("another migration has been running for a minute")
    tx.execute("SET SESSION lock_wait_timeout = %(wait)s", wait=TABLE_WAIT_SECONDS)
    tx.execute(CREATE_LEDGER_SQL)
    # The lock is released when the connection is closed.
    return [path.name for path in sorted(DIRECTORY.glob("*.sql")) if _run_file(tx, path)]


def _run_file(tx: Tx, path: Path) -> int:
    """Return the number of statements that were run."""
    ran = [_run_statement(tx, path.name, n, sql) for n, sql in enumerate(split_statements(path.read_text("utf-8")), 1)]
    return sum(ran)


def _run_statement(tx: Tx, file: str, number: int, sql: str) -> bool:
    """Run a statement unless the ledger has it as finished; return whether it was run."""
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    row = tx.fetch_one(
        "SELECT checksum, finished_at FROM schema_ledger WHERE file = %(file)s AND number = %(number)s",
        file=file,
        number=number,
    )
    if row and row["checksum"] != checksum:
        raise MigrationChangedError(f"{file}, statement {number}")
    if row and row["finished_at"]:
        return False
    if row is None:
        tx.execute(
            """
            INSERT INTO schema_ledger (file, number, checksum, started_at)
            VALUES (%(file)s, %(number)s, %(checksum)s, %(now)s)
            """,
            file=file,
            number=number,
            checksum=checksum,
            now=clock.now(),
        )
    try:
        _execute_statement(tx, file, number, sql, resumed=row is not None)
    except (mysql.StatementError, mysql.DuplicateKeyError) as error:
        tx.execute("ROLLBACK")
        tx.execute("DELETE FROM schema_ledger WHERE file = %(file)s AND number = %(number)s", file=file, number=number)
        raise MigrationFailedError(f"{file}, statement {number}: {error}") from error
    return True


def _execute_statement(tx: Tx, file: str, number: int, sql: str, resumed: bool) -> None:
    tx.execute("START TRANSACTION")
    try:
        tx.execute(sql)
    except mysql.StatementError as error:
        if not (resumed and error.number in ALREADY_APPLIED_ERRORS):
            raise
    tx.execute(
        "UPDATE schema_ledger SET finished_at = %(now)s WHERE file = %(file)s AND number = %(number)s",
        file=file,
        number=number,
        now=clock.now(),
    )
    tx.execute("COMMIT")
