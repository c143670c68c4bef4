"""The commands of bin/ by name: functions that take the arguments and return the exit code."""

from collections.abc import Callable

from devstack.cli import check, dev, lock, testing
from devstack.mutation import command

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "dev": dev.run_dev,
    "test": testing.run_tests,
    "check": check.run_checks,
    "migrate": dev.migrate,
    "seed": dev.seed,
    "staff": dev.create_staff,
    "chalice": dev.run_chalice,
    "openapi": testing.write_api_docs,
    "package": testing.build_package,
    "fuzz": testing.run_fuzz,
    "bench": testing.run_benchmarks,
    "lock": lock.compile_locks,
    "mutate": command.mutate,
}
