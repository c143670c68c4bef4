"""Write JSON whose lists are generated while they are written, so that a large document is never in memory."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TextIO


def write(file: TextIO, value: Any) -> None:
    """Write a value. Iterators in it become lists, also inside of mappings and of other iterators."""
    if isinstance(value, Mapping):
        file.write("{")
        for number, (name, field) in enumerate(value.items()):
            file.write(f"{',' if number else ''}\n{json.dumps(name)}: ")
            write(file, field)
        file.write("}")
    elif isinstance(value, Iterator):
        file.write("[")
        for number, element in enumerate(value):
            file.write(",\n" if number else "\n")
            write(file, element)
        file.write("]")
    else:
        file.write(json.dumps(value, ensure_ascii=False))
