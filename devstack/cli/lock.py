"""bin/lock [--upgrade]: compile every requirements*.txt from its .in file; --upgrade takes the newest versions."""

from devstack.console import time_step
from devstack.install.uv import run_uv
from devstack.paths import ROOT

PYTHON_VERSION = "3.11"  # the oldest supported version
CONSTRAINTS = {  # lock: the lock whose versions it must share; in the order in which they are compiled
    "requirements": "",
    "requirements-local": "requirements.txt",
    "requirements-dev": "requirements-local.txt",
    "requirements-s3": "",
}


def compile_locks(arguments: list[str]) -> int:
    """Compile all locks."""
    for name, constraint in CONSTRAINTS.items():
        with time_step(f"{name}.txt"):
            compile_lock(name, constraint, arguments)
    return 0


def compile_lock(name: str, constraint: str, arguments: list[str]) -> None:
    """Compile a lock, with the versions of another one as constraints."""
    options = [
        *("--universal", "--generate-hashes"),
        *("--python-version", PYTHON_VERSION, "--custom-compile-command", "bin/lock"),
    ]
    shared = ["--constraints", str(ROOT / constraint)] if constraint else []
    excludes = ["--excludes", str(ROOT / "requirements-excludes.txt")]
    source, target = str(ROOT / f"{name}.in"), str(ROOT / f"{name}.txt")
    run_uv("pip", "compile", "--quiet", *options, *shared, *excludes, *arguments, source, "-o", target)
