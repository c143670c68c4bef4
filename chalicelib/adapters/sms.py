"""SMS with a code, by the provider that the stage is set up for. Each wants a template of the hospital's own.

`file` is a developer's: it writes phone and code to a file. Raises ApiError(UNAVAILABLE) where the provider cannot be
reached, Failed where it refuses.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from chalicelib import clock
from chalicelib.adapters import https, sms_signing
from chalicelib.settings import settings

TIMEOUT_SECONDS = 2.0  # seconds for each step: other codes wait behind it


class SmsError(Exception):
    """The provider will not send it; `provider_code` is its word for why, as far as that is a word and may be logged.

    Aliyun: isv.BUSINESS_LIMIT_CONTROL, Tencent: LimitExceeded.PhoneNumberDailyLimit; HTTP_403 where it says no more.
    """

    def __init__(self, code: object) -> None:
        self.provider_code = code if isinstance(code, str) and _LOGGABLE_CODE.fullmatch(code) else "unknown"
        super().__init__(self.provider_code)


_LOGGABLE_CODE = re.compile(
    r"(?!.*\d{4})[A-Za-z][\w.:-]{0,99}", re.ASCII
)  # never a phone, a code, or a text that has one


def send(phone: str, code: str) -> None:
    PROVIDERS[settings.sms.provider](phone, code)


def send_to_file(phone: str, code: str) -> None:
    with open(settings.sms.file_path, "a", encoding="utf-8") as file:
        file.write(f"SMS {phone} {code}\n")


def send_by_aliyun(phone: str, code: str) -> None:
    """https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-sendsms"""
    parameters = {
        "PhoneNumbers": phone,
        "SignName": settings.sms.sign_name,
        "TemplateCode": settings.sms.template_id,
        "TemplateParam": json.dumps({"code": code}),
    }
    url = settings.sms.endpoint_url or "https://dysmsapi.aliyuncs.com"
    query, headers = sms_signing.sign_aliyun_request(url, "SendSms", "2017-05-25", parameters, clock.now())
    answer = _post_request(f"{url}/?{query}", headers, b"")
    if answer.get("Code") != "OK":
        raise SmsError(answer.get("Code"))


def send_by_tencent(phone: str, code: str) -> None:
    """https://cloud.tencent.com/document/product/382/55981"""
    body = {
        "PhoneNumberSet": [f"+86{phone}"],
        "SmsSdkAppId": settings.sms.app_id,
        "SignName": settings.sms.sign_name,
        "TemplateId": settings.sms.template_id,
        "TemplateParamSet": [code],
    }
    url, content = settings.sms.endpoint_url or "https://sms.tencentcloudapi.com", json.dumps(body).encode()
    headers = sms_signing.sign_tencent_request(url, "SendSms", "2021-01-11", "sms", content, clock.now())
    answer = _post_request(url, {**headers, "X-TC-Region": "ap-guangzhou"}, content).get("Response", {})
    states = answer.get("SendStatusSet") or [answer.get("Error", {})]
    if states[0].get("Code") != "Ok":
        raise SmsError(states[0].get("Code"))


PROVIDERS: dict[str, Callable[[str, str], None]] = {
    "file": send_to_file,
    "aliyun": send_by_aliyun,
    "tencent": send_by_tencent,
}


def _post_request(url: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    status, _, content = https.send_request("POST", url, headers, body, timeout=TIMEOUT_SECONDS)
    try:
        answer = json.loads(content)
    except ValueError:
        raise SmsError(f"HTTP_{status}") from None
    return answer if isinstance(answer, dict) else {}
