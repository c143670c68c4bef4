"""What `python -X importtime` says, by package. A module of the standard library costs whoever wanted it."""

import re
import sys
from dataclasses import dataclass
from statistics import median

LOADED_LINE = re.compile(r"^loaded (.*)$", re.MULTILINE)
IMPORT_LINE = re.compile(r"^import time: +(\d+) \| +\d+ \| ( *)(\S+)$", re.MULTILINE)
PYTHON_ITSELF = "python itself"
# A group that chats and reads has no use for these; whoever brings one is named below the table.
HEAVY_MODULES = (
    *("asyncio", "boto3", "botocore", "concurrent.futures", "cryptography", "decimal", "email", "http.client"),
    *("importlib.metadata", "multiprocessing", "ssl", "unittest", "urllib.request", "xml", "zoneinfo"),
)


@dataclass(frozen=True)
class Import:
    module: str
    milliseconds: float  # its own, without what it imports
    owner: str  # the nearest package above it, itself included, that is not of the standard library
    importers: tuple[str, ...]

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


def format_table(reports: list[str]) -> str:
    """Return lines by package, the dearest first, of the medians of several runs."""
    runs = [parse_report(report) for report in reports]
    owners = {one.owner for one in runs[0]}
    costs = {owner: (_compute_cost(runs, owner, own=True), _compute_cost(runs, owner, own=False)) for owner in owners}
    lines = [f"\nimports, ms (medians, compiled){'':>15}{'own':>8}{'stdlib':>8}{'sum':>8}  modules"]
    for owner, (own, brought) in sorted(costs.items(), key=lambda one: -sum(one[1])):
        count = sum(one.owner == owner for one in runs[0])
        lines.append(f"  {owner:<44}{own:>8.1f}{brought:>8.1f}{own + brought:>8.1f}{count:>9}")
    return "\n".join([*lines, *_format_heavy_imports(runs[0])])


def parse_report(report: str) -> list[Import]:
    """Parse one report. It lists a module after what it imports, so it is read backwards; also those not found."""
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
    """Name what each heavy import costs with all below it, and who wanted it."""
    lines = []
    for name in HEAVY_MODULES:
        first = next((one for one in found if one.module == name), None)
        if first:
            cost = sum(one.milliseconds for one in found if one is first or name in one.importers)
            wanted = next(
                (above for above in reversed(first.importers) if not _is_standard_library(above)), PYTHON_ITSELF
            )
            lines.append(f"  {name:<20}{cost:>6.1f} ms, wanted by {wanted}")
    return ["\nheavy, and perhaps not needed:", *lines] if lines else ["\nnothing heavy is imported"]


def _is_standard_library(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names
