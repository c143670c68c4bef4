"""Virtual environments from locks with hashes, recreated only if the lock or the Python version has changed."""

import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path

from devstack.install.uv import run_uv
from devstack.paths import LOCAL, ROOT, write_atomically

LOCK_FILES = {"venv": "requirements-local.txt", "venv-dev": "requirements-dev.txt", "venv-s3": "requirements-s3.txt"}


def ensure(name: str) -> bool:
    """Install exactly the packages of a lock in .local/<name>, also after an interrupted run.

    Returns:
        False if they were installed already.
    """
    folder, lock = LOCAL / name, ROOT / LOCK_FILES[name]
    expected = compute_stamp(lock)
    current = read_stamp(folder)
    if current == expected and os.access(get_python(name), os.X_OK):
        return False
    (folder / "stamp").unlink(missing_ok=True)
    is_complete = os.access(get_python(name), os.X_OK)
    if not is_complete or not is_same_python(current, expected):
        shutil.rmtree(folder, ignore_errors=True)
        run_uv("venv", "--quiet", "--no-project", "--python", sys.executable, str(folder))
    run_uv("pip", "sync", "--quiet", "--require-hashes", "--python", get_python(name), str(lock))
    write_atomically(folder / "stamp", expected)
    return True


def get_python(name: str) -> str:
    """Return the path of the environment's interpreter."""
    return str(LOCAL / name / "bin" / "python")


def get_site_packages(name: str) -> Path:
    """Return the folder of the environment's packages."""
    return next((LOCAL / name / "lib").glob("python3.*/site-packages"))


def compute_stamp(lock: Path) -> str:
    """Return the stamp of an environment with this lock and the running Python: version, machine, hash of the lock."""
    version = ".".join(platform.python_version_tuple()[:2])
    return f"{version} {platform.machine()} {hashlib.sha256(lock.read_bytes()).hexdigest()}"


def read_stamp(folder: Path) -> str:
    """Return the stamp of an environment, or '' if it is incomplete."""
    try:
        return (folder / "stamp").read_text()
    except OSError:
        return ""


def is_same_python(stamp: str, other: str) -> bool:
    """Return whether two stamps name the same Python version and machine."""
    return stamp.split()[:2] == other.split()[:2]
