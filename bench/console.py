"""Where figures are written, apart from what the app logs."""

import os

_shown = os.fdopen(os.dup(1), "w")


def say(text: str) -> None:
    _shown.write(f"{text}\n")
    _shown.flush()


def into(file: int) -> None:
    """From here on they go to this open file instead."""
    os.dup2(file, _shown.fileno())


def hush() -> None:
    """From here on the app's log lines are still made and written, but go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
