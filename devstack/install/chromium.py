"""A browser for bin/test --browser: from PATH, or from Debian's packages, unpacked without root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from devstack.console import CommandError
from devstack.install import debian

PROGRAM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM_VARIABLE, LIBRARIES_VARIABLE = "DEVSTACK_CHROMIUM", "DEVSTACK_CHROMIUM_LIBRARIES"  # as tests are told of it


def prepare() -> dict[str, str]:
    """Return the variables that tell tests of a Chromium that runs here. Raises Refusal with the reason for none."""
    for program in filter(None, map(shutil.which, PROGRAM_NAMES)):
        if can_run(program, ""):
            return {PROGRAM_VARIABLE: program, LIBRARIES_VARIABLE: ""}
    if sys.platform == "linux" and debian.is_available():
        root = debian.unpack_package("chromium")
        program, libraries = str(root / "usr/lib/chromium/chromium"), build_library_path(root)
        if can_run(program, libraries):
            return {PROGRAM_VARIABLE: program, LIBRARIES_VARIABLE: libraries}
        raise CommandError("Debian's Chromium does not run here")
    raise CommandError("no Chromium on PATH, and this machine has no apt-get to fetch Debian's with")


def can_run(program: str, libraries: str) -> bool:
    """Its first start may take a while."""
    try:
        said = subprocess.run([program, "--version"], env=build_environment(libraries), capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0


def build_environment(libraries: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    return {**plain, "LD_LIBRARY_PATH": libraries} if libraries else plain


def build_library_path(root: Path) -> str:
    """Its own libraries before the system's."""
    found = debian.build_library_path(root).split(":")
    return ":".join(sorted(found, key=lambda path: not path.endswith("/chromium")))
