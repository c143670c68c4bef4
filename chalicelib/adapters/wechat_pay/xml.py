"""Parse the XML of WeChat Pay v2: one root element whose children hold text. Other XML features are rejected."""

from chalicelib.adapters import strict_xml
from chalicelib.adapters.strict_xml import MalformedXmlError

MAX_NAME_CHARS, MAX_FIELDS = 64, 300


def parse_fields(content: bytes, root: str = "xml") -> dict[str, str]:
    """Return the fields of an XML document in UTF-8.

    Raises:
        MalformedXmlError: also for a DOCTYPE, repeated fields, attributes and nested fields.
    """
    reader = _Reader(root)
    strict_xml.parse(content, reader)
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
                raise MalformedXmlError("repeated or too many fields")
            self.fields[name] = ""
        self.open_elements.append(name)

    def end_element(self, _: str) -> None:
        self.open_elements.pop()

    def append_text(self, text: str) -> None:
        if len(self.open_elements) == 2:
            self.fields[self.open_elements[1]] += text
        elif text.strip():
            raise MalformedXmlError("text outside a field")
