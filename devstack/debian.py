"""Programs from Debian's and Ubuntu's archives without root: fetched and checked by apt, unpacked, not installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from devstack.paths import LOCAL, write_whole
from devstack.say import Refusal

FOLDER = LOCAL / "debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
Environment = dict[str, str]


def available() -> bool:
    return all(shutil.which(tool) for tool in ("apt-get", "dpkg-deb"))


def unpacked(package: str) -> Path:
    """The folder that holds the package and those of its dependencies that this machine lacks."""
    target = FOLDER / package
    if not (target / "done").exists():
        try:
            fetch(package, target, os.environ.copy())
        except Refusal:  # the machine's lists are empty, old or not ours to read
            env = private_apt(FOLDER / "apt")
            apt("update", "-qq", env=env)
            fetch(package, target, env)
    return target


def unpacked_from_sid(package: str) -> Path:
    """The same from Debian's rolling release, with everything it needs down to the C library. Wants Debian's keys."""
    target = FOLDER / f"sid-{package}"
    if not (target / "done").exists():
        if not KEYRING.exists():
            raise Refusal(f"without {KEYRING} (package debian-archive-keyring) nothing from Debian can be verified")
        env = private_apt(FOLDER / "apt-sid", *of_sid(FOLDER / "apt-sid"))
        apt("update", "-qq", env=env)
        fetch(package, target, env)
    return target


def of_sid(folder: Path) -> list[str]:
    """Settings under which apt knows only Debian sid, and believes that nothing is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "status", "")
    write_whole(folder / "sources.list", f"deb [signed-by={KEYRING}] http://deb.debian.org/debian sid main\n")
    return [
        f'Dir::State::status "{folder}/status";',
        f'Dir::Etc::sourcelist "{folder}/sources.list";',
        'Dir::Etc::sourceparts "/dev/null";',
    ]


def fetch(package: str, target: Path, env: Environment) -> None:
    shutil.rmtree(target, ignore_errors=True)
    files = target / "archives"
    files.mkdir(parents=True)
    apt("download", "-qq", *needed(package, env), env=env, cwd=files)
    for archive in sorted(files.glob("*.deb")):
        if subprocess.run(["dpkg-deb", "-x", str(archive), str(target)]).returncode:
            raise Refusal(f"{archive.name} cannot be unpacked")
    shutil.rmtree(files)
    write_whole(target / "done", "")


def needed(package: str, env: Environment) -> list[str]:
    """What apt would install to have the package: itself, and what it needs that is not here. No server runs Perl."""
    plan = apt("install", "--simulate", "--no-install-recommends", "-o", "Debug::NoLocking=1", package, env=env)
    names = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
    return sorted({package, *(name for name in names if not re.match(r"(lib)?perl\d?", name))})


def apt(*arguments: str, env: Environment, cwd: Path | None = None) -> str:
    done = subprocess.run(["apt-get", *arguments], env={**env, "LC_ALL": "C"}, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise Refusal(f"apt-get {arguments[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def private_apt(folder: Path, *extra: str) -> Environment:
    """An environment in which apt keeps its lists and cache under our folder, so that it needs no root."""
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
    write_whole(folder / "apt.conf", "\n".join(settings) + "\n")
    return {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}


def libraries(folder: Path) -> str:
    """The library path under which what was unpacked there runs."""
    found = {str(path.parent) for path in folder.glob("**/lib/**/*.so*") if path.is_file()}
    return ":".join(sorted(found))
