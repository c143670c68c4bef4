"""Field types shared by the protocol documents.

A type is an Annotated alias: validators run in Python, and WithJsonSchema describes the same rule in OpenAPI where
pydantic's own schema would be wrong. The string below an alias documents it.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from chalicelib import clock
from chalicelib.identity import password_rules
from chalicelib.messaging import ids
from chalicelib.people import phone_numbers

T = TypeVar("T")
ID_LIMIT = 2**53  # JavaScript represents larger integers inexactly
_INTEGER_PATTERN = re.compile(r"-?[0-9]{1,16}")
_DATE_PATTERN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, 1: True, 0: False}
_EMPTY_VALUES = ("", 0, "0", "null", "undefined")


class WireModel(BaseModel):
    """Base class of request and response bodies. Unknown request fields are ignored, as existing clients expect."""

    # defer_build: a group has dozens of models, and the first request after a cold start needs two of them.
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, defer_build=True)


def is_empty(value: Any) -> bool:
    """Return whether clients send this value for one that they do not have.

    It is null, "" or 0; in a form or query, these are the texts that JavaScript's URLSearchParams makes of them.
    """
    return value is None or (type(value) in (str, int) and value in _EMPTY_VALUES)


def parse_int(value: Any) -> Any:
    """Accept an integer or its decimal text. Pydantic would also accept true, "1_2" and 12.0."""
    if isinstance(value, str) and _INTEGER_PATTERN.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("必须是整数")


def parse_choice(value: Any) -> Any:
    """Accept an integer as `parse_int` does. Anything else becomes None, so that the error lists the choices."""
    try:
        return parse_int(value)
    except ValueError:
        return None


def _require_visible_text(text: str) -> str:
    if not text.strip():
        raise ValueError("不能为空")
    if "\x00" in text:
        raise ValueError("含有不允许的字符")
    return text


def _require_two_characters(text: str) -> str:
    if len(text) < 2:
        raise ValueError("不能少于 2 个字符")
    return text


def _require_iso_date(value: Any) -> Any:
    """Accept only yyyy-MM-dd. Pydantic would also accept a date with time and seconds since 1970."""
    if isinstance(value, str) and not _DATE_PATTERN.fullmatch(value):
        raise ValueError("格式应为 yyyy-MM-dd")
    return None if isinstance(value, int | float) else value


def _require_not_future(day: date) -> date:
    if day > clock.today():
        raise ValueError("不能晚于今天")
    return day


def empty_to_none(value: Any) -> Any:
    """Return None for an empty value (see `is_empty`), any other value unchanged."""
    return None if is_empty(value) else value


def _int_to_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _parse_bool(value: Any) -> Any:
    """Accept true and false, as texts and numbers too. Pydantic would also accept "yes" and "on"."""
    if isinstance(value, bool):
        return value
    if type(value) in (str, int) and value in _BOOLEANS:
        return _BOOLEANS[value]
    raise ValueError("必须是 true 或 false")


SafeInt = Annotated[int, Field(gt=-ID_LIMIT, lt=ID_LIMIT), BeforeValidator(parse_int)]
Id = Annotated[
    int,
    BeforeValidator(parse_int),
    Field(gt=0, lt=ID_LIMIT),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[1-9][0-9]{0,14}$"},
                {"type": "integer", "minimum": 1, "maximum": ID_LIMIT - 1},
            ]
        }
    ),
]
"""An id in a request: a decimal integer, as a number or as text."""

OptionalId = Annotated[Id | None, BeforeValidator(empty_to_none)]

Boolean = Annotated[
    bool,
    BeforeValidator(_parse_bool),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": [0, 1, "0", "1", "false", "true"]}]}),
]
"""A boolean in a request, as JSON, forms and clients without booleans send it."""

IdText = Annotated[str, BeforeValidator(str)]
"""An id in a response: always text."""

# The rule of _require_visible_text as a pattern for JSON Schema: no NUL and at least one visible character.
VISIBLE_TEXT_PATTERN = r"^[^\x00]*[^\s\x00\x1c-\x1f\x85\ufeff][^\x00]*$"
NAME_PATTERN = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f\x85\ufeff][^\x00-\x1f\x7f]*$"
ChatText = Annotated[
    str,
    Field(min_length=1, max_length=4000),
    AfterValidator(_require_visible_text),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 4000, "pattern": VISIBLE_TEXT_PATTERN}),
]
"""1–4,000 characters, at least one of them visible; stored unchanged."""

PageSize = Annotated[int, Field(ge=1, lt=ID_LIMIT), BeforeValidator(parse_int), AfterValidator(lambda n: min(n, 100))]
"""Entries per page; values above 100 are reduced to 100."""

PageNum = Annotated[int, Field(ge=1, lt=ID_LIMIT), BeforeValidator(parse_int)]

VISIBLE_ASCII_PATTERN = r"^[\x21-\x7e]+$"
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=128, pattern=VISIBLE_ASCII_PATTERN)]
"""Identifies a write request: repeating it with the same key has no further effect."""

CURSOR_PATTERN = r"^[0-9a-f]{1,32}\.[0-9]{1,15}$"
Cursor = Annotated[str, Field(pattern=CURSOR_PATTERN, examples=["4f1c20aa9b3e77d0.12"])]
"""A position in a feed, as returned by the server."""

POSITION_PATTERN = r"^[0-9]{1,16}\.[0-9]{1,16}$"
"""Of a position in a list that is read in pages: see http/pagination.py."""

OptionalCursor = Annotated[Cursor | None, BeforeValidator(empty_to_none)]

PHONE_PATTERN, OPTIONAL_PHONE_PATTERN = r"^1[3-9][0-9]{9}$", r"^(1[3-9][0-9]{9})?$"
Phone = Annotated[str, Field(pattern=PHONE_PATTERN, examples=["13800000001"])]
"""A mobile phone number of mainland China."""

OptionalPhone = Annotated[str, Field(pattern=OPTIONAL_PHONE_PATTERN, examples=["13800000001"])]

CONTACT_PHONE_PATTERN = r"^(1[3-9][0-9]{9}|\+([1-79][0-9]{6,14}|8[0-57-9][0-9]{5,13}))$"
ContactPhone = Annotated[
    str,
    Field(max_length=32, examples=["13800000001"]),
    AfterValidator(phone_numbers.normalize),
    WithJsonSchema({"type": "string", "pattern": CONTACT_PHONE_PATTERN}),
]
"""A phone of any country, as people/phone_numbers.py describes; accounts, which receive SMS codes, have a `Phone`."""

OptionalContactPhone = Annotated[
    str,
    Field(max_length=32, examples=["13800000001"]),
    AfterValidator(lambda number: phone_numbers.normalize(number) if number else ""),
    WithJsonSchema({"type": "string", "pattern": f"^$|{CONTACT_PHONE_PATTERN}"}),
]

Password = Annotated[
    str, Field(min_length=8, max_length=72, examples=["Demo-12345"]), AfterValidator(password_rules.require_uncommon)
]
"""A new password of a patient; existing ones may be shorter."""

StaffPassword = Annotated[
    str,
    Field(
        min_length=password_rules.MIN_LENGTH_FOR_STAFF,
        max_length=72,
        description=password_rules.STAFF_RULE,
        examples=["Demo-12345"],
    ),
    AfterValidator(password_rules.require_strong),
]
"""A new password of a member of staff; existing ones may be weaker."""

Name = Annotated[
    str,
    Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$"),
    AfterValidator(str.strip),
    AfterValidator(_require_visible_text),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 64, "pattern": NAME_PATTERN}),
]
"""A name: one line, stripped of surrounding white space."""


_VISIBLE, _ANY = r"[^\s\x00-\x1f\x7f\x85\ufeff]", r"[^\x00-\x1f\x7f]*"
Reason = Annotated[
    str,
    Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$"),
    AfterValidator(str.strip),
    AfterValidator(_require_two_characters),
    WithJsonSchema({"type": "string", "maxLength": 255, "pattern": f"^{_ANY}{_VISIBLE}{_ANY}{_VISIBLE}{_ANY}$"}),
]
"""Why something is done, for a log: one line of 2–255 characters, stripped of surrounding white space."""

OptionalReason = Annotated[Reason | None, BeforeValidator(empty_to_none)]


def build_enum_schema(*choices: int) -> Any:
    """Return the schema of a Literal of integers that are accepted as numbers or as text."""
    return WithJsonSchema({"enum": [*choices, *map(str, choices)]})


Gender = Annotated[Literal[0, 1, 2, 9], BeforeValidator(parse_choice), build_enum_schema(0, 1, 2, 9)]
"""0 unknown, 1 male, 2 female, 9 unspecified."""

Relation = Annotated[Literal[1, 2, 3, 4, 5, 9], BeforeValidator(parse_choice), build_enum_schema(1, 2, 3, 4, 5, 9)]
"""A value of people.members.Relation."""

GuardianRelation = Annotated[Literal[3, 5, 9], BeforeValidator(parse_choice), build_enum_schema(3, 5, 9)]
"""What a guardian can be to a child: parent, other relative, other."""

Date = Annotated[date, BeforeValidator(_require_iso_date)]
Birthday = Annotated[Date, AfterValidator(_require_not_future)]

SessionId = Annotated[
    str, Field(min_length=1, max_length=128, pattern=VISIBLE_ASCII_PATTERN), BeforeValidator(_int_to_text)
]
"""A participant as named in document 004: printable ASCII; a number is accepted as its text."""

PUBLIC_ID_PATTERN = r"^[0-9A-Za-z-]+$"
PublicId = Annotated[str, Field(min_length=1, max_length=64, pattern=PUBLIC_ID_PATTERN)]
"""A conversation's public id: session_no, session_id or conversation_id, depending on the protocol."""

MessageId = Annotated[str, Field(pattern=ids.MESSAGE_ID_PATTERN)]

OptionalPublicId = Annotated[PublicId | None, BeforeValidator(empty_to_none)]
OptionalMessageId = Annotated[MessageId | None, BeforeValidator(empty_to_none)]
"""For the optional types above: an empty value is None, also where a missing field and an empty one differ."""


class PageQuery(WireModel):
    """The query of a paged list."""

    page_num: PageNum = Field(1, examples=[1])
    page_size: PageSize = Field(10, examples=[10])

    @property
    def offset(self) -> int:
        """Return the number of entries before the page."""
        return (self.page_num - 1) * self.page_size


class Page(WireModel, Generic[T]):
    """One page of a list."""

    page_num: int = Field(examples=[1])
    page_size: int = Field(examples=[10])
    total: int = Field(examples=[1])
    pages: int = Field(examples=[1])
    list: list[T]

    @classmethod
    def build(cls, query: PageQuery, total: int, entries: Sequence[T]) -> "Page[T]":
        """Return the page for a query, with its entries and the number of entries of the whole list."""
        pages = -(-total // query.page_size)
        return cls(page_num=query.page_num, page_size=query.page_size, total=total, pages=pages, list=[*entries])
