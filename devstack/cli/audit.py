"""bin/check audit: compare the locked dependencies with known vulnerabilities, with pip-audit."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from devstack.cli import testing
from devstack.console import print_box, print_line
from devstack.install import python_env
from devstack.paths import LOCAL, ROOT

LOCKS = ("requirements-dev.txt", "requirements-s3.txt")  # the former has all packages of the other two
TIMEOUT_SECONDS = 600
NOT_AUDITED = 75  # result if no source can be reached, sysexits' EX_TEMPFAIL: neither passed nor failed
# Where vulnerabilities are published, with the options of pip-audit. The next one is used if one cannot be reached.
SOURCES = {
    "PyPI": ("--vulnerability-service", "pypi"),
    "OSV": ("--vulnerability-service", "osv"),
}


@dataclass(frozen=True)
class Report:
    """What is known of the packages of a lock."""

    audited: int  # number of packages
    vulnerabilities: list[str]  # a line for each
    unknown: list[str]  # the packages that the source does not know


class SourceError(Exception):
    """A source could not be reached, or knows none of the packages."""


def audit_dependencies() -> int:
    """Print the known vulnerabilities; return 1 if there are any, 0 if there are none.

    If no source can be reached, print a warning and return NOT_AUDITED, which is no failure: a network without one must
    not prevent a change.
    """
    testing.install_tools()
    reasons = []
    for source in SOURCES:
        try:
            reports = [_audit_lock(lock, source) for lock in LOCKS]
        except SourceError as error:
            reasons.append(f"{source}: {error}")
            continue
        return _print_reports(reports, source)
    print_box("not audited: no list of known vulnerabilities could be read.", *(reason[:100] for reason in reasons))
    return NOT_AUDITED


def _audit_lock(lock: str, source: str) -> Report:
    command = [
        *(python_env.get_python("venv-dev"), "-m", "pip_audit", "--requirement", str(ROOT / lock)),
        *("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off"),
        *("--cache-dir", str(LOCAL / "audit"), *SOURCES[source]),
    ]
    try:
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        dependencies = json.loads(result.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise SourceError("timed out") from None
    except ValueError:
        raise SourceError((result.stderr.strip().splitlines() or ["no response"])[-1]) from None
    unknown = [one["name"] for one in dependencies if "skip_reason" in one]
    if len(unknown) == len(dependencies):
        raise SourceError(f"it knows none of the {len(unknown)} packages of {lock}")
    return Report(len(dependencies) - len(unknown), [*_iter_vulnerabilities(dependencies)], unknown)


def _iter_vulnerabilities(dependencies: list[dict[str, object]]) -> Iterator[str]:
    for one in dependencies:
        found = one.get("vulns", [])
        assert isinstance(found, list)
        for vulnerability in found:
            names = ", ".join([vulnerability["id"], *vulnerability["aliases"]])
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
            yield f"{one['name']} {one['version']}: {names}; fixed in {fixed}"


def _print_reports(reports: list[Report], source: str) -> int:
    vulnerabilities = sorted({line for report in reports for line in report.vulnerabilities})
    unknown = sorted({name for report in reports for name in report.unknown})
    print_line(f"  {sum(report.audited for report in reports)} packages audited with {source}")
    if unknown:
        print_box(f"not audited: {len(unknown)} packages that {source} does not know.", ", ".join(unknown)[:100])
    for line in vulnerabilities:
        print_line(f"  {line}")
    return 1 if vulnerabilities else 0
