"""Summarize the output of `python -X importtime` by package.

A module of the standard library is attributed to the package that imports it first.
"""

import re
import sys
from dataclasses import dataclass
from statistics import median

LOADED_LINE = re.compile(r"^loaded (.*)$", re.MULTILINE)
IMPORT_LINE = re.compile(r"^import time: +(\d+) \| +\d+ \| ( *)(\S+)$", re.MULTILINE)
PYTHON_ITSELF = "python itself"
# Modules that the consult group does not need; those that are imported are listed below the table, with the importer.
HEAVY_MODULES = (
    *("asyncio", "boto3", "botocore", "concurrent.futures", "cryptography", "decimal", "email", "http.client"),
    *("importlib.metadata", "multiprocessing", "ssl", "unittest", "urllib.request", "xml", "zoneinfo"),
)


@dataclass(frozen=True)
class Import:
    """A module that was imported."""

    module: str
    milliseconds: float  # without the modules that it imports
    owner: str  # the nearest importer, or itself, that is not in the standard library
    importers: tuple[str, ...]

    @property
    def package(self) -> str:
        """The top-level package of the module."""
        return self.module.partition(".")[0]


def format_table(reports: list[str]) -> str:
    """Return a table of the medians of several runs: a line for each package, the most expensive first."""
    runs = [parse_report(report) for report in reports]
    owners = {one.owner for one in runs[0]}
    costs = {owner: (_compute_cost(runs, owner, own=True), _compute_cost(runs, owner, own=False)) for owner in owners}
    lines = [f"\nimports, ms (medians, compiled){'':>15}{'own':>8}{'stdlib':>8}{'sum':>8}  modules"]
    for owner, (own, standard) in sorted(costs.items(), key=lambda one: -sum(one[1])):
        count = sum(one.owner == owner for one in runs[0])
        lines.append(f"  {owner:<44}{own:>8.1f}{standard:>8.1f}{own + standard:>8.1f}{count:>9}")
    return "\n".join([*lines, *_format_heavy_imports(runs[0])])


def format_heaviest(imports: list[Import], count: int = 4) -> str:
    """Return the packages that cost the most, with the standard library's modules that they import first."""
    costs: dict[str, float] = {}
    for one in imports:
        costs[one.owner] = costs.get(one.owner, 0) + one.milliseconds
    heaviest = sorted((owner for owner in costs if owner != PYTHON_ITSELF), key=lambda one: -costs[one])[:count]
    return ", ".join(f"{owner} {costs[owner]:.0f}" for owner in heaviest)


def parse_report(report: str) -> list[Import]:
    """Parse a report. It lists a module after the modules that it imports, so it is read backwards.

    Modules that were not found are listed too; they are left out because they are not in sys.modules.
    """
    loaded = set("".join(LOADED_LINE.findall(report)).split())
    found: list[Import] = []
    above: list[str] = []
    for own, indent, module in reversed(IMPORT_LINE.findall(report)):
        del above[len(indent) // 2 :]
        above.append(module)
        owner = next((name for name in reversed(above) if not _is_standard_library(name)), PYTHON_ITSELF)
        if module in loaded:
            found.append(Import(module, int(own) / 1000, owner.partition(".")[0], tuple(above[:-1])))
    return found


def _compute_cost(runs: list[list[Import]], owner: str, own: bool) -> float:
    return median(sum(i.milliseconds for i in run if i.owner == owner and (i.package == owner) is own) for run in runs)


def _format_heavy_imports(found: list[Import]) -> list[str]:
    """List the heavy modules with what they and their imports cost, and the importer."""
    lines = []
    for name in HEAVY_MODULES:
        first = next((one for one in found if one.module == name), None)
        if first:
            cost = sum(one.milliseconds for one in found if one is first or name in one.importers)
            importer = next((one for one in reversed(first.importers) if not _is_standard_library(one)), PYTHON_ITSELF)
            lines.append(f"  {name:<20}{cost:>6.1f} ms, imported by {importer}")
    return ["\nheavy modules:", *lines] if lines else ["\nno heavy module is imported"]


def _is_standard_library(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names
