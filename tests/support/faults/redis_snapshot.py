"""Restore Redis to an earlier state."""

import shutil
from pathlib import Path

from devstack.services.control import ServiceHandle


def copy_data(redis: ServiceHandle) -> Path:
    """Copy the data, which then is that of a replica that lags behind."""
    folder = Path(redis.service.folder)
    copy = folder.with_name("redis.older")
    shutil.rmtree(copy, ignore_errors=True)
    return Path(shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("temp*")))


def restore_data(redis: ServiceHandle, copy: Path) -> None:
    """Kill Redis and start it from the copy."""
    redis.kill()
    folder = redis.service.folder
    shutil.rmtree(folder)
    shutil.move(copy, folder)
    redis.start()
