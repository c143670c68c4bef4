"""Messages for invalid fields: each error that a request can cause has a Chinese reason, with the allowed values."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from apidocs import endpoints
from chalicelib.accounts.models import VerifyCodeRequest
from chalicelib.http.fields import WireModel
from chalicelib.http.validation import find_fields, parse_fields, parse_json
from chalicelib.http.validation_messages import REASON_BY_ERROR_TYPE, format_validation_error
from chalicelib.payment.models import SavePayConfRequest
from chalicelib.staff.patient_models import SavePatientRequest
from chalicelib.staff.staff_models import DoctorId

ODD_VALUES: list[Any] = [
    *(None, "", " ", "x", "文", "-1", "0.5", "1e5", "x" * 10_000, "a\x00b", "2026-02-30", "2026-01-05 00:00:00"),
    *(0, -1, 7, 1000, 2**53, -(2**53), 10**400, 0.5, -0.5, 12.0, 1e300, float("nan"), float("inf"), True, False),
    *([], {}, [None], ["x"], [1], [{}], [[]], [{"x": 1}], ["1"] * 3000, [{}] * 3000, {"x": 1}),
]
NO_CHOICES: list[Any] = ["x", "-7", -7, [1], {}, True, 1.5, "文"]
ENUMERATIONS = {
    "msgType",
    "ownType",
    "appraise",
    "label_type",
    "order_type",
    "pati_gender",
    "wech_temp_type",
    "signType",
}
REQUESTS = [
    pytest.param(one.endpoint.parameters[part], id=f"{one.endpoint.path} {part}")
    for one in endpoints.iter_endpoints()
    for part in ("body", "query")
    if part in one.endpoint.parameters
]


def iter_errors(model: type[BaseModel], parse: Any) -> Iterator[ValidationError]:
    for name in find_fields(model):
        for value in ODD_VALUES:
            try:
                parse(model, {name: value})
            except ValidationError as error:
                yield error


def parse_decoded(model: Any, fields: Any) -> Any:
    return parse_fields(model, fields)


def parse_text(model: Any, fields: Any) -> Any:
    return parse_json(model, json.dumps(fields))


@pytest.mark.parametrize("model", REQUESTS)
@pytest.mark.parametrize("parse", [parse_decoded, parse_text])
def test_every_error_type_has_a_reason(model: type[BaseModel], parse: Any) -> None:
    for error in iter_errors(model, parse):
        for problem in error.errors():
            assert problem["type"] in (*REASON_BY_ERROR_TYPE, "value_error"), problem
        for part in format_validation_error(error).split("；"):
            reason = part.partition("：")[2]
            assert re.search(r"[\u4e00-\u9fff]", reason), part
            assert not re.search(r"[{}]|不能少于 1 |不能少于 0 |不能超过 0 ", reason), part


@pytest.mark.parametrize("model", REQUESTS)
def test_error_of_an_enumeration_lists_the_choices(model: type[BaseModel]) -> None:
    for name in find_fields(model):
        for value in NO_CHOICES:
            try:
                parse_fields(model, {name: value})  # type: ignore[type-var]
            except ValidationError as error:
                own = [problem for problem in error.errors() if problem["loc"][0] == name]
                if own and (own[0]["type"] in ("literal_error", "enum") or name in ENUMERATIONS):
                    text = format_validation_error(ValidationError.from_exception_data("", own))  # type: ignore[arg-type]
                    assert re.fullmatch(r"[\w.]+：只能是 [\w-]+(、[\w-]+)*", text), text


@pytest.mark.parametrize("model", REQUESTS)
def test_error_of_a_pattern_says_what_is_expected(model: type[BaseModel]) -> None:
    for error in iter_errors(model, parse_decoded):
        for part in format_validation_error(error, model=model).split("；"):
            name, _, reason = part.partition("：")
            if reason.startswith("格式不正确"):
                assert re.fullmatch("格式不正确，例如 .+", reason) or name == "open_id", part  # no page types an openid


def test_error_of_a_pattern_has_the_example_of_its_field() -> None:
    def describe(model: type[WireModel], fields: dict[str, Any]) -> list[str]:
        with pytest.raises(ValidationError) as raised:
            parse_fields(model, fields)
        return format_validation_error(raised.value, model=model).split("；")

    assert describe(VerifyCodeRequest, {"phone": "1380000000", "verCode": "12345"}) == [
        "phone：应为 11 位手机号码",
        "verCode：格式不正确，例如 042917",
    ]
    assert "pati_address：含有不允许的字符" in describe(SavePatientRequest, {"pati_address": "一\n二"})
    keys = [{"serial": "号", "pem": ""}]
    assert "public_keys.0.serial：格式不正确，例如 PUB_KEY_ID_0114232134912410000000000000" in describe(
        SavePayConfRequest, {"mch_id": "1900006891", "version": "v3", "sign_type": "RSA", "public_keys": keys}
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '"x"', '{"a":"\\ud800"}', "[" * 5000, "\ufeff{}"])
def test_text_that_is_no_object_has_a_reason(text: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parse_json(DoctorId, text)
    assert format_validation_error(raised.value, "请求体") in ("请求体：不是合法的 JSON", "请求体：必须是 JSON 对象")
