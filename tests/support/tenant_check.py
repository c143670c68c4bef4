"""Checks that every statement that takes a tenant finds and changes nothing for a tenant that has no rows.

Most rows are found by ids that are unique across tenants, so that a missing condition on tenant_id shows in no answer.
Here each statement of a test runs a second time, for another tenant, and must not find what it finds for its own.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.adapters.mysql import Row, Tx

NO_TENANT = 2**53 - 1
MAX_CHECKS = 3  # of each statement in a process: the suite must stay fast
# Not checked: what inserts rows of the tenant in any case, and what tests ask of the optimizer.
SKIPPED = re.compile(
    r"\bINSERT\b(?:(?!\bSELECT\b)[^;])*\bVALUES?\b|\bINSERT\b[^;]*?\bSELECT\s+%\(tenant_id\)s|^EXPLAIN\b"
)
seen: Counter[str] = Counter()


@contextmanager
def check_tenant_conditions() -> Iterator[list[str]]:
    """Check the statements of this thread; yield those that found or changed a row for the wrong tenant."""
    wrong: list[str] = []
    thread = threading.get_ident()

    def run_checked(tx: Tx, sql: str, params: dict[str, Any], run: Callable[..., Any]) -> None:
        if "tenant_id" not in params or threading.get_ident() != thread or SKIPPED.search(sql):
            return
        if seen[sql] < MAX_CHECKS:
            seen[sql] += 1
            if found(run(tx, sql, **{**params, "tenant_id": NO_TENANT})):
                wrong.append(sql)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fetch_one", "fetch_all", "execute", "execute_packet", "execute_lean_packet"):
            patch.setattr(Tx, name, build_checked(getattr(Tx, name), run_checked, reads=name.startswith("fetch")))
        yield wrong


def build_checked(run: Callable[..., Any], check: Callable[..., None], reads: bool) -> Callable[..., Any]:
    """Wrap a method of Tx. A read that finds nothing is not checked; what changes rows is checked before it does."""

    def run_and_check(tx: Tx, sql: str, **params: Any) -> Any:
        if not reads:
            check(tx, sql, params, run)
        result = run(tx, sql, **params)
        if reads and found(result):
            check(tx, sql, params, run)
        return result

    return run_and_check


def found(result: int | Row | list[Any] | tuple[Any, ...] | None) -> bool:
    """Whether a statement found a row or changed one; a count of 0 is none."""
    if isinstance(result, dict):
        return any(map(found, result.values()))
    return any(map(found, result)) if isinstance(result, list | tuple) else bool(result)
