"""bin/ works in any POSIX shell, from anywhere, and says what is missing."""

import os
import subprocess
from pathlib import Path

import pytest

from devstack.cli import commands
from devstack.paths import ROOT


def run(name: str, path: str, cwd: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["/bin/sh", str(ROOT / "bin" / name), *arguments]
    return subprocess.run(command, env={"PATH": path}, cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with nothing but what the shim itself needs."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in ("dirname", "env"):
        found = next(Path(place) / tool for place in ("/usr/bin", "/bin") if (Path(place) / tool).exists())
        (folder / tool).symlink_to(found)
    return folder


def add_python(folder: Path, name: str, version: str) -> None:
    """A Python that says it is fit (or not), and when run tells its name and where it stands."""
    program = folder / name
    fit = 0 if version in ("3.11", "3.12", "3.13") else 1
    program.write_text(f'#!/bin/sh\ncase "$1" in -c) exit {fit};; esac\necho "{name} $PWD $*"\n')
    program.chmod(0o755)


def test_every_command_has_its_shim_and_the_other_way_round() -> None:
    shims = {path.name for path in (ROOT / "bin").iterdir()} - {"devstack"}
    assert shims == set(commands.COMMANDS)
    assert all(os.access(ROOT / "bin" / name, os.X_OK) for name in shims)


def test_without_a_python_it_says_what_to_install(tools: Path, tmp_path: Path) -> None:
    add_python(tools, "python3", "3.9")
    done = run("dev", str(tools), tmp_path)
    assert done.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13" in done.stderr


def test_a_python_that_does_not_run_is_passed_over(tools: Path, tmp_path: Path) -> None:
    add_python(tools, "python3.13", "broken")
    add_python(tools, "python3.11", "3.11")
    done = run("test", str(tools), tmp_path, "-k", "two words")
    assert done.stdout == f"python3.11 {ROOT} -m devstack test -k two words\n"


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run("devstack", os.environ["PATH"], tmp_path, "nonsense")
    assert done.returncode == 2
    assert "no command 'nonsense'" in done.stderr
