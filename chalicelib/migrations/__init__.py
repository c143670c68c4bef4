"""Brings a database to the newest schema: plain SQL files, forward only, safe to run twice at once or after a crash.

MySQL commits each DDL statement by itself, so the ledger has a row for each statement, written before it runs and
closed after. A run that died between the two is resumed: what the statement had already made counts as made. A
statement that changes rows commits together with its ledger row.
"""

import hashlib
import re
from pathlib import Path

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx

DIRECTORY = Path(__file__).parent
LOCK_WAIT_SECONDS = 60  # seconds to wait for another run
TABLE_WAIT_SECONDS = 10  # seconds to wait for a table that a transaction uses: every request for it waits behind us
STATEMENT_TIMEOUT_SECONDS = 900  # seconds that a statement may take: as long as a Lambda may
# Table, column or index already there; table, index or column already dropped.
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
    """A statement that already ran has another text now. Migrations go forward: add a new file instead."""


class MigrationFailedError(Exception):
    """A statement that the server would not run: it changed nothing. Mend the file or the data, and migrate again."""


def migrate() -> list[str]:
    """Run what has not run yet; return the names of the files that had something to do. Raises Changed and Broken."""
    return mysql.run_on_own_connection(_run_pending_files, STATEMENT_TIMEOUT_SECONDS)


def split_statements(sql: str) -> list[str]:
    """Split a file at the semicolons that end a line, without its comments."""
    bare = re.sub(r"('(?:[^'\\]|\\.)*')|--[^\n]*", r"\1", sql)  # two dashes in a text are no comment
    return [part.strip() for part in re.split(r";\s*$", bare, flags=re.MULTILINE) if part.strip()]


def _run_pending_files(tx: Tx) -> list[str]:
    name = tx.fetch_value("SELECT CONCAT('zhenxun.migrate.', DATABASE())")
    if tx.fetch_value("SELECT GET_LOCK(%(name)s, %(wait)s)", name=name, wait=LOCK_WAIT_SECONDS) != 1:
        raise TimeoutError("another migration has been running for a minute")
    tx.execute("SET SESSION lock_wait_timeout = %(wait)s", wait=TABLE_WAIT_SECONDS)
    tx.execute(CREATE_LEDGER_SQL)
    return [path.name for path in sorted(DIRECTORY.glob("*.sql")) if _run_file(tx, path)]  # our lock ends with `apart`


def _run_file(tx: Tx, path: Path) -> int:
    ran = [_run_statement(tx, path.name, n, sql) for n, sql in enumerate(split_statements(path.read_text("utf-8")), 1)]
    return sum(ran)


def _run_statement(tx: Tx, file: str, number: int, sql: str) -> bool:
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
    except (mysql.StatementError, mysql.DuplicateKeyError) as refused:
        tx.execute("ROLLBACK")
        tx.execute("DELETE FROM schema_ledger WHERE file = %(file)s AND number = %(number)s", file=file, number=number)
        raise MigrationFailedError(f"{file}, statement {number}: {refused}") from refused
    return True


def _execute_statement(tx: Tx, file: str, number: int, sql: str, resumed: bool) -> None:
    tx.execute("START TRANSACTION")
    try:
        tx.execute(sql)
    except mysql.StatementError as failed:
        if not (resumed and failed.number in ALREADY_APPLIED_ERRORS):
            raise
    tx.execute(
        "UPDATE schema_ledger SET finished_at = %(now)s WHERE file = %(file)s AND number = %(number)s",
        file=file,
        number=number,
        now=clock.now(),
    )
    tx.execute("COMMIT")
