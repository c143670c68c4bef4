"""The report of a run, and the survivors that have been examined and accepted."""

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path

from devstack.mutation.coverage import get_package
from devstack.mutation.mutants import Mutant
from devstack.mutation.run import Result
from devstack.paths import LOCAL, ROOT

ACCEPTED = ROOT / "tests" / "mutation_survivors.toml"
SURVIVED = LOCAL / "mutation" / "survivors.toml"  # of the last run, to copy from


def read_reasons(path: Path) -> dict[str, str]:
    """The reason of each survivor by the mutant's key."""
    listed = tomllib.loads(path.read_text("utf-8")).get("survivor", []) if path.exists() else []
    return {one["mutant"]: one["reason"] for one in listed}


def format_toml(results: Iterable[Result]) -> str:
    """The survivors as ACCEPTED has them, without reasons. JSON's strings are TOML's."""
    keys = [one.mutant.key for one in results if not one.killed_by]
    return "\n".join(f'[[survivor]]\nmutant = {json.dumps(key, ensure_ascii=False)}\nreason = ""\n' for key in keys)


def get_kill_rate(results: list[Result]) -> float:
    """Per cent of the mutants that were killed."""
    return 100 * sum(bool(one.killed_by) for one in results) / len(results)


def format_report(results: list[Result], every: list[Mutant], seed: int) -> str:
    """Return the report of a run."""
    accepted = read_reasons(ACCEPTED)
    survivors = [one for one in results if not one.killed_by]
    new = [one for one in survivors if one.mutant.key not in accepted]
    gone = sorted(accepted.keys() - {one.key for one in every})
    parts = [
        f"# {len(results)} of {len(every)} mutants, seed {seed}: {get_kill_rate(results):.1f} % killed, "
        f"{len(survivors)} survive, {len(survivors) - len(new)} of them accepted",
        format_table(results),
        *format_section("Survivors", [describe(one) for one in new]),
        *format_section(
            "Accepted", [f"{describe(one)}\n{accepted[one.mutant.key]}" for one in survivors if one not in new]
        ),
        *format_section("Accepted once, but no mutant any more", gone),
    ]
    return "\n\n".join(parts)


def format_table(results: list[Result]) -> str:
    """Return the kill rate of each package."""
    rows = [f"{'package':<16}{'mutants':>8}{'killed':>8}{'rate':>8}"]
    for package in sorted({get_package(one.mutant.path) for one in results}):
        some = [one for one in results if get_package(one.mutant.path) == package]
        killed = sum(bool(one.killed_by) for one in some)
        rows.append(f"{package:<16}{len(some):>8}{killed:>8}{get_kill_rate(some):>6.0f} %")
    return "\n".join(rows)


def format_section(title: str, entries: list[str]) -> list[str]:
    """Return a section, or nothing without entries."""
    return [f"## {title}", *entries] if entries else []


def describe(one: Result) -> str:
    """Return the lines that describe a survivor."""
    mutant = one.mutant
    place = f"{mutant.path}:{mutant.line} {mutant.owner} ({mutant.operator}, {one.tests} tests)"
    return f"{place}\n- {mutant.before}\n+ {mutant.after}"
