"""Values of template fields by label and type."""

import pytest

from chalicelib.wechat_account import template_fields

VALUES = {
    "hospital": "仁和医院",
    "patient": "林小雨",
    "doctor": "陈医生",
    "dept": "呼吸内科",
    "time": "2026年1月5日 09:30",
    "code": "20260105123456",
    "serial": "4",
    "area": "门诊楼二层 A 区",
    "fee": "12.50",
    "reason": "",
    "what": "预约成功",
}


@pytest.mark.parametrize(
    ("label", "field", "text"),
    [
        ("就诊人", "thing1", "林小雨"),
        ("患者姓名", "name2", "林小雨"),
        ("就诊医生", "thing3", "陈医生"),
        ("医生姓名", "keyword4", "陈医生"),
        ("就诊科室", "thing5", "呼吸内科"),
        ("就诊时间", "time6", "2026年1月5日 09:30"),
        ("预约日期", "date7", "2026年1月5日 09:30"),
        ("就诊时段", "time8", "2026年1月5日 09:30"),
        ("就诊时间", "keyword9", "2026年1月5日 09:30"),
        ("预约编号", "character_string10", "20260105123456"),
        ("就诊序号", "number11", "4"),
        ("候诊地点", "thing12", "门诊楼二层 A 区"),
        ("挂号费", "amount13", "12.50"),
        ("医院名称", "thing14", "仁和医院"),
        ("取消原因", "thing15", "无"),
        ("预约状态", "phrase16", "预约成功"),
        ("就诊人", "character_string17", "20260105123456"),
        ("温馨提示", "const18", "预约成功"),
        ("就诊人", "phrase19", "林小雨"),
        ("预约编号", "phrase20", "无"),
        ("候诊地点", "phrase21", "门诊楼二层"),
    ],
)
def test_field_is_filled_by_label_and_type(label: str, field: str, text: str) -> None:
    assert template_fields.build_data(f"{label}：{{{{{field}.DATA}}}}", VALUES) == {field: {"value": text}}


def test_all_fields_are_filled() -> None:
    content = "{{first.DATA}}\n就诊人: {{thing1.DATA}}\n\n就诊时间：{{time2.DATA}}\n{{remark.DATA}}"
    assert {name: one["value"] for name, one in template_fields.build_data(content, VALUES).items()} == {
        "first": "预约成功",
        "thing1": "林小雨",
        "time2": "2026年1月5日 09:30",
        "remark": "预约成功",
    }


def test_long_values_are_truncated() -> None:
    long_values = {**VALUES, "patient": "林" * 64}
    max_lengths = {"thing1": 20, "name2": 10, "phrase3": 5, "keyword4": 64}
    found = template_fields.build_data("\n".join(f"患者：{{{{{name}.DATA}}}}" for name in max_lengths), long_values)
    assert {name: len(one["value"]) for name, one in found.items()} == max_lengths


def test_template_without_fields_yields_no_data() -> None:
    assert template_fields.build_data("您好，请及时就诊。{{}}", VALUES) == {}
