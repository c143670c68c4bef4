"""Fill the fields of a hospital's message template. Each hospital has its own templates with their own fields.

A template contains lines such as "就诊人：{{thing1.DATA}}". The label determines which value is inserted; the type of
the field (thing, time, …) determines its format.

Source: https://developers.weixin.qq.com/doc/service/guide/product/template_message/Template_Message_Interface.html
"""

import re
from collections.abc import Mapping

FIELD_PATTERN = re.compile(r"([^\n{}：:]*)[：:]?[ \t]*\{\{(\w+)\.DATA\}\}")
# The value for a label; the first pattern that matches counts.
VALUE_BY_LABEL = [
    (re.compile(pattern), value_name)
    for pattern, value_name in (
        ("医院|机构|院区", "hospital"),
        ("医生|医师|专家|大夫|回复人", "doctor"),
        ("科室|门诊|部门", "dept"),
        ("就诊人|患者|病人|姓名|用户", "patient"),
        ("时间|日期", "time"),
        ("原因|说明|备注", "reason"),
        ("序号|号序|排队", "serial"),
        ("编号|单号|预约号|预约码|号码", "code"),
        ("地点|地址|位置|候诊", "area"),
        ("费|金额", "fee"),
    )
]
DEFAULT_VALUE = "what"  # the value for any other label
EMPTY_TEXT = "无"
MAX_CHARS_BY_TYPE = {"thing": 20, "name": 10}
DEFAULT_MAX_CHARS = 200


def build_data(content: str, values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return `data` of a message for a template.

    Args:
        content: the template's text.
        values: texts by the names in VALUE_BY_LABEL, of which "time" is required, and a summary under "what".
    """
    return {name: {"value": _format_value(name, label, values)} for label, name in FIELD_PATTERN.findall(content)}


def clear_constants(data: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return a message's data with its `const` fields emptied: WeChat accepts only approved texts or "" in them."""
    return {name: {"value": ""} if _parse_type(name) == "const" else field for name, field in data.items()}


def _format_value(name: str, label: str, values: Mapping[str, str]) -> str:
    field_type = _parse_type(name)
    if field_type in ("time", "date"):
        return values["time"]
    text = values.get(_get_value_name(label)) or EMPTY_TEXT
    if field_type in ("character_string", "letter"):
        return re.sub(r"[^\x21-\x7e]", "", text)[:32] or values.get("code") or "-"
    if field_type in ("number", "amount", "phone_number"):
        return re.sub(r"[^0-9.]", "", text)[:16] or "0"
    if field_type == "phrase":
        return re.sub("[^\u4e00-\u9fff]", "", text)[:5] or EMPTY_TEXT
    return text[: MAX_CHARS_BY_TYPE.get(field_type, DEFAULT_MAX_CHARS)]


def _parse_type(name: str) -> str:
    return name.rstrip("0123456789")


def _get_value_name(label: str) -> str:
    return next((value_name for pattern, value_name in VALUE_BY_LABEL if pattern.search(label)), DEFAULT_VALUE)
