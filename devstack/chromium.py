"""A browser for bin/test --browser: from PATH, or from Debian's packages, unpacked without root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from devstack import debian
from devstack.say import Refusal

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM, LIBRARIES = "DEVSTACK_CHROMIUM", "DEVSTACK_CHROMIUM_LIBRARIES"  # as tests are told of it


def prepare() -> dict[str, str]:
    """Return the variables that tell tests of a Chromium that runs here. Raises Refusal with the reason for none."""
    for program in filter(None, map(shutil.which, NAMES)):
        if runs(program, ""):
            return {PROGRAM: program, LIBRARIES: ""}
    if sys.platform == "linux" and debian.available():
        root = debian.unpacked("chromium")
        program, libraries = str(root / "usr/lib/chromium/chromium"), library_path(root)
        if runs(program, libraries):
            return {PROGRAM: program, LIBRARIES: libraries}
        raise Refusal("Debian's Chromium does not run here")
    raise Refusal("no Chromium on PATH, and this machine has no apt-get to fetch Debian's with")


def runs(program: str, libraries: str) -> bool:
    """Its first start may take a while."""
    try:
        said = subprocess.run([program, "--version"], env=environment(libraries), capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0


def environment(libraries: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    return {**plain, "LD_LIBRARY_PATH": libraries} if libraries else plain


def library_path(root: Path) -> str:
    """Its own libraries before the system's."""
    found = debian.libraries(root).split(":")
    return ":".join(sorted(found, key=lambda path: not path.endswith("/chromium")))
