"""Where things are, and the three ways to write there safely."""

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
    """Readers see the old text or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    draft.write_text(text)
    draft.replace(path)


@contextlib.contextmanager
def hold_lock(path: Path, busy: Callable[[], None]) -> Iterator[None]:
    """Holds an exclusive lock, which dies with the process; calls busy() once if somebody else has it, then waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
