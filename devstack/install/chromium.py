"""Find a Chromium for bin/test --browser: on PATH, or in Debian's packages, unpacked without root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from devstack.console import CommandError
from devstack.install import debian

PROGRAM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Environment variables for tests/support/chrome.py.
PROGRAM_VARIABLE, LIBRARIES_VARIABLE = "DEVSTACK_CHROMIUM", "DEVSTACK_CHROMIUM_LIBRARIES"


def prepare() -> dict[str, str]:
    """Return the environment variables that point the tests to a Chromium.

    Raises:
        CommandError: there is none that runs here.
    """
    for program in filter(None, map(shutil.which, PROGRAM_NAMES)):
        if can_run(program, ""):
            return {PROGRAM_VARIABLE: program, LIBRARIES_VARIABLE: ""}
    if sys.platform == "linux" and debian.is_available():
        root = debian.unpack_package("chromium")
        program, libraries = str(root / "usr/lib/chromium/chromium"), build_library_path(root)
        if can_run(program, libraries):
            return {PROGRAM_VARIABLE: program, LIBRARIES_VARIABLE: libraries}
        raise CommandError("Debian's Chromium does not run here")
    raise CommandError("no Chromium on PATH, and no apt-get to download Debian's")


def can_run(program: str, libraries: str) -> bool:
    """Return whether the program starts; the timeout allows for a slow first start."""
    try:
        result = subprocess.run(
            [program, "--version"], env=build_environment(libraries), capture_output=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def build_environment(libraries: str) -> dict[str, str]:
    """Return our environment with this library path and no other."""
    plain = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    return {**plain, "LD_LIBRARY_PATH": libraries} if libraries else plain


def build_library_path(root: Path) -> str:
    """Return the library path of the unpacked packages, with Chromium's own libraries first."""
    folders = debian.build_library_path(root).split(":")
    return ":".join(sorted(folders, key=lambda path: not path.endswith("/chromium")))
