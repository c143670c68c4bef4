"""docs/openapi.json corresponds to the routes and models, and is valid OpenAPI."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from apidocs import __main__ as command
from apidocs import endpoints, error_list, openapi
from apidocs.endpoints import DocumentedEndpoint
from apidocs.responses import Json
from app import app
from chalicelib import errors
from chalicelib.http.routing import RawContent
from chalicelib.identity.callers import Role

DOCUMENT = openapi.build_document()
EVERY = list(endpoints.iter_endpoints())
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def get_operation(one: DocumentedEndpoint) -> Json:
    described: Json = DOCUMENT["paths"][one.endpoint.path][one.endpoint.method.lower()]
    return described


def find_problems(schema: Json, value: Any) -> list[str]:
    whole = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    return [f"{error.instance_path}: {error.message}" for error in whole.iter_errors(value)]


each_endpoint = pytest.mark.parametrize("one", EVERY, ids=lambda one: one.id)


def test_document_is_valid_openapi_3_1() -> None:
    validate(json.loads(openapi.render()), cls=OpenAPIV31SpecValidator)


def test_documented_routes_are_the_served_routes() -> None:
    served = {(method.lower(), path) for path, methods in app.routes.items() for method in methods}
    documented = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert documented == served


def test_generated_files_are_current() -> None:
    assert command.main(["--check"]) == 0


@pytest.mark.parametrize("name", ["openapi.json", "errors.md"])
def test_stale_file_is_reported(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.write_files(tmp_path) == 0
    (tmp_path / name).write_text("yesterday's")
    assert command.check_files(tmp_path) == 1
    assert capsys.readouterr().err == f"docs/{name} is stale: run `python -m apidocs`\n"


def test_missing_file_is_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.check_files(tmp_path) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_generation_is_deterministic(tmp_path: Path) -> None:
    """The iteration order of sets differs in another process."""
    code = "import sys, pathlib, apidocs.__main__ as main; main.write_files(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=command.DOCS.parent)
    assert (tmp_path / "openapi.json").read_text("utf-8") == openapi.render()
    assert (tmp_path / "errors.md").read_text("utf-8") == error_list.render()


def test_chinese_is_not_escaped() -> None:
    assert not re.search(r"(?<!\\)\\u", openapi.render())
    assert "登录" in openapi.render()


@each_endpoint
def test_endpoint_has_summary_tag_and_callers(one: DocumentedEndpoint) -> None:
    described = get_operation(one)
    assert CHINESE.search(described["summary"])
    assert described["tags"] == [one.group]
    assert "可调用：" in described["description"]


@each_endpoint
def test_endpoint_has_security_schemes(one: DocumentedEndpoint) -> None:
    schemes = {name for requirement in get_operation(one)["security"] for name in requirement}
    if Role.PUBLIC in one.endpoint.callers:
        assert schemes == set()
        assert openapi.TENANT_HEADER in get_operation(one)["parameters"]
        assert openapi.TENANT_PARAMETER in get_operation(one)["parameters"]
    else:
        assert ("internalKey" in schemes) == (Role.SERVICE in one.endpoint.callers)
        assert ({"token", "bearer"} <= schemes) == bool(one.endpoint.callers - {Role.SERVICE})


@each_endpoint
def test_endpoint_documents_each_error_with_code_and_example(one: DocumentedEndpoint) -> None:
    responses = get_operation(one)["responses"]
    for kind in one.list_errors():
        reference = responses[str(kind.status)]["$ref"].rpartition("/")[2]
        error_response = DOCUMENT["components"]["responses"][reference]
        content = error_response["content"]["application/json"]
        assert f"{kind.code} {kind.text}" in error_response["description"]
        [(code, allowed)] = content["schema"]["properties"].items()
        assert kind.code in allowed["enum"]
        assert kind.code in {example["value"][code] for example in content["examples"].values()}
        assert "X-Request-Id" in error_response["headers"]
        assert ("Retry-After" in error_response["headers"]) == (kind.status in (429, 503))
    assert set(responses) == {"200"} | {str(kind.status) for kind in one.list_errors()}


@each_endpoint
def test_examples_of_an_endpoint_are_valid(one: DocumentedEndpoint) -> None:
    described = get_operation(one)
    response_schema = described["responses"]["200"]["content"].get("application/json")
    assert (response_schema is None) == (one.endpoint.return_type is RawContent)
    assert response_schema is None or find_problems(response_schema["schema"], response_schema["example"]) == []
    for parameter in described["parameters"]:
        for example in parameter["schema"].get("examples", []):
            assert find_problems(parameter["schema"], example) == []
    if "body" in one.endpoint.parameters:
        assert set(described["requestBody"]["content"]) == {"application/json", "application/x-www-form-urlencoded"}
        body = described["requestBody"]["content"]["application/json"]
        assert find_problems(body["schema"], body["example"]) == []
        one.endpoint.parameters["body"].model_validate_json(json.dumps(body["example"]))


def test_examples_of_errors_are_valid() -> None:
    for error_response in DOCUMENT["components"]["responses"].values():
        content = error_response["content"]["application/json"]
        for example in content["examples"].values():
            assert find_problems(content["schema"], example["value"]) == []


@each_endpoint
def test_required_request_fields_have_examples(one: DocumentedEndpoint) -> None:
    wanted = [p["schema"] for p in get_operation(one)["parameters"] if p["required"] and p["in"] != "path"]
    for name in one.endpoint.parameters:
        if name == "body":
            schema = get_operation(one)["requestBody"]["content"]["application/json"]["schema"]
            model = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            wanted += [model["properties"][field] for field in model.get("required", [])]
    assert [schema for schema in wanted if not schema.get("examples") and "$ref" not in schema] == []


def test_limits_are_json_schema_keywords() -> None:
    assert re.findall(r'"(?:ge|le|gt|lt|multiple_of|min_length|max_length)":.*', openapi.render()) == []
    assert '"minimum": 1' in openapi.render()


def test_error_list_contains_every_code() -> None:
    written = (Path(command.DOCS) / "errors.md").read_text("utf-8")
    for kind in errors.KINDS:
        assert len(re.findall(rf"^\| {kind.code} \| {kind.status} \| \w+ \| {kind.text} \| .+ \|$", written, re.M)) == 1


def test_error_codes_are_unique() -> None:
    assert len({kind.code for kind in errors.KINDS}) == len(errors.KINDS)
