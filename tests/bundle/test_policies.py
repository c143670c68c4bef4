"""Functions have exactly the permissions that they need."""

import ast
import fnmatch
import json
from pathlib import Path
from typing import Any

import pytest

from app import API_HANDLER_GROUP, GROUPS, app
from infra.functions import EXTERNAL_OUTBOX, OUTBOX, get_group_resource, get_resource_name
from tests.bundle.conftest import ROOT, Package
from tests.support.cloudformation import find_functions, find_resources, iter_strings, resolve

POLICIES = sorted((ROOT / ".chalice").glob("policy*.json"))
SERVING = {get_group_resource(group, API_HANDLER_GROUP): f"chalicelib.{group}.routes" for group in GROUPS}
SERVING |= {
    get_resource_name(handler.name): "chalicelib.gateway.websocket_handlers"
    for handler in app.websocket_handlers.values()
}
WORKING = {get_resource_name(job): job for job in ("migrate", *(one.name for one in app.event_sources))}
# Actions whose resource must be "*": EC2 has no other for network interfaces that do not exist yet.
ANYWHERE = "ec2:"
SERVICES = {"s3": "s3", "kms": "kms", "lambda": "lambdas", "execute-api": "ws_push"}


def list_statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**one, "Action": [one["Action"]] if isinstance(one["Action"], str) else one["Action"]}
        for one in policy["Statement"]
    ]


def list_allowed(package: Package, name: str) -> list[dict[str, Any]]:
    """Return the statements of a function's role that allow something."""
    role = package.template["Resources"][find_functions(package.template)[name]["Role"]["Fn::GetAtt"][0]]
    documents = [one["PolicyDocument"] for one in role["Properties"]["Policies"]]
    return [one for document in documents for one in list_statements(document) if one["Effect"] == "Allow"]


def can_import(module: str, target: str, visited: set[str]) -> bool:
    """Return True if importing the module, or calling its functions, can import the target."""
    if module in visited:
        return False
    visited.add(module)
    return module == target or any(can_import(imported, target, visited) for imported in list_module_imports(module))


def list_module_imports(module: str) -> set[str]:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return list_imports(ast.parse(path.read_text("utf-8"))) if path.exists() else set()


def list_imports(code: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {one for one in found if one.startswith("chalicelib")}


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_policy_names_actions_and_resources(path: Path) -> None:
    every = list_statements(json.loads(path.read_text("utf-8")))
    assert [action for one in every for action in one["Action"] if "*" in action] == []
    assert not [key for one in every for key in one if key.startswith("Not")]
    anything = [action for one in every if one["Resource"] == "*" for action in one["Action"]]
    assert [action for action in anything if not action.startswith(ANYWHERE)] == []
    named = [text for one in every if one["Resource"] != "*" for text in iter_strings(one["Resource"])]
    assert [text for text in named if text.startswith("arn:") and not text.startswith("arn:${AWS::Partition}:")] == []


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_own_code_may_not_use_the_network_permissions_of_lambda(path: Path) -> None:
    every = list_statements(json.loads(path.read_text("utf-8")))
    (network,) = [one["Action"] for one in every if one["Resource"] == "*" and one["Effect"] == "Allow"]
    (denied,) = [one for one in every if one["Effect"] == "Deny"]
    assert denied["Action"] == network
    assert list(denied["Condition"]["ArnLike"]) == ["lambda:SourceFunctionArn"]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_every_policy_contains_the_common_statements(path: Path) -> None:
    common = json.loads((ROOT / ".chalice" / "policy.json").read_text("utf-8"))["Statement"]
    assert [one for one in common if one not in json.loads(path.read_text("utf-8"))["Statement"]] == []


LOADERS = {
    OUTBOX: ("load_internal_handler", "load_account_handler"),
    EXTERNAL_OUTBOX: ("load_external_handler",),
}


def list_job_modules(job: str) -> set[str]:
    """Return what a job's function in app.py imports, including the handlers of its queue."""
    for node in ast.walk(ast.parse((ROOT / "app.py").read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == job:
            return list_imports(node).union(*map(list_job_modules, LOADERS.get(job, ())))
    raise AssertionError(f"app.py has no {job}")


@pytest.mark.parametrize("name", [*SERVING, *WORKING])
def test_services_are_allowed_exactly_if_the_code_uses_them(package: Package, name: str) -> None:
    starts = {SERVING[name]} if name in SERVING else list_job_modules(WORKING[name])
    assert starts
    actions = {action for one in list_allowed(package, name) for action in one["Action"]}
    for service, adapter in SERVICES.items():
        uses = any(can_import(one, f"chalicelib.adapters.aws.{adapter}", set()) for one in starts)
        assert any(action.startswith(f"{service}:") for action in actions) is uses, service
    assert {action.partition(":")[0] for action in actions} - set(SERVICES) == {"logs", "ec2"}


def test_functions_may_invoke_the_workers_that_they_wake(package: Package) -> None:
    for name, properties in find_functions(package.template).items():
        variables = properties["Environment"]["Variables"]
        workers = [variables[one] for one in ("OUTBOX_FUNCTION", "EXTERNAL_OUTBOX_FUNCTION") if one in variables]
        may = [
            resolve(one["Resource"], package.template)
            for one in list_allowed(package, name)
            if "lambda:InvokeFunction" in one["Action"]
        ]
        for function in workers if may else []:
            full = f"arn:aws-cn:lambda:cn-northwest-1:1:function:stack-{function['Ref']}-8XK2"
            assert any(fnmatch.fnmatch(full, one) for one in may), (name, full, may)


def test_functions_know_the_workers_that_they_wake(package: Package) -> None:
    """Without the name of a worker, its jobs would wait for the scheduled run."""
    workers = {"OUTBOX_FUNCTION": "RunOutbox", "EXTERNAL_OUTBOX_FUNCTION": "RunOutboxExternal"}
    for name, properties in find_functions(package.template).items():
        variables = properties["Environment"]["Variables"]
        wakes = name not in ("RunOutboxExternal", "Migrate")
        expected = {variable: {"Ref": one} for variable, one in workers.items() if wakes and one != name}
        assert {variable: variables[variable] for variable in workers if variable in variables} == expected, name


def test_object_keys_match_the_policies() -> None:
    names = ("upload_forms.py", "confirmation.py", "withdrawals.py")
    sources = {name: (ROOT / "chalicelib" / "files" / name).read_text("utf-8") for name in names}
    assert 'upload_key = f"uploads/{caller.tenant_id}/' in sources["upload_forms.py"]
    assert 'object_key = f"{upload.tenant_id}/files/' in sources["confirmation.py"]
    assert 'return f"{tenant_id}/withdrawn/' in sources["withdrawals.py"]
    exports = (ROOT / "chalicelib" / "accounts" / "exports.py").read_text("utf-8")
    assert 'object_key = f"{tenant_id}/exports/' in exports


def test_the_staffs_function_may_sign_links_to_withdrawn_files(package: Package) -> None:
    name = next(name for name, module in SERVING.items() if module == "chalicelib.staff.routes")
    readable = [one["Resource"] for one in list_allowed(package, name) if "s3:GetObject" in one["Action"]]
    withdrawn = "arn:aws-cn:s3:::exported-bucket/1/withdrawn/a.jpg"
    assert any(fnmatch.fnmatch(withdrawn, resolve(one, package.template)) for one in readable)


def test_no_two_functions_share_a_role(package: Package) -> None:
    roles = [one["Role"]["Fn::GetAtt"][0] for one in find_functions(package.template).values()]
    assert len(set(roles)) == len(roles)
    assert set(find_resources(package.template, "AWS::IAM::Role")) == {*roles, "MigratorRole"}
