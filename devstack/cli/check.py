"""bin/check [STEP ...]: run all checks that a change must pass, or only the named ones."""

from collections.abc import Callable

from devstack.cli import audit, testing
from devstack.console import CommandError, print_line
from devstack.paths import ROOT

TYPED_PATHS = ("app.py", "bundle.py", "chalicelib", "apidocs", "devstack", "infra", "bench", "tests")

STEPS: dict[str, Callable[[], int]] = {
    "lint": lambda: testing.run_without_services(["-m", "ruff", "check", "."]),
    "format": lambda: testing.run_without_services(["-m", "ruff", "format", "--check", "."]),
    "types": lambda: testing.run_without_services(
        ["-m", "mypy", *(name for name in TYPED_PATHS if (ROOT / name).exists())]
    ),
    "documents": lambda: testing.write_api_docs(["--check"]),
    "audit": audit.audit_dependencies,
    "bench": lambda: testing.run_benchmarks(["--smoke"]),
    "tests": lambda: testing.run_tests([]),
    "mysql": lambda: testing.run_tests(["--mysql"]),
    "browser": lambda: testing.run_tests(["--browser"]),
}


def run_checks(arguments: list[str]) -> int:
    """Run the steps and print their results; return the highest exit code.

    Raises:
        CommandError: there is no such step.
    """
    unknown = set(arguments) - STEPS.keys()
    if unknown:
        raise CommandError(f"no step {', '.join(sorted(unknown))}; choose from {', '.join(STEPS)}")
    results = {name: run_step(name) for name in arguments or STEPS}
    print_line("\n" + "\n".join(f"  {name:<12}{describe_result(code)}" for name, code in results.items()))
    return max(0 if code == audit.NOT_AUDITED else abs(code) for code in results.values())


def describe_result(code: int) -> str:
    """Return what the summary says about a step with this exit code."""
    return {0: "ok", audit.NOT_AUDITED: "not audited"}.get(code, "FAILED")


def run_step(name: str) -> int:
    """Run a step and return its exit code."""
    print_line(f"\n== {name}")
    return STEPS[name]()
