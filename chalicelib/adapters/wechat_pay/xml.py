"""The XML of WeChat Pay v2: one element, and in it fields with a text. Anything else that XML can be is refused."""

from typing import Any

MAX_NAME_CHARS, MAX_FIELDS = 64, 300


class MalformedXmlError(Exception):
    pass


def parse_fields(content: bytes, root: str = "xml") -> dict[str, str]:
    """Return the fields of an XML in UTF-8. Raises Malformed for DOCTYPE, doubles, attributes, depth."""
    from xml.parsers.expat import ExpatError, ParserCreate

    reader = _Reader(root)
    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.reject_doctype
    parser.StartElementHandler = reader.start_element
    parser.EndElementHandler = reader.end_element
    parser.CharacterDataHandler = reader.append_text
    try:
        parser.Parse(content.decode(), True)  # in UTF-8, whatever it says of itself
    except (ExpatError, ValueError) as error:
        raise MalformedXmlError("no XML") from error
    return reader.fields


class _Reader:
    def __init__(self, root: str) -> None:
        self.root = root
        self.open_elements: list[str] = []
        self.fields: dict[str, str] = {}

    def start_element(self, name: str, attributes: dict[str, str]) -> None:
        if attributes or len(self.open_elements) > 1 or (not self.open_elements and name != self.root):
            raise MalformedXmlError("not flat")
        if self.open_elements:
            if name in self.fields or len(name) > MAX_NAME_CHARS or len(self.fields) >= MAX_FIELDS:
                raise MalformedXmlError("a field twice, or too many")
            self.fields[name] = ""
        self.open_elements.append(name)

    def end_element(self, _: str) -> None:
        self.open_elements.pop()

    def append_text(self, text: str) -> None:
        if len(self.open_elements) == 2:
            self.fields[self.open_elements[1]] += text
        elif text.strip():
            raise MalformedXmlError("a text of no field")

    def reject_doctype(self, *_: Any) -> None:
        raise MalformedXmlError("a DOCTYPE")
