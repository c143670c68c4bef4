"""The output of the benchmarks, separate from the app's log on standard output."""

import os

_output = os.fdopen(os.dup(1), "w")


def print_line(text: str) -> None:
    """Print to the benchmarks' output."""
    _output.write(f"{text}\n")
    _output.flush()


def redirect_to(file: int) -> None:
    """Redirect the benchmarks' output to an open file descriptor."""
    os.dup2(file, _output.fileno())


def silence_app_logs() -> None:
    """Redirect standard output, and thus the app's log, to /dev/null; formatting and writing still cost their time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
