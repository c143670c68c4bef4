"""An environment is made once, made again when its lock changes, and healed after an interruption."""

import platform
from pathlib import Path

import pytest

from devstack.install import python_env


class FakeUv:
    """Keeps what was asked; makes a folder that looks like an environment."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails_at = ""

    def __call__(self, *arguments: str) -> None:
        verb = "sync" if "sync" in arguments else "venv"
        if verb == self.fails_at:
            raise KeyboardInterrupt
        self.done.append(verb)
        if verb == "venv":
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


def test_a_second_start_installs_nothing(uv: FakeUv) -> None:
    assert python_env.ensure("venv") is True
    assert python_env.ensure("venv") is False
    assert uv.done == ["venv", "sync"]


def test_a_changed_lock_is_installed_into_what_is_there(uv: FakeUv, tmp_path: Path) -> None:
    python_env.ensure("venv")
    (tmp_path / "requirements-local.txt").write_text("redis==2\n")
    python_env.ensure("venv")
    assert uv.done == ["venv", "sync", "sync"]


@pytest.mark.parametrize("moment", ["venv", "sync"])
def test_an_interrupted_first_start_is_healed(uv: FakeUv, tmp_path: Path, moment: str) -> None:
    uv.fails_at = moment
    with pytest.raises(KeyboardInterrupt):
        python_env.ensure("venv")
    (tmp_path / "venv" / "half-installed").mkdir(parents=True)
    uv.fails_at = ""
    uv.done.clear()
    assert python_env.ensure("venv") is True
    assert uv.done == ["venv", "sync"]
    assert not (tmp_path / "venv" / "half-installed").exists()


def test_an_interrupted_change_is_healed_too(uv: FakeUv, tmp_path: Path) -> None:
    python_env.ensure("venv")
    (tmp_path / "requirements-local.txt").write_text("redis==2\n")
    uv.fails_at = "sync"
    with pytest.raises(KeyboardInterrupt):
        python_env.ensure("venv")
    uv.fails_at = ""
    assert python_env.ensure("venv") is True


def test_another_python_gets_a_new_environment(uv: FakeUv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python_env.ensure("venv")
    (tmp_path / "venv" / "of the old Python").touch()
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "99", "0"))
    python_env.ensure("venv")
    assert uv.done == ["venv", "sync", "venv", "sync"]
    assert not (tmp_path / "venv" / "of the old Python").exists()


def test_an_environment_whose_python_is_gone_is_made_again(uv: FakeUv, tmp_path: Path) -> None:
    python_env.ensure("venv")
    (tmp_path / "venv" / "bin" / "python").unlink()
    assert python_env.ensure("venv") is True
    assert uv.done == ["venv", "sync", "venv", "sync"]
