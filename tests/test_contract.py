"""Endpoints conform to the contract of the protocol documents: fields, types and callers.

Request models are tested by validation: a field has a type if it accepts values of that type and rejects others. The
summary of the run counts missing endpoints; -v lists them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from apidocs import endpoints
from chalicelib.http.routing import CORS, Endpoint
from chalicelib.identity.callers import Role
from tests.support import contract
from tests.support.contract import CONTRACT, Entry, Field

DECLARED = {(one.endpoint.method, one.endpoint.path): one.endpoint for one in endpoints.iter_endpoints()}
BUILT = [entry for entry in CONTRACT if (entry["method"], entry["path"]) in DECLARED]
MISSING = [entry for entry in CONTRACT if entry not in BUILT]

# A field of a type accepts at least one of these or of its own examples, depending on its limits.
VALID_VALUES: dict[str, list[Any]] = {
    "string": ["12", "文", "13800000001", "2026-01-05"],
    "integer": [1, 0, 10, 12],
    "boolean": [True],
    "date": ["2026-01-05", "1990-01-05", "2036-01-05"],
}
INVALID_VALUES: dict[str, list[Any]] = {
    "string": [{}, ["12"], True],
    "integer": ["文", {}, [1], True, 1.5],
    "boolean": ["文", {}, [True], 7],
    "date": ["文", {}, "2026-02-30", "05.01.2026"],
    "list": ["文", {}, 1],
}


def format_name(entry: Entry) -> str:
    return f"{entry['method']} {entry['path']}"


class Summary:
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        write_line = terminalreporter.write_line
        write_line(f"contract: {len(BUILT)} of {len(CONTRACT)} endpoints implemented, {len(MISSING)} missing")
        for entry in MISSING if config.get_verbosity() > 0 else []:
            write_line(f"  missing: {format_name(entry)} {entry['title']}")


@pytest.fixture(scope="module", autouse=True)
def register_summary(request: pytest.FixtureRequest) -> None:
    request.config.pluginmanager.register(Summary())


def test_every_endpoint_of_the_contract_is_implemented() -> None:
    assert len(CONTRACT) == 99
    assert [format_name(entry) for entry in MISSING] == []


built = pytest.mark.parametrize("entry", BUILT, ids=format_name)


@built
def test_endpoint_has_the_callers_of_the_contract(entry: Entry) -> None:
    # The documents know no limited sessions.
    assert DECLARED[entry["method"], entry["path"]].callers - {Role.LIMITED} == set(entry["callers"])


@built
def test_request_has_the_fields_of_the_contract(entry: Entry) -> None:
    endpoint = DECLARED[entry["method"], entry["path"]]
    assert [problem for field in entry["request"] for problem in find_request_problems(endpoint, field)] == []


@built
def test_response_has_the_fields_of_the_contract(entry: Entry) -> None:
    endpoint = DECLARED[entry["method"], entry["path"]]
    schema = endpoint.response_adapter.json_schema(mode="serialization")
    assert list(contract.find_schema_problems(entry, schema, endpoint.raw_content_type)) == []


def test_cors_allows_every_header_of_the_contract() -> None:
    wanted = {field["name"].lower() for entry in CONTRACT for field in entry["request"] if field["in"] == "header"}
    assert wanted - set(CORS.allow_headers.lower().split(",")) == set()


DETAIL = "/get_conversation_detail"
DETAILS = {
    "ConversationID": "c",
    "LastMsgID": "",
    "LastSendTime": 0,
    "IsDelete": None,
    "ConversationType": 0,
    "LastSendSession": "",
    "IsArchive": False,
}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"LastMsgID": None}, "data.LastMsgID: null instead of string"),
        ({"ConversationID": 12}, "data.ConversationID: integer instead of string"),
        ({"LastSendTime": "0"}, "data.LastSendTime: string instead of integer"),
        ({"LastSendTime": True}, "data.LastSendTime: boolean instead of integer"),
        ({"IsArchive": 0}, "data.IsArchive: integer instead of boolean"),
    ],
)
def test_response_that_violates_the_contract_is_reported(changed: dict[str, Any], problem: str) -> None:
    contract.check_response("POST", DETAIL, DETAILS)
    with pytest.raises(AssertionError, match=re.escape(problem)):
        contract.check_response("POST", DETAIL, {**DETAILS, **changed})


def test_missing_response_field_is_reported() -> None:
    with pytest.raises(AssertionError, match=re.escape("data.IsDelete: missing")):
        contract.check_response("POST", DETAIL, {key: DETAILS[key] for key in DETAILS if key != "IsDelete"})


def find_request_problems(endpoint: Endpoint, field: Field) -> Iterator[str]:
    """Yield what is wrong with one field of a request."""
    part = field["in"]
    if part == "header":  # credentials, which tests/identity covers
        return
    if part == "path":
        if field["name"] not in endpoint.parameters:
            yield f"path {field['name']}: not accepted"
    elif field["type"] == "binary":
        yield from [] if "upload" in endpoint.parameters else [f"{field['name']}: accepts no file"]
    elif part not in endpoint.parameters:
        yield f"{field['name']}: there is no {part}"
    else:
        yield from find_field_problems(ModelField(endpoint.parameters[part], field["name"], part == "query"), field)


@dataclass(frozen=True)
class ModelField:
    """A field of a request model under one of its names."""

    model: type[BaseModel]
    name: str
    in_query: bool = False

    @property
    def spellings(self) -> dict[str, str]:
        """Return the field by each of the names that the model accepts."""
        return {
            spelling: field
            for field, info in self.model.model_fields.items()
            for spelling in list_spellings(field, info)
        }

    @property
    def info(self) -> FieldInfo:
        return self.model.model_fields[self.spellings[self.name]]

    def accepts(self, value: Any) -> bool:
        """Return True if the field accepts the value. Errors of other fields, which are absent, are ignored."""
        if self.in_query and not isinstance(value, str):
            value = json.dumps(value)
        try:
            self.model.model_validate_json(json.dumps({self.name: value}))
        except ValidationError as error:
            own = {spelling for spelling, field in self.spellings.items() if field == self.spellings[self.name]}
            return not any(problem["loc"] and problem["loc"][0] in own for problem in error.errors())
        return True


def list_spellings(field: str, info: FieldInfo) -> set[str]:
    choices = getattr(info.validation_alias, "choices", [info.validation_alias or info.alias])
    return {field, *(choice for choice in choices if isinstance(choice, str))}


def find_field_problems(model_field: ModelField, field: Field) -> Iterator[str]:
    where, kind = field["name"], field["type"]
    if where not in model_field.spellings:
        yield f"{where}: not accepted under this name"
        return
    if model_field.info.is_required() != field["required"]:
        yield f"{where}: required is {model_field.info.is_required()} instead of {field['required']}"
    for wrong in INVALID_VALUES[kind]:
        if model_field.accepts(wrong) and not (model_field.in_query and kind == "string"):
            yield f"{where}: accepts {wrong!r}, which is no {kind}"
    if kind == "list":
        yield from find_item_problems(model_field, field)
        return
    if not any(model_field.accepts(right) for right in [*(model_field.info.examples or []), *VALID_VALUES[kind]]):
        yield f"{where}: accepts no {kind}"
    for option in field.get("options", []):
        if not model_field.accepts(option):
            yield f"{where}: rejects {option!r}"
    is_number = not model_field.accepts("文") and not model_field.accepts("a-b")
    if where.lower().endswith("id") and is_number and model_field.accepts("12") != model_field.accepts(12):
        yield f"{where}: an id must be accepted as a number and as a text"


def find_item_problems(model_field: ModelField, field: Field) -> Iterator[str]:
    models = list(iter_models(model_field.info.annotation))
    if field["items"] == "string":
        samples = [*(model_field.info.examples or []), *([text] for text in VALID_VALUES["string"])]
        yield from [] if any(map(model_field.accepts, samples)) else [f"{field['name']}: accepts no list of text"]
    elif not models:
        yield f"{field['name']}: accepts no list of objects"
    else:
        for item in field["items"]:
            yield from (
                f"{field['name']}[].{one}" for one in find_field_problems(ModelField(models[0], item["name"]), item)
            )


def iter_models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from iter_models(argument)
