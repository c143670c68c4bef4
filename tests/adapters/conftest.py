"""Fixtures of the adapter tests: a table, a connection outside the pool, and a fake WeChat Pay."""

from collections.abc import Iterator

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Connection, Tx
from devstack.fakes import wechat_pay
from devstack.fakes.wechat_pay import WeChatPay


@pytest.fixture
def beds_table() -> Iterator[None]:
    """A table of three rows: beds 1 and 2 are free, 3 is occupied by 林小雨."""
    mysql.run_autocommit(_create_table)
    yield
    mysql.autocommit.execute("DROP TABLE beds")


def _create_table(tx: Tx) -> None:
    tx.execute(
        """
        CREATE TABLE beds (
            bed_id  INT PRIMARY KEY AUTO_INCREMENT,
            person  VARCHAR(8) NULL,
            UNIQUE KEY one_bed_each (person)
        ) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
        """
    )
    tx.execute("INSERT INTO beds (person) VALUES (NULL), (NULL), ('林小雨')")


@pytest.fixture
def other_connection() -> Iterator[Connection]:
    """A connection to the same database outside the pool."""
    connection = mysql._connect()
    yield connection
    connection.close()


@pytest.fixture
def pay() -> Iterator[WeChatPay]:
    """A fake WeChat Pay server, to which this process sends its requests."""
    with wechat_pay.replace_real_server() as running:
        yield running
