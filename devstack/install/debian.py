"""Programs from Debian's and Ubuntu's archives: downloaded and verified by apt, unpacked without root."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from devstack.console import CommandError
from devstack.paths import LOCAL, write_atomically

PACKAGES_FOLDER = LOCAL / "debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
Environment = dict[str, str]


def is_available() -> bool:
    """Return whether this machine has apt-get and dpkg-deb."""
    return all(shutil.which(tool) for tool in ("apt-get", "dpkg-deb"))


def unpack_package(*packages: str) -> Path:
    """Unpack packages and those of their dependencies that are not installed; return the folder, named as the first."""
    target = PACKAGES_FOLDER / packages[0]
    if not (target / "done").exists():
        try:
            download_and_unpack(packages, target, os.environ.copy())
        except CommandError:  # the machine's package lists are empty, outdated or not readable
            env = build_private_apt_environment(PACKAGES_FOLDER / "apt")
            run_apt("update", "-qq", env=env)
            download_and_unpack(packages, target, env)
    return target


def unpack_from_sid(package: str) -> Path:
    """Unpack a package of Debian sid with all of its dependencies, including the C library; return the folder.

    Raises:
        CommandError: Debian's keys are not installed, or apt fails.
    """
    target = PACKAGES_FOLDER / f"sid-{package}"
    if not (target / "done").exists():
        if not KEYRING.exists():
            raise CommandError(
                f"without {KEYRING} (package debian-archive-keyring), packages from Debian cannot be verified"
            )
        env = build_private_apt_environment(
            PACKAGES_FOLDER / "apt-sid", *build_sid_settings(PACKAGES_FOLDER / "apt-sid")
        )
        run_apt("update", "-qq", env=env)
        download_and_unpack([package], target, env)
    return target


def build_sid_settings(folder: Path) -> list[str]:
    """Return settings with which apt knows only Debian sid and assumes that nothing is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "status", "")
    write_atomically(folder / "sources.list", f"deb [signed-by={KEYRING}] http://deb.debian.org/debian sid main\n")
    return [
        f'Dir::State::status "{folder}/status";',
        f'Dir::Etc::sourcelist "{folder}/sources.list";',
        'Dir::Etc::sourceparts "/dev/null";',
    ]


def download_and_unpack(packages: Sequence[str], target: Path, env: Environment) -> None:
    """Download and unpack packages and their missing dependencies into an emptied folder."""
    shutil.rmtree(target, ignore_errors=True)
    files = target / "archives"
    files.mkdir(parents=True)
    run_apt("download", "-qq", *list_needed_packages(packages, env), env=env, cwd=files)
    for archive in sorted(files.glob("*.deb")):
        if subprocess.run(["dpkg-deb", "-x", str(archive), str(target)]).returncode:
            raise CommandError(f"{archive.name} cannot be unpacked")
    shutil.rmtree(files)
    write_atomically(target / "done", "")


def list_needed_packages(packages: Sequence[str], env: Environment) -> list[str]:
    """Return the packages and the dependencies that apt would install, without Perl, which no server needs."""
    plan = run_apt("install", "--simulate", "--no-install-recommends", "-o", "Debug::NoLocking=1", *packages, env=env)
    names = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
    return sorted({*packages, *(name for name in names if not re.match(r"(lib)?perl\d?", name))})


def run_apt(*arguments: str, env: Environment, cwd: Path | None = None) -> str:
    """Run apt-get and return its output; raise CommandError if it fails."""
    result = subprocess.run(
        ["apt-get", *arguments], env={**env, "LC_ALL": "C"}, cwd=cwd, capture_output=True, text=True
    )
    if result.returncode:
        raise CommandError(f"apt-get {arguments[0]} failed: {result.stderr.strip()[-500:]}")
    return result.stdout


def build_private_apt_environment(folder: Path, *extra: str) -> Environment:
    """Return an environment in which apt keeps its lists and cache in a folder of ours and needs no root.

    Args:
        extra: further lines of apt.conf.
    """
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    settings = [
        f'Dir::State::lists "{folder}/lists";',
        f'Dir::Cache "{folder}/cache";',
        'APT::Sandbox::User "";',
        'Debug::NoLocking "1";',
        'Acquire::Languages "none";',
        *extra,
    ]
    write_atomically(folder / "apt.conf", "\n".join(settings) + "\n")
    return {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}


def build_library_path(folder: Path) -> str:
    """Return the library path of the programs that were unpacked into a folder."""
    folders = {str(path.parent) for path in folder.glob("**/lib/**/*.so*") if path.is_file()}
    return ":".join(sorted(folders))
