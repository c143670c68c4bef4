"""Package the bundle: one REST API, one Lambda per endpoint group.

    python bundle.py STAGE OUT [REGION]

Writes OUT/sam.json and OUT/deployment.zip from the working tree; docs/deployment.md describes their deployment.
Chalice creates both. infra/overlay.py completes the template, infra/archive.py the zip. The functions run the version
of Python that runs this script: 3.11, 3.12 or 3.13.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra import archive

ROOT = Path(__file__).resolve().parent
REGION = "cn-northwest-1"
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
CHALICE_SCRIPT = "import sys; from chalice.cli import main; sys.exit(main())"


def main() -> int:
    """Run the command line and return the exit status."""
    if len(sys.argv) not in (3, 4):
        sys.stderr.write("usage: python bundle.py STAGE OUT [REGION]\n")
        return 2
    try:
        package(sys.argv[1], Path(sys.argv[2]).resolve(), *sys.argv[3:])
    except (subprocess.CalledProcessError, PackagingError) as error:
        sys.stderr.write(f"bundle.py: packaging failed: {error}\n")
        return 1
    return 0


class PackagingError(Exception):
    """The working tree cannot be packaged for this stage or with this Python."""


def package(stage: str, out: Path, region: str = REGION) -> None:
    """Write sam.json and deployment.zip to `out`.

    Raises:
        PackagingError: if the stage or the version of Python cannot be deployed, or Chalice failed.
        subprocess.CalledProcessError: if pip or compileall failed.
    """
    config = json.loads((ROOT / ".chalice" / "config.json").read_text("utf-8"))
    if sys.version_info[:2] not in archive.GLIBC_MINOR:
        raise PackagingError(f"Lambda functions of this project do not run on {RUNTIME}")
    if not config["stages"].get(stage):  # dev, the stage of chalice local, is empty
        raise PackagingError(f"config.json has no deployable stage {stage}")
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        project, tree, packaged = (Path(scratch) / name for name in ("project", "tree", "packaged"))
        copy_sources(project)
        archive.install_requirements(ROOT / "requirements.txt", tree, config["lambda_architecture"])
        run_chalice(project, packaged, stage, region)
        out.mkdir(parents=True, exist_ok=True)
        archive.write_archive(packaged / "deployment.zip", tree, out / "deployment.zip")
        template = json.loads((packaged / "sam.json").read_text("utf-8"))
        # Without white space: CloudFormation accepts a megabyte.
        (out / "sam.json").write_text(json.dumps(template, separators=(",", ":")), "utf-8")
    size = (out / "deployment.zip").stat().st_size / 1e6
    sys.stdout.write(f"{out / 'sam.json'}\n{out / 'deployment.zip'} ({size:.1f} MB, {RUNTIME}, {region})\n")


def copy_sources(project: Path) -> None:
    """Copy the sources to a project folder of their own: Chalice packages and hashes every file in the folder."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(ROOT / "chalicelib", project / "chalicelib", ignore=ignored)
    shutil.copyfile(ROOT / "app.py", project / "app.py")
    (project / ".chalice").mkdir()
    for path in (ROOT / ".chalice").glob("*.json"):
        shutil.copyfile(path, project / ".chalice" / path.name)


def run_chalice(project: Path, out: Path, stage: str, region: str) -> None:
    """Run `chalice package` on the copied sources, without dependencies. It needs a region but no credentials."""
    overlay = project.with_name("overlay.json")
    overlay.write_text(json.dumps(make_overlay(stage, hash_sources(project))), "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "GROUP"}
    environment |= {
        **archive.DETERMINISTIC_ENVIRONMENT,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    command = [
        sys.executable,
        "-c",
        CHALICE_SCRIPT,
        "package",
        "--stage",
        stage,
        "--merge-template",
        str(overlay),
        str(out),
    ]
    completed = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    if completed.returncode:
        raise PackagingError(f"chalice package failed:\n{completed.stdout}{completed.stderr}")


def make_overlay(stage: str, sources: str) -> dict[str, object]:
    """Build the template that `chalice package` merges in.

    Args:
        sources: a digest of the packaged sources.

    Raises:
        PackagingError: if the groups do not declare exactly the routes that the app serves.
    """
    os.environ.pop("GROUP", None)  # import the whole app, whatever the environment of this shell
    import app
    from infra.overlay import Sitemap, build_overlay

    served = {(path, method) for path, methods in app.app.routes.items() for method in methods}
    routes = {
        (endpoint.path, endpoint.method): group for group in app.GROUPS for endpoint in app.load_routes(group).endpoints
    }
    if served != set(routes):
        raise PackagingError(f"routes that only the app or only a group has: {sorted(served ^ set(routes))}")
    jobs = {job.name: getattr(job, "event_pattern", {}) for job in app.app.event_sources}
    rates = {job.name: job.schedule_expression for job in app.app.event_sources if hasattr(job, "schedule_expression")}
    sockets = tuple(handler.name for handler in app.app.websocket_handlers.values())
    return build_overlay(
        stage, Sitemap(routes, app.GROUPS, app.API_HANDLER_GROUP, sockets, jobs, rates), RUNTIME, sources
    )


def hash_sources(project: Path) -> str:
    """Return a digest of the names and contents of all files in a folder."""
    total = hashlib.sha256()
    for path in sorted(path for path in project.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(project).as_posix()}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
