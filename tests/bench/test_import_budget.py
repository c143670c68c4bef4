"""No function imports more modules than bin/bench coldstart --record has recorded."""

from pathlib import Path

import pytest

from bench import coldstart, import_budget
from chalicelib.adapters import mysql


def test_functions_import_no_more_modules_than_recorded(tmp_path: Path) -> None:
    """A failure lists the modules of each function that are not on record."""
    # What other tests have left to be done imports more: jobs, orders and refunds to be queried, people who wait.
    mysql.autocommit.execute("DELETE FROM outbox")
    mysql.autocommit.execute("UPDATE waitlist_entries SET waiting = NULL")
    mysql.autocommit.execute("UPDATE bookings SET confirm_by = NULL")
    for table in ("payments", "refunds"):
        mysql.autocommit.execute(f"UPDATE {table} SET check_at = %(never)s", never=1 << 62)
    assert import_budget.find_excess(coldstart.list_imported_modules(tmp_path)) == {}


def test_excess_names_the_new_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_budget, "RECORD", tmp_path / "record.json")
    import_budget.record({"one": {"json", "re"}, "two": {"json"}})
    added = {f"new{n}" for n in range(import_budget.SPARE_MODULES)}
    assert import_budget.find_excess({"one": {"json", "re", *added}, "two": {"json"}}) == {}
    assert import_budget.find_excess({"one": {"json", "re"}, "two": {"json", "re", *added}}) == {
        "two": sorted({"re", *added})
    }
    assert import_budget.find_excess({"three": {"json", "ast", *added}}) == {"three": sorted({"ast", *added})}
