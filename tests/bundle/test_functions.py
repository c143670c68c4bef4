"""Each Lambda function, imported in a new process with the packaged code and its environment variables."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from app import API_HANDLER_GROUP, GROUPS, app
from infra.functions import LONG_POLLS, MIGRATE, get_group_resource, get_resource_name
from tests.bundle.conftest import Package
from tests.support.cloudformation import find_functions, find_operations, find_resources, find_target_function, resolve

PROBE = """
import json, sys
import app
module, _, name = sys.argv[1].rpartition(".")
assert callable(getattr(sys.modules[module], name))
routes = [[path, method] for path, methods in app.app.routes.items() for method in methods]
pydantic = sys.modules.get("pydantic")
models = pydantic.BaseModel.__subclasses__() if pydantic else []
for model in models:
    models += model.__subclasses__()
own = [model for model in models if model.__module__.startswith("chalicelib.") and model.__annotations__]
generic = [model for model in own if model.__pydantic_generic_metadata__["parameters"]]  # complete before they are used
built = [model.__name__ for model in own if model.__pydantic_complete__ and model not in generic]
print(json.dumps([routes, built, {name: getattr(one, "__file__", None) or "" for name, one in sys.modules.items()}]))
"""
OWNERS = {get_group_resource(group, API_HANDLER_GROUP): group for group in GROUPS}
SOCKETS = [get_resource_name(handler.name) for handler in app.websocket_handlers.values()]
JOBS = [get_resource_name(job.name) for job in app.event_sources]


@dataclass(frozen=True)
class ImportedFunction:
    """What a function serves and has imported once it can handle requests."""

    routes: set[tuple[str, str]]
    built: list[str]  # names of complete models
    modules: dict[str, str]  # file by name


@pytest.fixture(scope="session")
def import_function(package: Package) -> Callable[[str], ImportedFunction]:
    """Return a function that imports a Lambda by resource name."""

    @cache
    def one(name: str) -> ImportedFunction:
        properties = resolve(find_functions(package.template)[name], package.template)
        variables = properties["Environment"]["Variables"]
        assert all(isinstance(value, str) for value in variables.values())
        path = str(package.libraries)  # -S hides all other installed packages
        lambdas = {"AWS_LAMBDA_FUNCTION_NAME": name, "AWS_REGION": "cn-northwest-1", "PYTHONPATH": path}
        command = [sys.executable, "-S", "-c", PROBE, properties["Handler"]]
        done = subprocess.run(command, cwd=package.code, env={**variables, **lambdas}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        routes, built, modules = json.loads(done.stdout)
        return ImportedFunction({(path, method) for path, method in routes}, built, modules)

    return one


def test_groups_sockets_jobs_and_migration_have_functions(package: Package) -> None:
    assert set(find_functions(package.template)) == {*OWNERS, *SOCKETS, *JOBS, MIGRATE}


@pytest.mark.parametrize("name", OWNERS)
def test_function_serves_exactly_its_routes(
    package: Package, import_function: Callable[[str], ImportedFunction], name: str
) -> None:
    assert import_function(name).routes == {
        route for route, one in find_operations(package.template).items() if find_target_function(one) == name
    }


def test_every_route_invokes_a_function(package: Package) -> None:
    """Integrations must be complete: a merge could leave an operation with only a URI."""
    sent = {route: one for route, one in find_operations(package.template).items() if route[1] != "OPTIONS"}
    assert set(sent) == {(path, method) for path, methods in app.routes.items() for method in methods}
    whole = {"type": "aws_proxy", "httpMethod": "POST"}
    integrations = {route: one["x-amazon-apigateway-integration"] for route, one in sent.items()}
    assert [route for route, one in integrations.items() if not whole.items() <= one.items()] == []
    assert {find_target_function(one) for one in sent.values()} <= set(OWNERS)


def test_only_the_api_may_invoke_functions(package: Package) -> None:
    allowed = [one["Properties"] for one in find_resources(package.template, "AWS::Lambda::Permission").values()]
    assert sorted(one["FunctionName"]["Ref"] for one in allowed) == sorted([*OWNERS, *SOCKETS])
    assert {one["Principal"] for one in allowed} == {"apigateway.amazonaws.com"}
    arns = {one["FunctionName"]["Ref"]: resolve(one["SourceArn"], package.template) for one in allowed}
    assert {arns[name] for name in OWNERS} == {"arn:aws-cn:execute-api:cn-northwest-1:1:restapi/*"}
    assert {arns[name] for name in SOCKETS} == {"arn:aws-cn:execute-api:cn-northwest-1:1:websocketapi/*"}


@pytest.mark.parametrize("name", [*SOCKETS, *JOBS, MIGRATE])
def test_functions_without_http_serve_no_routes(import_function: Callable[[str], ImportedFunction], name: str) -> None:
    assert import_function(name).routes == set()


def test_event_pattern_is_limited_to_our_bucket(package: Package) -> None:
    listening = [event for one in find_functions(package.template).values() for event in one.get("Events", {}).values()]
    patterns = [event["Properties"]["Pattern"] for event in listening if event["Type"] == "CloudWatchEvent"]
    uploads = [resolve(one["detail"], package.template) for one in patterns if one["source"] == ["aws.s3"]]
    assert [one["bucket"] for one in uploads] == [{"name": ["exported-bucket"]}]


@pytest.mark.parametrize("name", [*OWNERS, *SOCKETS, *JOBS, MIGRATE])
def test_function_imports_no_other_group(import_function: Callable[[str], ImportedFunction], name: str) -> None:
    others = tuple(f"chalicelib.{group}." for group in GROUPS if group != OWNERS.get(name))
    assert [module for module in import_function(name).modules if module.startswith(others)] == []


@pytest.mark.parametrize("name", [*OWNERS, *SOCKETS, *JOBS, MIGRATE])
def test_function_imports_only_the_package(
    package: Package, import_function: Callable[[str], ImportedFunction], name: str
) -> None:
    """boto3, which Lambda provides, would slow down cold starts."""
    modules = import_function(name).modules
    assert Path(modules["chalicelib"]).is_relative_to(package.code)
    assert Path(modules["chalice.app"]).is_relative_to(package.code)
    assert Path(modules["pymysql"]).is_relative_to(package.libraries)
    assert [one for one in modules if one.startswith(("boto", "chalice.cli", "chalice.local", "devstack"))] == []


@pytest.mark.parametrize("name", OWNERS)
def test_cold_start_builds_no_model(import_function: Callable[[str], ImportedFunction], name: str) -> None:
    assert import_function(name).built == []


def test_long_polls_have_the_timeout_of_api_gateway(package: Package) -> None:
    waiting = find_functions(package.template)[get_resource_name(LONG_POLLS)]
    assert (waiting["Timeout"], waiting["ReservedConcurrentExecutions"]) == (29, 200)


def test_long_polls_take_no_capacity_of_other_requests(package: Package) -> None:
    served = [route for route, one in find_operations(package.template).items() if route[1] != "OPTIONS"]
    waiting = [
        route
        for route in served
        if find_target_function(find_operations(package.template)[route]) == get_resource_name(LONG_POLLS)
    ]
    assert waiting == [("/notify", "GET")]


def test_functions_are_in_the_private_network_and_depend_on_the_migration(package: Package) -> None:
    for name, properties in find_functions(package.template).items():
        assert len(properties["VpcConfig"]["SubnetIds"]) == 2
        assert (package.template["Resources"][name].get("DependsOn") == "Migrated") is (name != MIGRATE)


def test_websockets_are_written_to_at_their_own_api(package: Package) -> None:
    stage = package.template["Resources"]["WebsocketAPIStage"]["Properties"]
    for name in [*OWNERS, *SOCKETS, *JOBS]:
        variables = resolve(find_functions(package.template)[name]["Environment"]["Variables"], package.template)
        host = "websocketapi.execute-api.cn-northwest-1.amazonaws.com.cn"
        assert variables["WS_ENDPOINT_URL"] == f"https://{host}/{stage['StageName']}"
