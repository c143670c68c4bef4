"""The modules that each deployed function has imported when it has handled its first event, as recorded.

Their number is its budget: it does not depend on the machine, as times do. tests/bench/test_import_budget.py compares.
"""

import json
from collections.abc import Mapping
from pathlib import Path

RECORD = Path(__file__).parent.parent / "tests" / "bench" / "imported_modules.json"
EVERY_FUNCTION = "every function"
SPARE_MODULES = 5  # versions of Python differ by a few


def record(imported: Mapping[str, set[str]]) -> None:
    """Store the modules that every function has imported, and the others of each function."""
    common = set.intersection(*imported.values())
    lists = {EVERY_FUNCTION: sorted(common)} | {name: sorted(modules - common) for name, modules in imported.items()}
    RECORD.write_text(json.dumps(lists, indent=1) + "\n", "utf-8")


def find_excess(imported: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Return the functions that import more modules than recorded, with those that are not on record."""
    recorded = json.loads(RECORD.read_text("utf-8"))
    known = {name: {*recorded[EVERY_FUNCTION], *recorded.get(name, ())} for name in imported}
    return {
        name: sorted(modules - known[name])
        for name, modules in imported.items()
        if len(modules) > len(known[name]) + SPARE_MODULES
    }
