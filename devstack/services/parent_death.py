"""Run a command that ends with its parent: python parent_death.py PARENT_PID SIGNAL COMMAND...

On Linux the kernel sends SIGNAL when the parent ends for any reason. Other systems have no such function; there the
next start ends remaining processes (processes.clear_stale).
"""

import os
import sys

PR_SET_PDEATHSIG = 1


def set_parent_death_signal(parent: int, signal: int) -> None:
    """Make the kernel send a signal to this process when its parent ends; exit if it has ended already.

    Source: prctl(2), PR_SET_PDEATHSIG
    """
    if sys.platform != "linux":
        return
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it ended before prctl
        sys.exit(1)


if __name__ == "__main__":
    set_parent_death_signal(int(sys.argv[1]), int(sys.argv[2]))
    os.execvpe(sys.argv[3], sys.argv[3:], os.environ)
