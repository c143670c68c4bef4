"""Output of the commands: a line for each step, and errors that the user can fix."""

import contextlib
import sys
import time
from collections.abc import Iterator


class CommandError(Exception):
    """An error that the user can fix; its text is printed without a traceback."""


def print_line(text: str) -> None:
    """Print to standard error."""
    with contextlib.suppress(OSError):  # the terminal may be closed
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


@contextlib.contextmanager
def time_step(name: str) -> Iterator[None]:
    """Print the name of a step and its duration when it is done."""
    started = time.monotonic()
    yield
    print_line(f"  {name:<44} {time.monotonic() - started:5.1f} s")


def print_box(*lines: str) -> None:
    """Print lines in a box: a warning about tests that were skipped."""
    width = max(len(text) for text in lines) + 4
    print_line("\n".join(["#" * width, *(f"# {text:<{width - 4}} #" for text in lines), "#" * width]))
