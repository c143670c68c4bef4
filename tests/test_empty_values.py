"""Optional fields that are null, "", 0 or "0" count as absent in every request, unless that is a valid value."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
from pydantic import AliasChoices, BaseModel, Field, ValidationError

from apidocs import endpoints, examples, openapi
from apidocs.endpoints import DocumentedEndpoint
from apidocs.schemas import Schemas
from chalicelib.http import validation
from chalicelib.http.fields import Id, OptionalId, WireModel
from chalicelib.http.validation import find_fields, parse_fields, parse_json
from tests.support.contract import CONTRACT

EMPTY_VALUES = (None, "", 0, "0")
EVERY = list(endpoints.iter_endpoints())
SCHEMAS = Schemas(openapi._iter_types(EVERY))


class OptionalField(NamedTuple):
    """An optional field of an endpoint's body or query under one of its names, at the end of a path of names."""

    endpoint: DocumentedEndpoint
    part: str
    path: tuple[str | int, ...]

    def __str__(self) -> str:
        return f"{self.endpoint.endpoint.path} {'.'.join(map(str, self.path))}"

    @property
    def model(self) -> type[WireModel]:
        model: type[WireModel] = self.endpoint.endpoint.parameters[self.part]
        return model

    def build_request(self) -> dict[str, Any]:
        """Return an example of the request with its required fields, and what leads to this field."""
        schema = SCHEMAS.resolve(SCHEMAS.get(f"{self.endpoint.id}.{self.part}"))
        request: dict[str, Any] = {
            name: examples.build(SCHEMAS, schema["properties"][name]) for name in schema.get("required", [])
        }
        holder: Any = request
        model: type[BaseModel] = self.model
        for name, element in zip(self.path, self.path[1:], strict=False):
            if element == 0:
                inner = find_fields(model)[str(name)].model
                assert inner
                model = inner
                holder[name] = [{one: "1" for one, field in find_fields(model).items() if field.required}]
                holder = holder[name][0]
        return request


def iter_optional_fields(model: type[BaseModel], path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for name, field in find_fields(model).items():
        if not field.required:
            yield (*path, name)
        if field.model and field.is_list:
            yield from iter_optional_fields(field.model, (*path, name, 0))


FIELDS = [
    OptionalField(one, part, path)
    for one in EVERY
    for part in ("body", "query")
    if part in one.endpoint.parameters
    for path in iter_optional_fields(one.endpoint.parameters[part])
]


def test_fields_of_the_contract_are_covered() -> None:
    covered = {(one.endpoint.endpoint.path, one.path[-1]) for one in FIELDS}
    optional = {
        (entry["path"], field["name"])
        for entry in CONTRACT
        for field in entry["request"]
        if field["in"] in ("body", "query") and not field["required"]
    }
    assert optional
    assert optional - covered == set()
    assert any(len(one.path) == 3 for one in FIELDS), "nested fields"


@pytest.mark.parametrize("field", FIELDS, ids=str)
@pytest.mark.parametrize("empty", EMPTY_VALUES)
def test_empty_value_of_an_optional_field_is_absent(field: OptionalField, empty: Any) -> None:
    if field.part == "query" and not isinstance(empty, str):
        empty = str(empty or "")
    request = field.build_request()
    absent = parse_json(field.model, json.dumps(request))
    holder: Any = request
    for name in field.path[:-1]:
        holder = holder[name]
    holder[field.path[-1]] = empty
    parsed = [parse_json(field.model, json.dumps(request)), parse_fields(field.model, request)]
    assert parsed[0] == parsed[1]
    name = field.path[-1]
    for one in parsed:
        for step in field.path[:-1]:
            one = one[step] if isinstance(one, list) else get_value(one, str(step))
        value = get_value(one, str(name))
        read = int(value) if isinstance(value, bool) else value  # 0 is a valid value of booleans
        assert str(read) == str(empty) or value is None or one == absent or value == get_default(one, str(name))


def get_value(model: BaseModel, spelling: str) -> Any:
    return getattr(model, find_fields(type(model))[spelling].name)


def get_default(model: BaseModel, spelling: str) -> Any:
    return type(model).model_fields[find_fields(type(model))[spelling].name].default


class Part(WireModel):
    number: Id
    size: Id | None = None


class Form(WireModel):
    name: str = Field("无", min_length=1)
    price: float = 3.5
    note: str = "无"
    parts: list[Part] = Field([])
    first: Part | None = None
    book_id: Id | None = Field(None, validation_alias=AliasChoices("bookId", "book_id"))
    dept_id: OptionalId = Field(1, validation_alias=AliasChoices("deptId", "dept_id"))
    needed: Id = Field(9, validation_alias=AliasChoices("neededId", "needed"))


def parse(**fields: Any) -> Form:
    from_fields, from_json = parse_fields(Form, fields), parse_json(Form, json.dumps(fields))
    assert from_fields == from_json
    assert from_fields.model_fields_set == from_json.model_fields_set
    return from_json


@pytest.mark.parametrize("empty", EMPTY_VALUES)
def test_invalid_empty_value_leaves_the_default(empty: Any) -> None:
    parsed = parse(name=empty if empty != "0" else None, parts=empty, first=empty or None)
    assert (parsed.name, parsed.parts, parsed.first) == ("无", [], None)
    assert parse(parts=[{"number": 1, "size": empty}]).parts == [Part(number=1)]
    assert parse(first={"number": 1, "size": empty}).first == Part(number=1)


def test_valid_empty_value_is_used() -> None:
    parsed = parse(price=0, note="", name="")
    assert (parsed.price, parsed.note, parsed.name) == (0, "", "无")
    assert parsed.model_fields_set == {"price", "note"}, "whether other fields are invalid does not matter"
    assert parse(deptId=0).model_fields_set == {"dept_id"}, "an empty id is None, not absent"
    assert parse(deptId=0).dept_id is None


@pytest.mark.parametrize("empty", EMPTY_VALUES)
def test_empty_spelling_does_not_hide_another_one(empty: Any) -> None:
    assert parse(bookId=empty, book_id=5).book_id == 5
    assert parse(bookId=5, book_id=empty).book_id == 5
    assert parse(deptId=empty, dept_id="5").dept_id == 5
    assert parse(neededId=empty, needed=7).needed == 7
    assert parse(bookId=empty, book_id=empty).book_id is None


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"parts": [{"number": 0}]}, ("parts", 0, "number")),
        ({"parts": [{"number": 1}, {"size": 0}]}, ("parts", 1, "number")),
        ({"parts": [None]}, ("parts", 0)),
        ({"name": False}, ("name",)),
        ({"name": 1}, ("name",)),
        ({"name": 0.0}, ("name",)),
        ({"parts": {}}, ("parts",)),
        ({"bookId": -1, "name": ""}, ("bookId",)),
    ],
)
def test_other_invalid_values_are_rejected(fields: dict[str, Any], location: tuple[str | int, ...]) -> None:
    text = json.dumps(fields)
    for parse_request in (partial(parse_fields, Form, fields), partial(parse_json, Form, text)):
        with pytest.raises(ValidationError) as raised:
            parse_request()
        assert [problem["loc"] for problem in raised.value.errors()] == [location]


def test_valid_json_is_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "parse_fields", None)
    assert parse_json(Part, '{"number": 1}') == Part(number=1)
