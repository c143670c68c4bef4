"""What stands in the fields of a hospital's template: each hospital has its own templates, and each its own fields.

A template says "就诊人：{{thing1.DATA}}". What it wants there is told by its label; how it must be written, by the kind
of field (thing, time, …), as WeChat's rules have it:
https://developers.weixin.qq.com/doc/service/guide/product/template_message/Template_Message_Interface.html
"""

import re
from collections.abc import Mapping

FIELD_PATTERN = re.compile(r"([^\n{}：:]*)[：:]?[ \t]*\{\{(\w+)\.DATA\}\}")
# What a label asks for; the first that fits. "what" where none does.
LABEL_MEANINGS = [
    (re.compile(pattern), meaning)
    for pattern, meaning in (
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
EMPTY_VALUE = "无"
MAX_CHARS_BY_KIND = {"thing": 20, "name": 10}  # characters
DEFAULT_MAX_CHARS = 200  # of any other


def build_data(content: str, values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the data of a message by a template of this content. values: what is known, by MEANINGS, and "what"."""
    return {name: {"value": _format_value(name, label, values)} for label, name in FIELD_PATTERN.findall(content)}


def clear_constants(data: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return the same without a value where WeChat takes only what it has approved for this template, or nothing."""
    return {name: {"value": ""} if _parse_kind(name) == "const" else one for name, one in data.items()}


def _format_value(name: str, label: str, values: Mapping[str, str]) -> str:
    kind = _parse_kind(name)
    if kind in ("time", "date"):
        return values["time"]
    text = values.get(_get_meaning(label)) or EMPTY_VALUE
    if kind in ("character_string", "letter"):
        return re.sub(r"[^\x21-\x7e]", "", text)[:32] or values.get("code") or "-"
    if kind in ("number", "amount", "phone_number"):
        return re.sub(r"[^0-9.]", "", text)[:16] or "0"
    if kind == "phrase":
        return re.sub("[^\u4e00-\u9fff]", "", text)[:5] or EMPTY_VALUE
    return text[: MAX_CHARS_BY_KIND.get(kind, DEFAULT_MAX_CHARS)]


def _parse_kind(name: str) -> str:
    return name.rstrip("0123456789")


def _get_meaning(label: str) -> str:
    return next((meaning for pattern, meaning in LABEL_MEANINGS if pattern.search(label)), "what")
