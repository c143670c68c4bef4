"""bin/check: everything that must hold before a change lands. bin/check NAME... runs those steps alone."""

from collections.abc import Callable

from devstack import testing
from devstack.paths import ROOT
from devstack.say import Refusal, line

TYPED = ("app.py", "bundle.py", "chalicelib", "apidocs", "devstack", "infra", "bench", "tests")

STEPS: dict[str, Callable[[], int]] = {
    "lint": lambda: testing.without_services(["-m", "ruff", "check", "."]),
    "format": lambda: testing.without_services(["-m", "ruff", "format", "--check", "."]),
    "types": lambda: testing.without_services(["-m", "mypy", *(name for name in TYPED if (ROOT / name).exists())]),
    "documents": lambda: testing.openapi(["--check"]),
    "bench": lambda: testing.bench(["--smoke"]),
    "tests": lambda: testing.test([]),
    "mysql": lambda: testing.test(["--mysql"]),
    "browser": lambda: testing.test(["--browser"]),
}


def check(arguments: list[str]) -> int:
    unknown = set(arguments) - STEPS.keys()
    if unknown:
        raise Refusal(f"no step {', '.join(sorted(unknown))}; there is {', '.join(STEPS)}")
    results = {name: run(name) for name in arguments or STEPS}
    line("\n" + "\n".join(f"  {name:<12}{'ok' if code == 0 else 'FAILED'}" for name, code in results.items()))
    return max(map(abs, results.values()))


def run(name: str) -> int:
    line(f"\n== {name}")
    return STEPS[name]()
