"""Records the SQL statements of this thread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.adapters.mysql import Tx


@contextmanager
def record_statements() -> Iterator[list[str]]:
    """Yield a list to which each statement is added, without its parameters."""
    statements: list[str] = []
    thread = threading.get_ident()

    def wrap(run: Callable[..., Any]) -> Callable[..., Any]:
        def record_and_run(tx: Tx, sql: str, *arguments: Any, **params: Any) -> Any:
            if threading.get_ident() == thread:
                statements.append(" ".join(sql.split()))
            return run(tx, sql, *arguments, **params)

        return record_and_run

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fetch_one", "fetch_all", "execute", "insert", "execute_packet", "execute_lean_packet"):
            patch.setattr(Tx, name, wrap(getattr(Tx, name)))
        yield statements
