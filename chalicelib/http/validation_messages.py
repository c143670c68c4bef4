"""Chinese messages for invalid fields."""

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from chalicelib.http.fields import (
    CURSOR_PATTERN,
    ID_LIMIT,
    OPTIONAL_PHONE_PATTERN,
    PHONE_PATTERN,
    POSITION_PATTERN,
    PUBLIC_ID_PATTERN,
    VISIBLE_ASCII_PATTERN,
)
from chalicelib.http.validation import find_field
from chalicelib.messaging import ids

BODY_LABEL, INVALID_JSON_TEXT = "请求体", "不是合法的 JSON"
_EMPTY_TEXT, _INTEGER_TEXT, _BOOLEAN_TEXT = "不能为空", "必须是整数", "必须是 true 或 false"
_NUMBER_TEXT, _DATE_TEXT, _OBJECT_TEXT = "必须是数字", "格式应为 yyyy-MM-dd", "必须是 JSON 对象"
_PATTERN_TEXT, _CHARACTER_TEXT = "格式不正确", "含有不允许的字符"
REASON_BY_ERROR_TYPE = {
    "missing": "必填",
    "json_invalid": INVALID_JSON_TEXT,
    "json_type": INVALID_JSON_TEXT,
    "model_type": _OBJECT_TEXT,
    "dict_type": _OBJECT_TEXT,
    "string_type": "必须是文本",
    "string_unicode": _CHARACTER_TEXT,
    "string_too_short": "不能少于 {min_length} 个字符",
    "string_too_long": "不能超过 {max_length} 个字符",
    "string_pattern_mismatch": _PATTERN_TEXT,
    "int_type": _INTEGER_TEXT,
    "int_parsing": _INTEGER_TEXT,
    "int_parsing_size": _INTEGER_TEXT,
    "int_from_float": _INTEGER_TEXT,
    "float_type": _NUMBER_TEXT,
    "float_parsing": _NUMBER_TEXT,
    "finite_number": _NUMBER_TEXT,
    "bool_type": _BOOLEAN_TEXT,
    "bool_parsing": _BOOLEAN_TEXT,
    "date_type": _DATE_TEXT,
    "date_parsing": _DATE_TEXT,
    "date_from_datetime_parsing": "不是有效的日期",
    "date_from_datetime_inexact": _DATE_TEXT,
    "list_type": "必须是列表",
    "too_long": "不能超过 {max_length} 项",
    "too_short": "不能少于 {min_length} 项",
    "greater_than": "必须大于 {gt}",
    "greater_than_equal": "不能小于 {ge}",
    "less_than": "必须小于 {lt}",
    "less_than_equal": "不能大于 {le}",
    "literal_error": "只能是 {choices}",
    "enum": "只能是 {choices}",
}
"""The reason for each error type of pydantic that request models can raise, but value_error, which has its own text."""


_REASON_BY_PATTERN = {
    PHONE_PATTERN: "应为 11 位手机号码",
    OPTIONAL_PHONE_PATTERN: "应为 11 位手机号码",
    VISIBLE_ASCII_PATTERN: "只能包含字母、数字和半角符号，不能有空格",
    PUBLIC_ID_PATTERN: "只能包含字母、数字和 -",
    ids.MESSAGE_ID_PATTERN: "应为接口返回的消息编号",
    CURSOR_PATTERN: "应为接口返回的位置",
    POSITION_PATTERN: "应为接口返回的位置",
}
"""What a text should be, for patterns that groups share. For others the reason contains the field's example."""


def format_validation_error(error: ValidationError, label: str = "", model: type[BaseModel] | None = None) -> str:
    """Return a Chinese message that names up to five invalid fields and the reason for each, but no values.

    Args:
        label: name of the validated object, for errors that are not of a single field.
        model: of the validated object; an error of a pattern then contains the field's example.
    """
    problems = error.errors(include_url=False, include_input=False)[:5]
    return "；".join(_format_problem(problem, label, model) for problem in problems)


def _format_problem(problem: Any, label: str, model: type[BaseModel] | None) -> str:
    reason = _format_reason(problem["type"], problem.get("ctx", {}))
    if reason == _PATTERN_TEXT and model and (field := find_field(model, problem["loc"])) and field.example:
        reason += f"，例如 {field.example}"
    name = ".".join(str(part) for part in problem["loc"]) or label
    return f"{name}：{reason}" if name else reason


def _format_reason(kind: str, context: dict[str, Any]) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind in ("string_too_short", "too_short") and context["min_length"] == 1:
        return _EMPTY_TEXT
    if kind == "less_than" and context["lt"] == ID_LIMIT:
        return "数值过大"
    if kind == "greater_than" and context["gt"] == -ID_LIMIT:
        return "数值过小"
    if kind == "string_pattern_mismatch":
        return _describe_pattern(context["pattern"])
    choices = _list_choices(context["expected"]) if "expected" in context else ""
    return REASON_BY_ERROR_TYPE.get(kind, _PATTERN_TEXT).format(**context, choices=choices)


def _describe_pattern(pattern: str) -> str:
    if re.fullmatch(r"\^\[(?:[^\]\\]|\\.)+\]\*\$", pattern):  # a text of certain characters, or without certain ones
        return _CHARACTER_TEXT
    return _REASON_BY_PATTERN.get(pattern, _PATTERN_TEXT)


def _list_choices(expected: str) -> str:
    """Return pydantic's list of allowed values, such as "'AM' or 'PM'", without the empty text."""
    choices = [text or number for text, number in re.findall(r"'([^']*)'|(-?[0-9]+)", expected)]
    return "、".join(choice for choice in choices if choice)
