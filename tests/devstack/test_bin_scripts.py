"""The scripts in bin/ work in any POSIX shell and from any folder, and report what is missing."""

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
    """A PATH with only the programs that the scripts need."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in ("dirname", "env"):
        program = next(Path(place) / tool for place in ("/usr/bin", "/bin") if (Path(place) / tool).exists())
        (folder / tool).symlink_to(program)
    return folder


def add_python(folder: Path, name: str, version: str) -> None:
    """Create a fake Python: it accepts or rejects its version and prints its name, folder and arguments."""
    program = folder / name
    check_status = 0 if version in ("3.11", "3.12", "3.13") else 1
    program.write_text(f'#!/bin/sh\ncase "$1" in -c) exit {check_status};; esac\necho "{name} $PWD $*"\n')
    program.chmod(0o755)


def test_every_command_has_a_script_and_every_script_a_command() -> None:
    scripts = {path.name for path in (ROOT / "bin").iterdir()} - {"devstack"}
    assert scripts == set(commands.COMMANDS)
    assert all(os.access(ROOT / "bin" / name, os.X_OK) for name in scripts)


def test_missing_python_is_reported(tools: Path, tmp_path: Path) -> None:
    add_python(tools, "python3", "3.9")
    done = run("dev", str(tools), tmp_path)
    assert done.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13" in done.stderr


def test_python_that_does_not_run_is_skipped(tools: Path, tmp_path: Path) -> None:
    add_python(tools, "python3.13", "broken")
    add_python(tools, "python3.11", "3.11")
    done = run("test", str(tools), tmp_path, "-k", "two words")
    assert done.stdout == f"python3.11 {ROOT} -m devstack test -k two words\n"


def test_unknown_command_is_reported(tmp_path: Path) -> None:
    done = run("devstack", os.environ["PATH"], tmp_path, "nonsense")
    assert done.returncode == 2
    assert "no command 'nonsense'" in done.stderr
