"""What is built keeps the contract of the protocol documents: fields, types, and who may call.

The models are asked, not read: a field of a request has a type if it takes values of that type and refuses others.
What is not built yet is counted in the summary; -v lists it.
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
from tests.support import contract
from tests.support.contract import CONTRACT, Entry, Field

DECLARED = {(one.endpoint.method, one.endpoint.path): one.endpoint for one in endpoints.iter_endpoints()}
BUILT = [entry for entry in CONTRACT if (entry["method"], entry["path"]) in DECLARED]
MISSING = [entry for entry in CONTRACT if entry not in BUILT]

# A field of a type takes one of these, or one of its own examples: which, its limits say.
TAKES: dict[str, list[Any]] = {
    "string": ["12", "文", "13800000001", "2026-01-05"],
    "integer": [1, 0, 10, 12],
    "boolean": [True],
    "date": ["2026-01-05", "1990-01-05", "2036-01-05"],
}
REFUSES: dict[str, list[Any]] = {
    "string": [{}, ["12"], True],
    "integer": ["文", {}, [1], True, 1.5],
    "boolean": ["文", {}, [True], 7],
    "date": ["文", {}, "2026-02-30", "05.01.2026"],
    "list": ["文", {}, 1],
}


def name(entry: Entry) -> str:
    return f"{entry['method']} {entry['path']}"


class Summary:
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        tell = terminalreporter.write_line
        tell(f"contract: {len(BUILT)} of {len(CONTRACT)} endpoints built, {len(MISSING)} to come")
        for entry in MISSING if config.get_verbosity() > 0 else []:
            tell(f"  to come: {name(entry)} {entry['title']}")


@pytest.fixture(scope="module", autouse=True)
def told_at_the_end(request: pytest.FixtureRequest) -> None:
    request.config.pluginmanager.register(Summary())


def test_no_endpoint_of_the_contract_was_dropped() -> None:
    assert len(CONTRACT) == 99
    assert [name(entry) for entry in MISSING] == []


built = pytest.mark.parametrize("entry", BUILT, ids=name)


@built
def test_the_right_callers_and_no_others_may_call(entry: Entry) -> None:
    assert DECLARED[entry["method"], entry["path"]].callers == set(entry["callers"])


@built
def test_a_request_has_the_fields_of_the_contract(entry: Entry) -> None:
    endpoint = DECLARED[entry["method"], entry["path"]]
    assert [problem for field in entry["request"] for problem in request_problems(endpoint, field)] == []


@built
def test_an_answer_has_the_fields_of_the_contract(entry: Entry) -> None:
    endpoint = DECLARED[entry["method"], entry["path"]]
    schema = endpoint.response_adapter.json_schema(mode="serialization")
    assert list(contract.find_schema_problems(entry, schema, endpoint.raw_content_type)) == []


def test_a_browser_may_send_every_header_of_the_contract() -> None:
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
def test_an_answer_that_breaks_the_contract_is_noticed(changed: dict[str, Any], problem: str) -> None:
    contract.check_response("POST", DETAIL, DETAILS)
    with pytest.raises(AssertionError, match=re.escape(problem)):
        contract.check_response("POST", DETAIL, {**DETAILS, **changed})


def test_a_field_that_an_answer_lacks_is_noticed() -> None:
    with pytest.raises(AssertionError, match=re.escape("data.IsDelete: missing")):
        contract.check_response("POST", DETAIL, {key: DETAILS[key] for key in DETAILS if key != "IsDelete"})


def request_problems(endpoint: Endpoint, field: Field) -> Iterator[str]:
    """Yield what is wrong with one field of a request."""
    part = field["in"]
    if part == "header":  # who is asking: chalicelib.identity's own tests
        return
    if part == "path":
        if field["name"] not in endpoint.parameters:
            yield f"path {field['name']}: not taken"
    elif field["type"] == "binary":
        yield from [] if "upload" in endpoint.parameters else [f"{field['name']}: no file is taken"]
    elif part not in endpoint.parameters:
        yield f"{field['name']}: there is no {part}"
    else:
        yield from field_problems(Question(endpoint.parameters[part], field["name"], part == "query"), field)


@dataclass(frozen=True)
class Question:
    """One field of a request model, under one spelling."""

    model: type[BaseModel]
    name: str
    in_query: bool = False

    @property
    def spellings(self) -> dict[str, str]:
        """Every spelling that the model takes, and the field that each fills."""
        return {spelling: field for field, info in self.model.model_fields.items() for spelling in spelled(field, info)}

    @property
    def info(self) -> FieldInfo:
        return self.model.model_fields[self.spellings[self.name]]

    def accepts(self, value: Any) -> bool:
        """Other fields of the model are left out: what is said about them does not count."""
        if self.in_query and not isinstance(value, str):
            value = json.dumps(value)
        try:
            self.model.model_validate_json(json.dumps({self.name: value}))
        except ValidationError as error:
            own = {spelling for spelling, field in self.spellings.items() if field == self.spellings[self.name]}
            return not any(problem["loc"] and problem["loc"][0] in own for problem in error.errors())
        return True


def spelled(field: str, info: FieldInfo) -> set[str]:
    choices = getattr(info.validation_alias, "choices", [info.validation_alias or info.alias])
    return {field, *(choice for choice in choices if isinstance(choice, str))}


def field_problems(question: Question, field: Field) -> Iterator[str]:
    where, kind = field["name"], field["type"]
    if where not in question.spellings:
        yield f"{where}: not taken under this name"
        return
    if question.info.is_required() != field["required"]:
        yield f"{where}: required is {question.info.is_required()} instead of {field['required']}"
    for wrong in REFUSES[kind]:
        if question.accepts(wrong) and not (question.in_query and kind == "string"):
            yield f"{where}: takes {wrong!r}, which is no {kind}"
    if kind == "list":
        yield from items_problems(question, field)
        return
    if not any(question.accepts(right) for right in [*(question.info.examples or []), *TAKES[kind]]):
        yield f"{where}: takes no {kind}"
    for option in field.get("options", []):
        if not question.accepts(option):
            yield f"{where}: refuses {option!r}"
    is_number = not question.accepts("文") and not question.accepts("a-b")
    if where.lower().endswith("id") and is_number and question.accepts("12") != question.accepts(12):
        yield f"{where}: an id is taken as a number and as its text alike"


def items_problems(question: Question, field: Field) -> Iterator[str]:
    models = list(models_in(question.info.annotation))
    if field["items"] == "string":
        samples = [*(question.info.examples or []), *([text] for text in TAKES["string"])]
        yield from [] if any(map(question.accepts, samples)) else [f"{field['name']}: takes no list of text"]
    elif not models:
        yield f"{field['name']}: takes no list of objects"
    else:
        for item in field["items"]:
            yield from (f"{field['name']}[].{one}" for one in field_problems(Question(models[0], item["name"]), item))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)
