"""The commands behind bin/: python -m devstack COMMAND ..."""

import signal
import sys
from types import FrameType

from devstack.cli import commands
from devstack.console import CommandError, print_line


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, exit_on_signal)
    name, *arguments = sys.argv[1:] or [""]
    if name not in commands.COMMANDS:
        print_line(f"devstack: no command {name!r}; there is {', '.join(commands.COMMANDS)}")
        return 2
    try:
        return commands.COMMANDS[name](arguments)
    except CommandError as refusal:
        print_line(f"\nbin/{name}: {refusal}")
        return 1
    except KeyboardInterrupt:
        return 130


def exit_on_signal(number: int, _frame: FrameType | None) -> None:
    """Ends through every `finally`, so that nothing is left running."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
