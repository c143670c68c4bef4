"""The commands behind bin/: python -m devstack COMMAND ..."""

import signal
import sys
from types import FrameType

from devstack import commands
from devstack.say import Refusal, line


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    name, *arguments = sys.argv[1:] or [""]
    if name not in commands.ALL:
        line(f"devstack: no command {name!r}; there is {', '.join(commands.ALL)}")
        return 2
    try:
        return commands.ALL[name](arguments)
    except Refusal as refusal:
        line(f"\nbin/{name}: {refusal}")
        return 1
    except KeyboardInterrupt:
        return 130


def leave(number: int, _frame: FrameType | None) -> None:
    """Ends through every `finally`, so that nothing is left running."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
