"""No function imports more modules than bin/bench coldstart --record has recorded."""

from pathlib import Path

import pytest

from bench import coldstart, import_budget


def test_functions_import_no_more_modules_than_recorded(tmp_path: Path) -> None:
    """A failure lists the modules of each function that are not on record."""
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
