"""Run the chalice command with our local server: python -m devstack.apigateway.chalice_command ARGUMENTS."""

import os
import sys
from collections.abc import Iterator

from chalice.cli import cli, reloader
from chalice.cli.filewatch.stat import StatFileWatcher, StatWorkerProcess
from chalice.utils import OSUtils

from devstack.apigateway.server import patch_chalice_local


class SourceFiles(OSUtils):
    """The files that the auto-reloader watches: not those of hidden folders (.local, .git) and of Python's cache.

    The local services, and Python itself, write to these all the time.
    """

    def walk(self, path: str, followlinks: bool = False) -> Iterator[tuple[str, list[str], list[str]]]:
        """Yield folders as os.walk does."""
        for folder, subfolders, names in os.walk(path, followlinks=followlinks):
            subfolders[:] = [name for name in subfolders if not name.startswith(".") and name != "__pycache__"]
            yield folder, subfolders, [name for name in names if not name.startswith(".")]


class WorkerProcess(StatWorkerProcess):
    """Serves until a source file changes."""

    def _start_file_watcher(self, project_dir: str) -> None:
        StatFileWatcher(SourceFiles()).watch_for_file_changes(project_dir, self._on_file_change)


def patch_reloader() -> None:
    """Make the auto-reloader of `chalice local` watch source files only."""
    vars(reloader)["get_best_worker_process"] = lambda: WorkerProcess


if __name__ == "__main__":
    arguments = sys.argv[1:]
    # The auto-reloader of `chalice local` starts its worker by running sys.argv.
    sys.argv = [sys.executable, "-m", "devstack.apigateway.chalice_command", *arguments]
    patch_chalice_local()
    patch_reloader()
    sys.exit(cli(args=arguments, prog_name="chalice", obj={}))
