"""SMS with a code, by the provider that the stage is set up for. Each wants a template of the hospital's own.

`file` is a developer's: it writes phone and code to a file. Raises Refused(UNAVAILABLE) where the provider cannot be
reached, Failed where it refuses.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from chalicelib import clock
from chalicelib.adapters import https, sms_signing
from chalicelib.settings import settings

TIMEOUT = 2.0  # seconds for each step: other codes wait behind it


class Failed(Exception):
    """The provider will not send it; `provider_code` is its word for why, as far as that is a word and may be logged.

    Aliyun: isv.BUSINESS_LIMIT_CONTROL, Tencent: LimitExceeded.PhoneNumberDailyLimit; HTTP_403 where it says no more.
    """

    def __init__(self, code: object) -> None:
        self.provider_code = code if isinstance(code, str) and _WORD.fullmatch(code) else "unknown"
        super().__init__(self.provider_code)


_WORD = re.compile(r"(?!.*\d{4})[A-Za-z][\w.:-]{0,99}", re.ASCII)  # never a phone, a code, or a text that has one


def send(phone: str, code: str) -> None:
    PROVIDERS[settings.sms.provider](phone, code)


def to_file(phone: str, code: str) -> None:
    with open(settings.sms.file, "a", encoding="utf-8") as file:
        file.write(f"SMS {phone} {code}\n")


def by_aliyun(phone: str, code: str) -> None:
    """https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-sendsms"""
    parameters = {
        "PhoneNumbers": phone,
        "SignName": settings.sms.sign,
        "TemplateCode": settings.sms.template,
        "TemplateParam": json.dumps({"code": code}),
    }
    url = settings.sms.endpoint_url or "https://dysmsapi.aliyuncs.com"
    query, headers = sms_signing.aliyun(url, "SendSms", "2017-05-25", parameters, clock.now())
    answer = _asked(f"{url}/?{query}", headers, b"")
    if answer.get("Code") != "OK":
        raise Failed(answer.get("Code"))


def by_tencent(phone: str, code: str) -> None:
    """https://cloud.tencent.com/document/product/382/55981"""
    body = {
        "PhoneNumberSet": [f"+86{phone}"],
        "SmsSdkAppId": settings.sms.app_id,
        "SignName": settings.sms.sign,
        "TemplateId": settings.sms.template,
        "TemplateParamSet": [code],
    }
    url, content = settings.sms.endpoint_url or "https://sms.tencentcloudapi.com", json.dumps(body).encode()
    headers = sms_signing.tencent(url, "SendSms", "2021-01-11", "sms", content, clock.now())
    answer = _asked(url, {**headers, "X-TC-Region": "ap-guangzhou"}, content).get("Response", {})
    states = answer.get("SendStatusSet") or [answer.get("Error", {})]
    if states[0].get("Code") != "Ok":
        raise Failed(states[0].get("Code"))


PROVIDERS: dict[str, Callable[[str, str], None]] = {"file": to_file, "aliyun": by_aliyun, "tencent": by_tencent}


def _asked(url: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    status, _, content = https.call("POST", url, headers, body, timeout=TIMEOUT)
    try:
        answer = json.loads(content)
    except ValueError:
        raise Failed(f"HTTP_{status}") from None
    return answer if isinstance(answer, dict) else {}
