"""python -m apidocs [--check]"""

import sys
from pathlib import Path

from apidocs import error_list, openapi

DOCS = Path(__file__).parent.parent / "docs"
GENERATED = {"openapi.json": openapi.render, "errors.md": error_list.render}


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m apidocs [--check]\n")
        return 2
    return check_files(DOCS) if arguments else write_files(DOCS)


def write_files(folder: Path) -> int:
    """Write the generated files and return 0."""
    for name, render in GENERATED.items():
        (folder / name).write_text(render(), "utf-8")
    return 0


def check_files(folder: Path) -> int:
    """Return 1 and report the names if generated files are missing or differ from the code."""
    stale = [name for name, render in GENERATED.items() if _read(folder / name) != render()]
    for name in stale:
        sys.stderr.write(f"docs/{name} is stale: run `python -m apidocs`\n")
    return 1 if stale else 0


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
