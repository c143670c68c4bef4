"""Runs a command that dies with its parent: python tether.py PARENT_PID SIGNAL COMMAND...

On Linux the kernel sends SIGNAL when the parent ends, however it ends. Elsewhere there is no such thing,
and the next start clears what was left (processes.clear_stale).
"""

import os
import sys

PR_SET_PDEATHSIG = 1


def set_parent_death_signal(parent: int, signal: int) -> None:
    if sys.platform != "linux":
        return
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died before we asked
        sys.exit(1)


if __name__ == "__main__":
    set_parent_death_signal(int(sys.argv[1]), int(sys.argv[2]))
    os.execvpe(sys.argv[3], sys.argv[3:], os.environ)
