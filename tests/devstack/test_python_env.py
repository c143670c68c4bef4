"""An environment is created once, updated when its lock changes, and completed after an interruption."""

import platform
from pathlib import Path

import pytest

from devstack.install import python_env


class FakeUv:
    """A replacement of run_uv that records its commands and creates a folder like an environment."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.fails_at = ""

    def __call__(self, *arguments: str) -> None:
        command = "sync" if "sync" in arguments else "venv"
        if command == self.fails_at:
            raise KeyboardInterrupt
        self.commands.append(command)
        if command == "venv":
            python = Path(arguments[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.write_text("#!/bin/sh\n")
            python.chmod(0o755)


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeUv:
    fake = FakeUv()
    monkeypatch.setattr(python_env, "run_uv", fake)
    monkeypatch.setattr(python_env, "LOCAL", tmp_path)
    monkeypatch.setattr(python_env, "ROOT", tmp_path)
    (tmp_path / "requirements-local.txt").write_text("redis==1\n")
    return fake


def test_second_call_installs_nothing(uv: FakeUv) -> None:
    assert python_env.ensure("venv") is True
    assert python_env.ensure("venv") is False
    assert uv.commands == ["venv", "sync"]


def test_changed_lock_updates_the_environment(uv: FakeUv, tmp_path: Path) -> None:
    python_env.ensure("venv")
    (tmp_path / "requirements-local.txt").write_text("redis==2\n")
    python_env.ensure("venv")
    assert uv.commands == ["venv", "sync", "sync"]


@pytest.mark.parametrize("command", ["venv", "sync"])
def test_interrupted_creation_is_repeated(uv: FakeUv, tmp_path: Path, command: str) -> None:
    uv.fails_at = command
    with pytest.raises(KeyboardInterrupt):
        python_env.ensure("venv")
    (tmp_path / "venv" / "half-installed").mkdir(parents=True)
    uv.fails_at = ""
    uv.commands.clear()
    assert python_env.ensure("venv") is True
    assert uv.commands == ["venv", "sync"]
    assert not (tmp_path / "venv" / "half-installed").exists()


def test_interrupted_update_is_repeated(uv: FakeUv, tmp_path: Path) -> None:
    python_env.ensure("venv")
    (tmp_path / "requirements-local.txt").write_text("redis==2\n")
    uv.fails_at = "sync"
    with pytest.raises(KeyboardInterrupt):
        python_env.ensure("venv")
    uv.fails_at = ""
    assert python_env.ensure("venv") is True


def test_another_python_version_recreates_the_environment(
    uv: FakeUv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_env.ensure("venv")
    (tmp_path / "venv" / "of the old Python").touch()
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "99", "0"))
    python_env.ensure("venv")
    assert uv.commands == ["venv", "sync", "venv", "sync"]
    assert not (tmp_path / "venv" / "of the old Python").exists()


def test_environment_without_python_is_recreated(uv: FakeUv, tmp_path: Path) -> None:
    python_env.ensure("venv")
    (tmp_path / "venv" / "bin" / "python").unlink()
    assert python_env.ensure("venv") is True
    assert uv.commands == ["venv", "sync", "venv", "sync"]
