"""What a person sees: a line per step, and errors that say what to do."""

import contextlib
import sys
import time
from collections.abc import Iterator


class CommandError(Exception):
    """Something the person at the keyboard can mend; printed without a traceback."""


def print_line(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


@contextlib.contextmanager
def time_step(name: str) -> Iterator[None]:
    """Prints the step's name and its seconds when it is done."""
    begun = time.monotonic()
    yield
    print_line(f"  {name:<44} {time.monotonic() - begun:5.1f} s")


def print_box(*lines: str) -> None:
    """Loud: for what was left out and must not be overlooked."""
    width = max(len(text) for text in lines) + 4
    print_line("\n".join(["#" * width, *(f"# {text:<{width - 4}} #" for text in lines), "#" * width]))
