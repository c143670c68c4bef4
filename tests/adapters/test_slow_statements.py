"""Slow statements in the log: with placeholders, never with values."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import logs
from chalicelib.adapters import mysql, mysql_statements
from chalicelib.adapters.mysql import Tx
from chalicelib.settings import settings

pytestmark = pytest.mark.store

VALUE = "13800000055 林小雨"
UNION = "SELECT %(one)s AS found; SELECT %(two)s AS found"


@pytest.fixture(autouse=True)
def threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every statement count as slow."""
    monkeypatch.setattr(mysql_statements, "settings", replace(settings, slow_statement_ms=0))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that parses the lines of slow statements so far."""
    caplog.handler.setFormatter(logs.JsonFormatter())
    return lambda: [one for one in map(json.loads, caplog.text.splitlines()) if one["event"] == "slow statement"]


def create_names(tx: Tx) -> None:
    tx.execute("CREATE TEMPORARY TABLE names (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(64), UNIQUE KEY (name))")


INSERT = "INSERT INTO names (name) VALUES (%(name)s)"
READS: list[tuple[str, Callable[[Tx], Any]]] = [
    ("SELECT %(one)s", lambda tx: tx.fetch_value("SELECT %(one)s", one=VALUE)),
    ("SELECT %(one)s", lambda tx: tx.fetch_one("\n    SELECT\n        %(one)s\n", one=VALUE)),
    ("SELECT %(one)s", lambda tx: tx.fetch_all("SELECT %(one)s", one=VALUE)),
    ("DO %(one)s", lambda tx: tx.execute("DO %(one)s", one=VALUE)),
    (UNION, lambda tx: tx.execute_packet(UNION, one=VALUE, two=VALUE)),
    (UNION, lambda tx: tx.execute_lean_packet(UNION, one=VALUE, two=VALUE)),
]


@pytest.mark.parametrize(("text", "run"), READS)
def test_statement_is_logged_without_values(text: str, run: Callable[[Tx], Any], lines: Any) -> None:
    logs.start_context(request_id="r-1")
    run(mysql.autocommit)
    [line] = lines()
    assert (line["sql"], line["request_id"], line["level"]) == (text, "r-1", "WARNING")
    assert isinstance(line["ms"], int)


def test_inserts_failures_and_commits_are_logged_without_values(lines: Any) -> None:
    def work(tx: Tx) -> None:
        create_names(tx)
        tx.insert(INSERT, name=VALUE)
        tx.execute_many(INSERT, [{"name": "王强"}, {"name": "赵一"}])
        with pytest.raises(mysql.DuplicateKeyError):
            tx.execute(INSERT, name=VALUE)
        tx.execute("DROP TEMPORARY TABLE names")

    mysql.run_transaction(work)
    texts = [line["sql"] for line in lines()]
    assert texts[1:] == [INSERT, INSERT, INSERT, "DROP TEMPORARY TABLE names", "COMMIT"]


def test_long_statement_is_cut(lines: Any) -> None:
    mysql.autocommit.execute(f"DO '{3_000 * 'x'}'")
    assert len(lines()[0]["sql"]) == mysql_statements.MAX_LOGGED_LENGTH


def test_fast_statement_is_not_logged(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql_statements, "settings", replace(settings, slow_statement_ms=60_000))
    mysql.autocommit.execute("DO %(one)s", one=VALUE)
    assert lines() == []
