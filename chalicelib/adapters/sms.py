"""Send verification codes and notices by SMS, through the provider that is configured for the stage.

A provider needs a template that it has approved for the hospital. To add a provider, write a `send_by_…` function, add
it to PROVIDERS, and add its name to the parameter SmsProvider in infra/overlay.py; CONTRIBUTING.md lists all places.
The provider `file`, for development, appends phone and code to a file or writes them to standard error.
A notice has a template without variables: it says that an account is bound to the patient file of this phone. Messages
have signatures and templates of each hospital, which are approved under the deployment's account at the provider.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib import clock
from chalicelib.adapters import cloud_signing, https
from chalicelib.adapters.cloud_signing import AccessKey
from chalicelib.errors import ApiError
from chalicelib.settings import settings

TIMEOUT_SECONDS = 2.0  # for connecting, and for each read; short, because other codes wait in the queue


class SmsError(Exception):
    """The provider rejected a message.

    Attributes:
        provider_code: the provider's error code, such as isv.BUSINESS_LIMIT_CONTROL (Aliyun) or
            LimitExceeded.PhoneNumberDailyLimit (Tencent); HTTP_403 for a response that is not JSON; "unknown" for
            a code that must not be logged.
    """

    def __init__(self, code: object) -> None:
        self.provider_code = code if isinstance(code, str) and _LOGGABLE_CODE.fullmatch(code) else "unknown"
        super().__init__(self.provider_code)


class SmsNotSentError(Exception):
    """The provider could not be connected to, so a message was certainly not sent."""


@dataclass(frozen=True, slots=True)
class SmsMessage:
    """A message by a template that the provider has approved for a hospital."""

    sign_name: str
    template_id: str
    variables: Mapping[str, str]  # in the order of the template


# An identifier without four successive digits, which a phone number or verification code would have.
_LOGGABLE_CODE = re.compile(r"(?!.*\d{4})[A-Za-z][\w.:-]{0,99}", re.ASCII)


def send(phone: str, code: str) -> None:
    """Send a code to a phone.

    Raises:
        SmsError: the provider rejected the message.
        ApiError: 503 if the provider cannot be reached.
    """
    PROVIDERS[settings.sms.provider](phone, code)


def send_notice(phone: str) -> None:
    """Send the notice to a phone, if the provider has a template for it. Raises as `send` does."""
    provider = settings.sms.provider
    if provider == "file" or (provider and settings.sms.notice_template_id):
        PROVIDERS[provider](phone, None)


def send_message(phone: str, message: SmsMessage) -> None:
    """Send a message with a hospital's own signature and template.

    Raises:
        SmsNotSentError: it was not sent, and can be sent again.
        SmsError: the provider rejected it, or there is no provider.
        ApiError: 503 if it is not known whether the provider has accepted it.
    """
    from socket import gaierror

    send = {"file": _write_message, "aliyun": _call_aliyun, "tencent": _call_tencent}.get(settings.sms.provider)
    if send is None:
        raise SmsError("NoProvider")
    try:
        send(phone, message)
    except ApiError as error:
        if isinstance(error.__cause__, ConnectionRefusedError | gaierror):
            raise SmsNotSentError from error
        raise


def send_to_file(phone: str, code: str | None) -> None:
    """Append phone and code to SMS_FILE, or write them to standard error if it is "-"; without a code, the notice."""
    _write_line(f"SMS {phone} {code or 'notice'}\n")


def _write_message(phone: str, message: SmsMessage) -> None:
    """Write a message as `send_to_file` does."""
    values = "，".join(message.variables.values())
    _write_line(f"SMS {phone} 【{message.sign_name}】{message.template_id}: {values}\n")


def _write_line(line: str) -> None:
    if settings.sms.file_path == "-":  # unlike /dev/stderr: a file opened again has a position of its own
        sys.stderr.write(line)
        sys.stderr.flush()
        return
    with open(settings.sms.file_path, "a", encoding="utf-8") as file:
        file.write(line)


def send_by_aliyun(phone: str, code: str | None) -> None:
    """Send a code by Aliyun; without a code, the notice.

    Source: https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-sendsms
    """
    _call_aliyun(phone, SmsMessage(settings.sms.sign_name, _get_template_id(code), {"code": code} if code else {}))


def _call_aliyun(phone: str, message: SmsMessage) -> None:
    parameters = {
        "PhoneNumbers": phone,
        "SignName": message.sign_name,
        "TemplateCode": message.template_id,
        "TemplateParam": json.dumps(dict(message.variables), ensure_ascii=False),
    }
    url = settings.sms.endpoint_url or "https://dysmsapi.aliyuncs.com"
    query, headers = cloud_signing.sign_aliyun_request(
        _get_key(), url, "SendSms", "2017-05-25", parameters, clock.now()
    )
    response = _post_request(f"{url}/?{query}", headers, b"")
    if response.get("Code") != "OK":
        raise SmsError(response.get("Code"))


def send_by_tencent(phone: str, code: str | None) -> None:
    """Send a code by Tencent Cloud; without a code, the notice.

    Source: https://cloud.tencent.com/document/product/382/55981
    """
    _call_tencent(phone, SmsMessage(settings.sms.sign_name, _get_template_id(code), {"code": code} if code else {}))


def _call_tencent(phone: str, message: SmsMessage) -> None:
    body = {
        "PhoneNumberSet": [f"+86{phone}"],
        "SmsSdkAppId": settings.sms.app_id,
        "SignName": message.sign_name,
        "TemplateId": message.template_id,
        "TemplateParamSet": [*message.variables.values()],
    }
    url, content = settings.sms.endpoint_url or "https://sms.tencentcloudapi.com", json.dumps(body).encode()
    headers = cloud_signing.sign_tencent_request(_get_key(), url, "SendSms", "2021-01-11", "sms", content, clock.now())
    response = _post_request(url, {**headers, "X-TC-Region": "ap-guangzhou"}, content).get("Response", {})
    results = response.get("SendStatusSet") or [response.get("Error", {})]
    if results[0].get("Code") != "Ok":
        raise SmsError(results[0].get("Code"))


PROVIDERS: dict[str, Callable[[str, str | None], None]] = {
    "file": send_to_file,
    "aliyun": send_by_aliyun,
    "tencent": send_by_tencent,
}


def _get_key() -> AccessKey:
    return AccessKey(settings.sms.key_id, settings.sms.key_secret)


def _get_template_id(code: str | None) -> str:
    return settings.sms.template_id if code else settings.sms.notice_template_id


def _post_request(url: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    status, _, content = https.send_request("POST", url, headers, body, timeout=TIMEOUT_SECONDS)
    try:
        response = json.loads(content)
    except ValueError:
        raise SmsError(f"HTTP_{status}") from None
    return response if isinstance(response, dict) else {}
