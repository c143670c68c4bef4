"""The XML of WeChat Pay v2: one element, and in it fields with a text. Anything else that XML can be is refused."""

from typing import Any

NAME_LIMIT, FIELDS = 64, 300


class Malformed(Exception):
    pass


def fields_of(content: bytes, root: str = "xml") -> dict[str, str]:
    """Return the fields of an XML in UTF-8. Raises Malformed for DOCTYPE, doubles, attributes, depth."""
    from xml.parsers.expat import ExpatError, ParserCreate

    reader = _Reader(root)
    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(content.decode(), True)  # in UTF-8, whatever it says of itself
    except (ExpatError, ValueError) as error:
        raise Malformed("no XML") from error
    return reader.fields


class _Reader:
    def __init__(self, root: str) -> None:
        self.root = root
        self.open: list[str] = []
        self.fields: dict[str, str] = {}

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if attributes or len(self.open) > 1 or (not self.open and name != self.root):
            raise Malformed("not flat")
        if self.open:
            if name in self.fields or len(name) > NAME_LIMIT or len(self.fields) >= FIELDS:
                raise Malformed("a field twice, or too many")
            self.fields[name] = ""
        self.open.append(name)

    def end(self, _: str) -> None:
        self.open.pop()

    def text(self, text: str) -> None:
        if len(self.open) == 2:
            self.fields[self.open[1]] += text
        elif text.strip():
            raise Malformed("a text of no field")

    def refuse(self, *_: Any) -> None:
        raise Malformed("a DOCTYPE")
