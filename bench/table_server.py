"""The private MariaDB under bin/bench chat --grow: settings for loading and for requests, and its figures."""

import time

from chalicelib.adapters import mysql
from devstack.services import control

BUFFER_POOL_BYTES = 1 << 30  # as on a small instance; the default of MariaDB is an eighth of it
LOG_BYTES = 1 << 30  # of the redo log: a small one would make the server write each page several times
MAX_DIRTY_PAGES = 100  # a few are written all the time
INDEX_FILL_PERCENT = 70  # of an index that is built; about that of one whose entries were inserted at random
IO_CAPACITY_MAX = 20_000  # pages written in a second, while tables are loaded
TIMEOUT_SECONDS = 300.0


def prepare_for_loading() -> None:
    """Let the server write as little as possible: loading need not survive a crash."""
    set_cache_size()
    _set_global("innodb_log_file_size", LOG_BYTES)
    _set_global("innodb_flush_log_at_trx_commit", 0)
    _set_global("innodb_fill_factor", INDEX_FILL_PERCENT)
    _set_global("innodb_io_capacity_max", IO_CAPACITY_MAX)
    _set_global("innodb_io_capacity", IO_CAPACITY_MAX)


def write_changed_pages() -> None:
    """Wait until all changed pages are written, so that a restart has nothing to repair."""
    _set_global("innodb_max_dirty_pages_pct", 0)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while _get_status("Innodb_buffer_pool_pages_dirty") > MAX_DIRTY_PAGES and time.monotonic() < deadline:
        time.sleep(0.1)


def restart() -> None:
    """Restart the server, with the settings of a benchmark and nothing cached, however the tables were loaded."""
    server = control.attach().mysql
    server.kill()
    server.start()


def set_cache_size() -> None:
    """Give the restarted server its cache."""
    _set_global("innodb_buffer_pool_size", BUFFER_POOL_BYTES)


def count_page_reads() -> int:
    """Return how many pages were read from disk since the server started."""
    return _get_status("Innodb_buffer_pool_reads")


def get_megabytes(table: str) -> float:
    """Return the size of a table with its indexes."""
    sql = """
        SELECT SUM(data_length + index_length) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = %(table)s
    """
    return float(mysql.autocommit.fetch_value(sql, table=table)) / 1e6


def _get_status(name: str) -> int:
    row = mysql.autocommit.fetch_one("SHOW GLOBAL STATUS WHERE Variable_name = %(name)s", name=name)
    return int(row["Value"]) if row else 0


def _set_global(name: str, value: int) -> None:
    mysql.autocommit.execute(f"SET GLOBAL {name} = %(value)s", value=value)
