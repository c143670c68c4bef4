"""Python environments made from hashed locks, and made again only when the lock or the Python has changed."""

import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path

from devstack.paths import LOCAL, ROOT, write_whole
from devstack.uv import uv

LOCKS = {"venv": "requirements-local.txt", "venv-dev": "requirements-dev.txt", "venv-s3": "requirements-s3.txt"}


def ensure(name: str) -> bool:
    """Makes .local/<name> hold exactly what its lock says; False if it did already. Heals an interrupted run."""
    folder, lock = LOCAL / name, ROOT / LOCKS[name]
    wanted = stamp_of(lock)
    found = stamp_in(folder)
    if found == wanted and os.access(python(name), os.X_OK):
        return False
    (folder / "stamp").unlink(missing_ok=True)
    if not same_python(found, wanted) or not os.access(python(name), os.X_OK):  # unfinished, or of another Python
        shutil.rmtree(folder, ignore_errors=True)
        uv("venv", "--quiet", "--no-project", "--python", sys.executable, str(folder))
    uv("pip", "sync", "--quiet", "--require-hashes", "--python", python(name), str(lock))
    write_whole(folder / "stamp", wanted)
    return True


def python(name: str) -> str:
    return str(LOCAL / name / "bin" / "python")


def site_packages(name: str) -> Path:
    return next((LOCAL / name / "lib").glob("python3.*/site-packages"))


def stamp_of(lock: Path) -> str:
    """What an environment made from this lock, by this Python, is stamped with."""
    version = ".".join(platform.python_version_tuple()[:2])
    return f"{version} {platform.machine()} {hashlib.sha256(lock.read_bytes()).hexdigest()}"


def stamp_in(folder: Path) -> str:
    try:
        return (folder / "stamp").read_text()
    except OSError:
        return ""


def same_python(found: str, wanted: str) -> bool:
    return found.split()[:2] == wanted.split()[:2]
