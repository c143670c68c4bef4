"""Fixtures that package the bundle once per session. These tests need no database."""

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
    names: list[str]  # of all files in the zip
    code: Path  # the unpacked application: app.py, chalicelib, chalice
    libraries: Path  # dependencies as installed here: those for Lambda do not run on every machine


@pytest.fixture(scope="session", autouse=True)
def schema() -> None:
    """Override the fixture that migrates a database."""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two packages of the same sources: the second from another folder and with a polluted environment."""
    folder = tmp_path_factory.mktemp("packages")
    polluted = {"GROUP": "consult", "PYTHONHASHSEED": "7", "AWS_DEFAULT_REGION": "eu-west-1", "LOG_LEVEL": "DEBUG"}
    runs = [_start_packaging(folder / "one", ROOT, {}), _start_packaging(folder / "two", folder, polluted)]
    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert run.returncode == 0, output
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
