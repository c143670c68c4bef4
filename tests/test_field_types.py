"""Field types of requests: accepted values, results, and messages for invalid values."""

import json
from typing import Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from chalicelib.http.fields import (
    ID_LIMIT,
    ChatText,
    Id,
    IdempotencyKey,
    IdText,
    MessageId,
    OptionalMessageId,
    OptionalPublicId,
    PageSize,
    Phone,
    PublicId,
    Reason,
    SafeInt,
    SessionId,
    WireModel,
)
from chalicelib.http.validation_messages import format_validation_error
from chalicelib.messaging import ids

MESSAGE_ID = ids.encode(ids.compute_first_tick(1_767_576_600_000_000), ids.compute_tag("s", 1))

Cases = tuple[Any, list[tuple[Any, Any]]]  # a type, with pairs of value and result
NO_TEXTS: Any = (None, True, 1.5, [], {})
ACCEPTED: list[Cases] = [
    (SafeInt, [(12, 12), ("12", 12), (0, 0), ("-5", -5), ("-0", 0), ("007", 7), (1 - ID_LIMIT, 1 - ID_LIMIT)]),
    (Id, [(1, 1), ("1", 1), (ID_LIMIT - 1, ID_LIMIT - 1), (str(ID_LIMIT - 1), ID_LIMIT - 1)]),
    (IdText, [(12, "12"), ("12", "12")]),
    (ChatText, [("在", "在"), (" 在\n", " 在\n"), ("😷" * 4000, "😷" * 4000), ("\u200d👩", "\u200d👩")]),
    (Reason, [("急诊", "急诊"), (" 会诊 ", "会诊"), ("😷" * 255, "😷" * 255), ("a b", "a b")]),
    (PageSize, [(1, 1), ("100", 100), (101, 100), (ID_LIMIT - 1, 100)]),
    (IdempotencyKey, [("!", "!"), ("~" * 128, "~" * 128)]),
    (Phone, [("13800000001", "13800000001"), ("19999999999", "19999999999")]),
    (SessionId, [("abc", "abc"), (12, "12"), (-1, "-1"), (10**127, "1" + "0" * 127), ("a" * 128, "a" * 128)]),
    (PublicId, [("a", "a"), ("A-9" * 21, "A-9" * 21)]),
    (MessageId, [(MESSAGE_ID, MESSAGE_ID), ("22222-2222-2222-222", "22222-2222-2222-222")]),
    (OptionalPublicId, [("A-9", "A-9"), ("", None), (None, None), (0, None), ("0", None)]),
    (OptionalMessageId, [(MESSAGE_ID, MESSAGE_ID), ("", None), (None, None), (0, None)]),
]
WHOLE, TEXT, DIGITS = "必须是整数", "必须是文本", "应为 11 位手机号码"
VISIBLE, LETTERS = "只能包含字母、数字和半角符号，不能有空格", "只能包含字母、数字和 -"
GIVEN = "应为接口返回的消息编号"
NO_NUMBERS: Any = (*NO_TEXTS, 1.0, "", "x", "1.0", "1_0", "+1", " 1", "١", "1e3")
ODD_NUMBERS = [(value, WHOLE) for value in NO_NUMBERS]
REJECTED: list[Cases] = [
    (
        SafeInt,
        [*ODD_NUMBERS, ("9" * 17, WHOLE), (ID_LIMIT, "数值过大"), (-ID_LIMIT, "数值过小")],
    ),
    (Id, [*ODD_NUMBERS, (0, "必须大于 0"), ("-1", "必须大于 0"), (ID_LIMIT, "数值过大")]),
    (
        ChatText,
        [(5, TEXT), (None, TEXT), ("", "不能为空"), (" \n　", "不能为空"), ("a\x00", "含有不允许的字符")],
    ),
    (
        Reason,
        [
            *((value, TEXT) for value in NO_TEXTS),
            *((value, "不能少于 2 个字符") for value in ("", "  ", "急", " 急　")),
            *(("x" * 256, "不能超过 255 个字符"), ("会\n诊", "含有不允许的字符")),
        ],
    ),
    (ChatText, [("字" * 4001, "不能超过 4000 个字符"), (["在"], TEXT), ({}, TEXT), (True, TEXT)]),
    (PageSize, [*ODD_NUMBERS, (0, "不能小于 1"), ("-1", "不能小于 1")]),
    (IdempotencyKey, [("", "不能为空"), ("a" * 129, "不能超过 128 个字符"), (5, TEXT)]),
    (IdempotencyKey, [(value, VISIBLE) for value in ("a b", "键", "a\n", "\x7f", "\t")]),
    (
        Phone,
        [(value, DIGITS) for value in ("", "1380000000", "138000000011", "12800000001", "13800000001\n", "+86138")],
    ),
    (Phone, [(13800000001, TEXT), (None, TEXT), ("１３８００００００００１", DIGITS)]),
    (SessionId, [("", "不能为空"), ("a" * 129, "不能超过 128 个字符"), (10**128, "不能超过 128 个字符")]),
    (SessionId, [(value, TEXT) for value in NO_TEXTS]),
    (SessionId, [(value, VISIBLE) for value in ("a b", "访客", "a\n", "\x00")]),
    (PublicId, [("", "不能为空"), ("a" * 65, "不能超过 64 个字符"), (7, TEXT)]),
    (PublicId, [(value, LETTERS) for value in ("../x", "a_b", "会话", "a\n", "';--")]),
    (OptionalPublicId, [(" ", LETTERS), ("a" * 65, "不能超过 64 个字符"), (7, TEXT), (False, TEXT)]),
    (OptionalMessageId, [(" ", GIVEN), ("x", GIVEN), (7, TEXT)]),
    (
        MessageId,
        [(value, GIVEN) for value in ("", "x", MESSAGE_ID.lower(), MESSAGE_ID + "2", "0" + MESSAGE_ID[1:])],
    ),
]


def build_cases(table: list[Cases]) -> Any:
    names = {id(kind): name for name, kind in globals().items()}
    return [
        pytest.param(kind, *row, id=f"{names[id(kind)]} {str(row[0])[:24]!a}") for kind, rows in table for row in rows
    ]


@pytest.mark.parametrize(("kind", "value", "expected"), build_cases(ACCEPTED))
def test_accepted_value(kind: Any, value: Any, expected: Any) -> None:
    taken = TypeAdapter(kind).validate_json(json.dumps(value))
    assert taken == expected
    assert type(taken) is type(expected)


@pytest.mark.parametrize(("kind", "given", "why"), build_cases(REJECTED))
def test_rejected_value_and_reason(kind: Any, given: Any, why: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(kind).validate_json(json.dumps(given))
    assert format_validation_error(raised.value, "field") == f"field：{why}"


@pytest.mark.parametrize("kind", [ChatText, IdempotencyKey, Phone, SessionId, PublicId, MessageId])
def test_lone_surrogate_is_rejected(kind: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python("\ud800")
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_json('"\\ud800"')


class Bed(WireModel):
    number: Id


class Form(WireModel):
    urgent: bool = False
    side: Literal[0, 1] = 0
    beds: list[Bed] = Field([], min_length=1, max_length=2)
    first: Bed | None = None


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"urgent": "x"}, "urgent：必须是 true 或 false"),
        ({"urgent": []}, "urgent：必须是 true 或 false"),
        ({"side": 2}, "side：只能是 0、1"),
        ({"beds": {}}, "beds：必须是列表"),
        ({"beds": []}, "beds：不能为空"),
        ({"beds": [{"number": 1}] * 3}, "beds：不能超过 2 项"),
        ({"beds": [{"number": 1}, {"number": "x"}]}, "beds.1.number：必须是整数"),
        ({"beds": [{}, 5]}, "beds.0.number：必填；beds.1：必须是 JSON 对象"),
        ({"first": 5}, "first：必须是 JSON 对象"),
    ],
)
def test_message_names_each_invalid_field(form: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Form.model_validate_json(json.dumps(form))
    assert format_validation_error(raised.value) == why


def test_message_contains_at_most_five_errors() -> None:
    class Long(WireModel):
        fields: list[Id]

    with pytest.raises(ValidationError) as raised:
        Long.model_validate({"fields": ["x"] * 9})
    assert format_validation_error(raised.value).count("；") == 4


def test_message_does_not_contain_the_value() -> None:
    for kind in (SafeInt, Id, PageSize, Phone, IdempotencyKey, PublicId, MessageId):
        with pytest.raises(ValidationError) as raised:
            TypeAdapter(kind).validate_python("440106 199001011234")
        assert "440106" not in format_validation_error(raised.value, "field")


def test_unknown_fields_are_ignored_and_models_are_immutable() -> None:
    bed = Bed.model_validate({"number": "3", "colour": "白"})
    assert bed.model_dump() == {"number": 3}
    with pytest.raises(ValidationError):
        bed.number = 4
