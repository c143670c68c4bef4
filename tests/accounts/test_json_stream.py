"""JSON that is written while its lists are generated."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from chalicelib.accounts import json_stream


def render(value: Any) -> str:
    file = StringIO()
    json_stream.write(file, value)
    return file.getvalue()


@pytest.mark.parametrize(
    "value", [{}, [], "", None, 12.5, True, {"a": {}}, {"名": '值\n\u2028"', "b": [1, {"c": []}]}, "😀"]
)
def test_values_are_written_as_json_does(value: Any) -> None:
    assert json.loads(render(value)) == value


def test_iterators_become_lists() -> None:
    nested = ({"number": number, "inner": iter(range(number))} for number in range(3))
    assert json.loads(render({"empty": iter(()), "nested": nested})) == {
        "empty": [],
        "nested": [{"number": number, "inner": [*range(number)]} for number in range(3)],
    }


def test_elements_are_written_before_the_next_is_generated() -> None:
    file = StringIO()

    def generate() -> Iterator[str]:
        yield "first"
        assert "first" in file.getvalue()
        yield "second"

    json_stream.write(file, generate())
    assert json.loads(file.getvalue()) == ["first", "second"]
