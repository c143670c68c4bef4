"""Build deployment.zip reproducibly: the sources that Chalice packaged, the dependencies, and bytecode."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

# Minor version of glibc in the Lambda runtime of each Python: Amazon Linux 2 and Amazon Linux 2023.
GLIBC_MINOR = {(3, 11): 26, (3, 12): 34, (3, 13): 34}
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest timestamp of the zip format
LAMBDA_ROOT = "/var/task"  # where Lambda unpacks the zip; the path in tracebacks

# Fixes the iteration order of sets and prevents .pyc files of another Python.
DETERMINISTIC_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def install_requirements(requirements: Path, tree: Path, architecture: str) -> None:
    """Install the wheels for Lambda into `tree`.

    Chalice's own builder is not used, because it ignores the hashes of the requirements file when it downloads wheels
    for another platform.

    Raises:
        subprocess.CalledProcessError: if a wheel is missing or its hash differs.
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
    """Add the files of Chalice's zip to the dependencies in `tree`, compile all modules and write the zip."""
    with zipfile.ZipFile(chalice_zip) as packed:
        packed.extractall(tree)
    _compile(tree)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            archive.writestr(_build_entry(path.relative_to(tree).as_posix()), path.read_bytes())


def _compile(tree: Path) -> None:
    """Compile every module. Lambda cannot write .pyc files, so each cold start would compile the modules again.

    unchecked-hash: imports do not compare the bytecode with the source. sys.executable has the version of Python that
    Lambda runs, see bundle.py.
    """
    python = [sys.executable, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    command = [*python, "-s", str(tree), "-p", LAMBDA_ROOT, str(tree)]
    subprocess.run(command, check=True, env={**os.environ, **DETERMINISTIC_ENVIRONMENT})


def _build_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, ZIP_EPOCH)
    entry.create_system = 3  # Unix, on any build machine
    entry.external_attr = 0o100644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
