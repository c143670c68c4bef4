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

FILES = Path(__file__).parent
LOCK_WAIT = 60  # seconds to wait for another run
TABLE_WAIT = 10  # seconds to wait for a table that a transaction uses: every request for it waits behind us
PATIENCE = 900  # seconds that a statement may take: as long as a Lambda may
# Table, column or index already there; table, index or column already dropped.
ALREADY_DONE = {1050, 1060, 1061, 1051, 1091}

LEDGER = """
    CREATE TABLE IF NOT EXISTS schema_ledger (
        file         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        number       INT NOT NULL,
        checksum     CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        started_at   BIGINT NOT NULL,
        finished_at  BIGINT NULL,
        PRIMARY KEY (file, number)
    )
"""


class Changed(Exception):
    """A statement that already ran has another text now. Migrations go forward: add a new file instead."""


class Broken(Exception):
    """A statement that the server would not run: it changed nothing. Mend the file or the data, and migrate again."""


def migrate() -> list[str]:
    """Run what has not run yet; return the names of the files that had something to do. Raises Changed and Broken."""
    return mysql.apart(_migrate, PATIENCE)


def statements(sql: str) -> list[str]:
    """Split a file at the semicolons that end a line, without its comments."""
    bare = re.sub(r"('(?:[^'\\]|\\.)*')|--[^\n]*", r"\1", sql)  # two dashes in a text are no comment
    return [part.strip() for part in re.split(r";\s*$", bare, flags=re.MULTILINE) if part.strip()]


def _migrate(tx: Tx) -> list[str]:
    name = tx.value("SELECT CONCAT('zhenxun.migrate.', DATABASE())")
    if tx.value("SELECT GET_LOCK(%(name)s, %(wait)s)", name=name, wait=LOCK_WAIT) != 1:
        raise TimeoutError("another migration has been running for a minute")
    tx.run("SET SESSION lock_wait_timeout = %(wait)s", wait=TABLE_WAIT)
    tx.run(LEDGER)
    return [path.name for path in sorted(FILES.glob("*.sql")) if _run_file(tx, path)]  # our lock ends with `apart`


def _run_file(tx: Tx, path: Path) -> int:
    ran = [_run_statement(tx, path.name, n, sql) for n, sql in enumerate(statements(path.read_text("utf-8")), 1)]
    return sum(ran)


def _run_statement(tx: Tx, file: str, number: int, sql: str) -> bool:
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    row = tx.one(
        "SELECT checksum, finished_at FROM schema_ledger WHERE file = %(file)s AND number = %(number)s",
        file=file,
        number=number,
    )
    if row and row["checksum"] != checksum:
        raise Changed(f"{file}, statement {number}")
    if row and row["finished_at"]:
        return False
    if row is None:
        tx.run(
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
        _run(tx, file, number, sql, resumed=row is not None)
    except (mysql.Failed, mysql.Duplicate) as refused:
        tx.run("ROLLBACK")
        tx.run("DELETE FROM schema_ledger WHERE file = %(file)s AND number = %(number)s", file=file, number=number)
        raise Broken(f"{file}, statement {number}: {refused}") from refused
    return True


def _run(tx: Tx, file: str, number: int, sql: str, resumed: bool) -> None:
    tx.run("START TRANSACTION")
    try:
        tx.run(sql)
    except mysql.Failed as failed:
        if not (resumed and failed.number in ALREADY_DONE):
            raise
    tx.run(
        "UPDATE schema_ledger SET finished_at = %(now)s WHERE file = %(file)s AND number = %(number)s",
        file=file,
        number=number,
        now=clock.now(),
    )
    tx.run("COMMIT")
