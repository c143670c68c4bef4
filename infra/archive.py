"""deployment.zip: what Chalice packs, the dependencies, all of it compiled. The same input gives the same bytes."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

# glibc of the machines that Lambda runs each Python on: Amazon Linux 2, then 2023.
GLIBC_MINOR = {(3, 11): 26, (3, 12): 34, (3, 13): 34}
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
LAMBDA_ROOT = "/var/task"  # where Lambda unpacks it: the path in stack traces

# Neither the order of a set nor a stray cache of the developer's own Python finds its way into the result.
DETERMINISTIC_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def install_requirements(requirements: Path, tree: Path, architecture: str) -> None:
    """Unpack the wheels that Lambda needs. Raises CalledProcessError where one is missing or is not as locked.

    Not Chalice's builder: it fetches the wheels of another machine by name alone, whatever hashes the lock wants.
    """
    machine = MACHINES[architecture]
    newest = GLIBC_MINOR[sys.version_info[:2]]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)] + [f"manylinux2014_{machine}"]
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
    lock = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", str(requirements)]
    target = ["--implementation=cp", "--no-compile", f"--target={tree}", *(f"--platform={name}" for name in platforms)]
    subprocess.run([*pip, *lock, *target], check=True)
    shutil.rmtree(tree / "bin", ignore_errors=True)


def write_archive(chalice_zip: Path, tree: Path, target: Path) -> None:
    """Add what Chalice packed to the dependencies in `tree`, compile it all, and write the zip."""
    with zipfile.ZipFile(chalice_zip) as packed:
        packed.extractall(tree)
    _compile(tree)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            archive.writestr(_build_entry(path.relative_to(tree).as_posix()), path.read_bytes())


def _compile(tree: Path) -> None:
    """Lambda cannot write .pyc files: without them each cold start compiles every module again.

    Unchecked: importing compares them with nothing. sys.executable is of the Python that Lambda runs, see bundle.py.
    """
    python = [sys.executable, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    command = [*python, "-s", str(tree), "-p", LAMBDA_ROOT, str(tree)]
    subprocess.run(command, check=True, env={**os.environ, **DETERMINISTIC_ENVIRONMENT})


def _build_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, ZIP_EPOCH)
    entry.create_system = 3  # Unix, whatever packs it
    entry.external_attr = 0o100644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
