"""The .lua files of Redis scripts, and how they become scripts."""

from pathlib import Path

import pytest

import chalicelib
from chalicelib.adapters import redis

ROOT = Path(chalicelib.__file__).parent
FILES = sorted(ROOT.rglob("*.lua"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_lua_file_begins_with_comment_and_is_loaded(path: Path) -> None:
    assert path.parent.name == "lua"
    assert path.read_text("utf-8").startswith("-- ")
    modules = path.parent.parent.glob("*.py")
    assert any(f'"{path.stem}"' in module.read_text("utf-8") for module in modules)


def test_script_joins_files_after_constants(tmp_path: Path) -> None:
    (tmp_path / "lua").mkdir()
    (tmp_path / "lua" / "first.lua").write_text("local sum = LEFT\n", "utf-8")
    (tmp_path / "lua" / "second.lua").write_text("return {sum + RIGHT, #server}\n", "utf-8")
    script = redis.load_script(str(tmp_path / "module.py"), "first", "second", LEFT=2, RIGHT=3)
    assert redis.run_script(script, ["key"], []) == [5, 40]
