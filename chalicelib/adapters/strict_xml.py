"""Parse XML that third parties send: UTF-8, without a DOCTYPE, which could define entities."""

from typing import Any, Protocol


class MalformedXmlError(Exception):
    """The content is not XML in UTF-8 of the expected structure."""


class XmlReader(Protocol):
    """What keeps the content of a document; its methods raise MalformedXmlError for what they do not accept."""

    def start_element(self, name: str, attributes: dict[str, str], /) -> None:
        """Take the start of an element."""

    def end_element(self, name: str, /) -> None:
        """Take the end of an element."""

    def append_text(self, text: str, /) -> None:
        """Take text; that of one element may come in parts."""


def parse(content: bytes, reader: XmlReader) -> None:
    """Pass the parts of a document to a reader, in their order.

    Raises:
        MalformedXmlError: it is not well-formed, has a DOCTYPE, or the reader does not accept it.
    """
    from xml.parsers.expat import ExpatError, ParserCreate

    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _reject_doctype
    parser.StartElementHandler = reader.start_element
    parser.EndElementHandler = reader.end_element
    parser.CharacterDataHandler = reader.append_text
    try:
        parser.Parse(content.decode(), True)  # always as UTF-8: the declared encoding is ignored
    except (ExpatError, ValueError) as error:
        raise MalformedXmlError("not well-formed") from error


def _reject_doctype(*_: Any) -> None:
    raise MalformedXmlError("DOCTYPE")
