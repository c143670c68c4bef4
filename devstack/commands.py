"""The commands of bin/ by name; each takes its arguments and returns its exit code."""

from collections.abc import Callable

from devstack import check, dev, lock, testing

ALL: dict[str, Callable[[list[str]], int]] = {
    "dev": dev.dev,
    "test": testing.test,
    "check": check.check,
    "migrate": dev.migrate,
    "seed": dev.seed,
    "staff": dev.staff,
    "openapi": testing.openapi,
    "package": testing.package,
    "fuzz": testing.fuzz,
    "bench": testing.bench,
    "lock": lock.lock,
}
