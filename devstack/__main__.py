"""Run a command of bin/: python -m devstack COMMAND [ARGUMENTS]."""

import signal
import sys
from types import FrameType

from devstack.cli import commands
from devstack.console import CommandError, print_line


def main() -> int:
    """Run the command line and return its exit code; 2 for an unknown command, 130 after Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, exit_on_signal)
    name, *arguments = sys.argv[1:] or [""]
    if name not in commands.COMMANDS:
        print_line(f"devstack: no command {name!r}; choose from {', '.join(commands.COMMANDS)}")
        return 2
    try:
        return commands.COMMANDS[name](arguments)
    except CommandError as error:
        print_line(f"\nbin/{name}: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def exit_on_signal(number: int, _frame: FrameType | None) -> None:
    """Exit through every `finally` block, so that no process is left running."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
