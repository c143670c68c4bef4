"""Run a benchmark (bin/bench NAME [OPTIONS]) or all of them at their smallest (bin/bench --smoke)."""

import sys

from bench import (
    abuse,
    admin,
    booking,
    chat,
    coldstart,
    helpdesk,
    inbox,
    labels,
    long_lists,
    notify,
    payment,
    signin,
    smoke,
    soak,
    storm,
    table_growth,
)
from bench.peers import command

COMMANDS = {
    "chat": chat.main,
    "labels": labels.main,
    "booking": booking.main,
    "payment": payment.main,
    "helpdesk": helpdesk.main,
    "lists": long_lists.main,
    "inbox": inbox.main,
    "admin": admin.main,
    "signin": signin.main,
    "notify": notify.main,
    "soak": soak.main,
    "storm": storm.main,
    "coldstart": coldstart.main,
    "abuse": abuse.main,
    "peers": command.main,
}


def main(all_arguments: list[str]) -> int:
    """Run the command line and return its exit code; 2 for an unknown benchmark."""
    name, *arguments = all_arguments or [""]
    if name == "--smoke":
        return smoke.main(main)
    if name not in COMMANDS:
        sys.stderr.write(f"bin/bench: no benchmark {name!r}; choose from {', '.join(COMMANDS)}\n")
        return 2
    if name == "chat" and "--grow" in arguments:
        return table_growth.main([one for one in arguments if one != "--grow"])
    return COMMANDS[name](arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
