"""The bundle, packaged once for all these tests. They need no database."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cloudformation import Template

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Package:
    template: Template
    sam: Path
    zip: Path
    names: list[str]  # of everything in the zip
    code: Path  # ours, unpacked: app.py, chalicelib, chalice
    libraries: Path  # the others, as they are installed here: Lambda's would not run on every machine


@pytest.fixture(scope="session", autouse=True)
def schema() -> None:
    """Instead of the one that migrates a database."""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two packages of the same sources: one as anybody would make it, one from elsewhere in a shell with a past."""
    folder = tmp_path_factory.mktemp("packages")
    past = {"GROUP": "consult", "PYTHONHASHSEED": "7", "AWS_DEFAULT_REGION": "eu-west-1", "LOG_LEVEL": "DEBUG"}
    runs = [_start_packaging(folder / "one", ROOT, {}), _start_packaging(folder / "two", folder, past)]
    for run in runs:
        said, _ = run.communicate(timeout=300)
        assert run.returncode == 0, said
    return [folder / "one", folder / "two"]


@pytest.fixture(scope="session")
def package(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Package:
    sam, packed = packages[0] / "sam.json", packages[0] / "deployment.zip"
    code, libraries = tmp_path_factory.mktemp("code"), tmp_path_factory.mktemp("libraries")
    with zipfile.ZipFile(packed) as archive:
        names = archive.namelist()
        archive.extractall(code, [one for one in names if one.startswith(("app.", "__pycache__/app.", "chalice"))])
    for top in {one.partition("/")[0] for one in names}:
        installed = Path(sysconfig.get_path("purelib"), top)
        if installed.exists() and top not in ("chalice", "__pycache__"):
            (libraries / top).symlink_to(installed)
    return Package(json.loads(sam.read_text("utf-8")), sam, packed, names, code, libraries)


def _start_packaging(out: Path, cwd: Path, variables: dict[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ROOT / "bundle.py"), "prod", str(out)]
    environment = {**os.environ, **variables}
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
