"""pytest plugin for pytest-xdist: an environment for each worker, and tests that share fixtures in the same worker.

The plugin is named on the command line, so that it is imported before any conftest.py: the environment must be
complete when chalicelib.settings reads it.
"""

import json
import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from devstack.cli.workers import ENVIRONMENTS

SHARED_FIXTURES = ("tests/bundle/", "tests/faults/")  # folders with a fixture that takes seconds to set up
# These groups take longest and start first, so that they do not run alone at the end.
LONGEST = (
    "tests/test_fuzz.py",
    *SHARED_FIXTURES,
    "tests/gateway/test_soak.py",
    "tests/booking/test_concurrent_buyers.py",
)


def set_environment(environment: dict[str, str] | Any) -> None:
    """Give this process the environment of its worker, if it is one."""
    worker = environment.get("PYTEST_XDIST_WORKER", "")
    if worker and ENVIRONMENTS in environment:
        environment.update(json.loads(environment[ENVIRONMENTS])[int(worker.removeprefix("gw"))])


def get_group(nodeid: str) -> str:
    """Return the file of a test, or the folder where tests share an expensive fixture: it runs in one worker."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in SHARED_FIXTURES if file.startswith(folder)), file)


def get_start_order(group: str) -> int:
    """Return the position of a group: the longest ones come first."""
    return LONGEST.index(group) if group in LONGEST else len(LONGEST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole groups, in the order of pytest_collection_modifyitems."""
    config.option.loadscopereorder = False  # by number of tests
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = get_group
    return scheduler


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by the position of their groups."""
    items.sort(key=lambda item: get_start_order(get_group(item.nodeid)))


set_environment(os.environ)
