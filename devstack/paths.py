"""Paths of this checkout, atomic writes, and file locks."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
RUN = LOCAL / "run"
DEV = LOCAL / "dev"


def write_atomically(path: Path, text: str) -> None:
    """Replace a file so that readers see either the old or the new text, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


@contextlib.contextmanager
def hold_lock(path: Path, busy: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock, which is released when the process ends.

    Args:
        busy: called once if another process holds the lock, before waiting for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
