"""Where figures are written, apart from what the app logs."""

import os

_output = os.fdopen(os.dup(1), "w")


def print_line(text: str) -> None:
    _output.write(f"{text}\n")
    _output.flush()


def redirect_to(file: int) -> None:
    """From here on they go to this open file instead."""
    os.dup2(file, _output.fileno())


def silence_app_logs() -> None:
    """From here on the app's log lines are still made and written, but go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
