"""Python environments made from hashed locks, and made again only when the lock or the Python has changed."""

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
    """Makes .local/<name> hold exactly what its lock says; False if it did already. Heals an interrupted run."""
    folder, lock = LOCAL / name, ROOT / LOCK_FILES[name]
    wanted = compute_stamp(lock)
    found = read_stamp(folder)
    if found == wanted and os.access(get_python(name), os.X_OK):
        return False
    (folder / "stamp").unlink(missing_ok=True)
    if not is_same_python(found, wanted) or not os.access(
        get_python(name), os.X_OK
    ):  # unfinished, or of another Python
        shutil.rmtree(folder, ignore_errors=True)
        run_uv("venv", "--quiet", "--no-project", "--python", sys.executable, str(folder))
    run_uv("pip", "sync", "--quiet", "--require-hashes", "--python", get_python(name), str(lock))
    write_atomically(folder / "stamp", wanted)
    return True


def get_python(name: str) -> str:
    return str(LOCAL / name / "bin" / "python")


def get_site_packages(name: str) -> Path:
    return next((LOCAL / name / "lib").glob("python3.*/site-packages"))


def compute_stamp(lock: Path) -> str:
    """What an environment made from this lock, by this Python, is stamped with."""
    version = ".".join(platform.python_version_tuple()[:2])
    return f"{version} {platform.machine()} {hashlib.sha256(lock.read_bytes()).hexdigest()}"


def read_stamp(folder: Path) -> str:
    try:
        return (folder / "stamp").read_text()
    except OSError:
        return ""


def is_same_python(found: str, wanted: str) -> bool:
    return found.split()[:2] == wanted.split()[:2]
