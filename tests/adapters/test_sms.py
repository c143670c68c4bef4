"""The SMS providers: their published signature examples, and fake servers that compute_signature our signatures."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote

import pytest

from chalicelib import logs
from chalicelib.adapters import cloud_signing, sms
from chalicelib.adapters.sms import SmsMessage
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

SECRET = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"


@dataclass
class Provider:
    """A fake provider. `response` is its response; `wrong` lists the expected values of wrong signatures."""

    url: str = ""
    status: int = 200
    response: str = ""
    compute_signature: Any = None
    requests: list[tuple[dict[str, str], str, bytes]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                provider.requests.append((headers, self.path, body))
                if (expected := provider.compute_signature(headers, self.path, body)) not in headers["authorization"]:
                    provider.wrong.append(expected)
                content = provider.response.encode()
                self.send_response(provider.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None: ...

        return Handler


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    server = HTTPServer(("127.0.0.1", 0), provider.handler())
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield provider
    server.shutdown()
    server.server_close()


@pytest.fixture
def aliyun(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    provider.compute_signature, provider.response = compute_acs3_signature, '{"Code": "OK", "BizId": "1"}'
    return configure(provider, "aliyun", monkeypatch)


@pytest.fixture
def tencent(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    provider.compute_signature, provider.response = (
        compute_tc3_signature,
        '{"Response": {"SendStatusSet": [{"Code": "Ok"}]}}',
    )
    return configure(provider, "tencent", monkeypatch)


def configure(provider: Provider, name: str, monkeypatch: pytest.MonkeyPatch) -> Provider:
    sms_settings = replace(
        settings.sms,
        provider=name,
        key_id="AKID",
        key_secret=SECRET,
        app_id="1400006666",
        sign_name="仁和医院",
        template_id="SMS_154950909",
        notice_template_id="SMS_154950910",
        endpoint_url=provider.url,
    )
    monkeypatch.setattr(sms, "settings", replace(settings, sms=sms_settings))
    return provider


def compute_acs3_signature(headers: dict[str, str], path: str, body: bytes) -> str:
    """Follow Aliyun's documentation step by step."""
    pairs = sorted(parse_qsl(path.partition("?")[2]))
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    names = sorted(name for name in headers if name == "host" or name.startswith("x-acs-"))
    assert headers["x-acs-content-sha256"] == hashlib.sha256(body).hexdigest()
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    parts = ["POST", "/", query, lines, ";".join(names), headers["x-acs-content-sha256"]]
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return (
        f"SignedHeaders={';'.join(names)},Signature=" + hmac.new(SECRET.encode(), text.encode(), "sha256").hexdigest()
    )


def compute_tc3_signature(headers: dict[str, str], path: str, body: bytes) -> str:
    """Follow Tencent's documentation step by step."""
    assert path == "/"
    date = headers["authorization"].split("Credential=")[1].split("/")[1]
    names = ["content-type", "host", "x-tc-action"]
    values = [headers["content-type"], headers["host"], headers["x-tc-action"].lower()]
    lines = "".join(f"{name}:{value}\n" for name, value in zip(names, values, strict=True))
    digest = hashlib.sha256(body).hexdigest()
    canonical = "\n".join(["POST", "/", "", lines, ";".join(names), digest])
    scope = f"{date}/sms/tc3_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["TC3-HMAC-SHA256", headers["x-tc-timestamp"], scope, digest])
    key = ("TC3" + SECRET).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return "Signature=" + hmac.new(key, text.encode(), "sha256").hexdigest()


def test_signature_example_of_aliyun() -> None:
    """From Aliyun's documentation of signature version 3."""
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    expected = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    assert cloud_signing._compute_acs3_signature("POST", query, headers, "YourAccessKeySecret") == expected


def test_signature_example_of_tencent() -> None:
    """From Tencent's documentation of signature version 3, which masks the secret as well."""
    body = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    arguments = ("cvm.tencentcloudapi.com", "DescribeInstances", "cvm", body, "2019-02-25", "1551113065")
    expected = "be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3"
    assert cloud_signing._compute_tc3_signature(*arguments, "Gu5t9xGARNpq86cd98joQYCN3*******") == expected


def test_aliyun_sends_the_code(aliyun: Provider) -> None:
    sms.send("13800000001", "042917")
    [(headers, path, body)] = aliyun.requests
    parameters = dict(parse_qsl(path.partition("?")[2]))
    assert (parameters["PhoneNumbers"], parameters["SignName"], parameters["TemplateCode"]) == (
        "13800000001",
        "仁和医院",
        "SMS_154950909",
    )
    assert json.loads(parameters["TemplateParam"]) == {"code": "042917"}
    assert (headers["x-acs-action"], headers["x-acs-version"], body) == ("SendSms", "2017-05-25", b"")
    assert aliyun.wrong == []


def test_tencent_sends_the_code(tencent: Provider) -> None:
    sms.send("13800000001", "042917")
    [(headers, _, body)] = tencent.requests
    assert json.loads(body) == {
        "PhoneNumberSet": ["+8613800000001"],
        "SmsSdkAppId": "1400006666",
        "SignName": "仁和医院",
        "TemplateId": "SMS_154950909",
        "TemplateParamSet": ["042917"],
    }
    assert (headers["x-tc-action"], headers["x-tc-version"]) == ("SendSms", "2021-01-11")
    assert tencent.wrong == []


def test_aliyun_sends_the_notice(aliyun: Provider) -> None:
    sms.send_notice("13800000001")
    [(_, path, _)] = aliyun.requests
    parameters = dict(parse_qsl(path.partition("?")[2]))
    assert (parameters["TemplateCode"], json.loads(parameters["TemplateParam"])) == ("SMS_154950910", {})
    assert aliyun.wrong == []


def test_tencent_sends_the_notice(tencent: Provider) -> None:
    sms.send_notice("13800000001")
    [(_, _, body)] = tencent.requests
    sent = json.loads(body)
    assert (sent["TemplateId"], sent["TemplateParamSet"]) == ("SMS_154950910", [])
    assert tencent.wrong == []


MESSAGE = SmsMessage("康宁医院", "SMS_480000001", {"time": "2036-01-07 09:00", "dept": "内科"})


def test_aliyun_sends_a_message_with_the_hospitals_signature(aliyun: Provider) -> None:
    sms.send_message("13800000001", MESSAGE)
    [(_, path, _)] = aliyun.requests
    query = {name: values[0] for name, values in parse_qs(path.partition("?")[2]).items()}
    assert (query["PhoneNumbers"], query["SignName"], query["TemplateCode"]) == (
        "13800000001",
        "康宁医院",
        "SMS_480000001",
    )
    assert json.loads(query["TemplateParam"]) == {"time": "2036-01-07 09:00", "dept": "内科"}
    assert aliyun.wrong == []


def test_tencent_sends_the_variables_in_their_order(tencent: Provider) -> None:
    sms.send_message("13800000001", MESSAGE)
    [(_, _, body)] = tencent.requests
    sent = json.loads(body)
    assert (sent["SignName"], sent["TemplateId"], sent["TemplateParamSet"]) == (
        "康宁医院",
        "SMS_480000001",
        ["2036-01-07 09:00", "内科"],
    )
    assert tencent.wrong == []


def test_message_is_written_for_development(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sms, "settings", replace(settings, sms=replace(settings.sms, provider="file", file_path="-")))
    sms.send_message("13800000001", MESSAGE)
    assert capsys.readouterr().err == "SMS 13800000001 【康宁医院】SMS_480000001: 2036-01-07 09:00，内科\n"


def test_message_without_a_provider_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms, "settings", replace(settings, sms=replace(settings.sms, provider="")))
    with pytest.raises(sms.SmsError):
        sms.send_message("13800000001", MESSAGE)


def test_message_to_a_closed_port_was_certainly_not_sent(aliyun: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    aliyun.url = "http://127.0.0.1:9"
    configure(aliyun, "aliyun", monkeypatch)
    with pytest.raises(sms.SmsNotSentError):
        sms.send_message("13800000001", MESSAGE)
    assert aliyun.requests == []


def test_message_to_a_failing_provider_may_have_been_sent(aliyun: Provider) -> None:
    aliyun.status = 500
    with pytest.raises(ApiError):
        sms.send_message("13800000001", MESSAGE)


def test_notice_is_not_sent_without_a_template(aliyun: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    without = replace(settings.sms, provider="aliyun", endpoint_url=aliyun.url, notice_template_id="")
    monkeypatch.setattr(sms, "settings", replace(settings, sms=without))
    sms.send_notice("13800000001")
    assert aliyun.requests == []


LIMIT, DAILY, SIGNATURE = "isv.BUSINESS_LIMIT_CONTROL", "LimitExceeded.PhoneNumberDailyLimit", "AuthFailure.Signature"


@pytest.mark.parametrize(
    ("name", "response", "code"),
    [
        ("aliyun", f'{{"Code": "{LIMIT}", "Message": "13800000001 触发分钟级流控"}}', LIMIT),
        ("tencent", f'{{"Response": {{"SendStatusSet": [{{"Code": "{DAILY}"}}]}}}}', DAILY),
        ("tencent", f'{{"Response": {{"Error": {{"Code": "{SIGNATURE}"}}}}}}', SIGNATURE),
        *((name, response, "unknown") for name in ("aliyun", "tencent") for response in ("{}", "[]", '{"Code": 7}')),
        *((name, response, "HTTP_200") for name in ("aliyun", "tencent") for response in ("", "<html>")),
        *(("aliyun", f'{{"Code": "{text}"}}', "unknown") for text in ("", "isv.13800000001", "code 042917", "验证码")),
    ],
)
def test_rejection_has_the_providers_code(
    provider: Provider, name: str, response: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.compute_signature, provider.response = (
        {"aliyun": compute_acs3_signature, "tencent": compute_tc3_signature}[name],
        response,
    )
    configure(provider, name, monkeypatch)
    with pytest.raises(sms.SmsError) as error:
        sms.send("13800000001", "042917")
    assert error.value.provider_code == code
    assert logs.describe_error(error.value) == {"error": "sms.SmsError", "provider_code": code}


def test_failing_provider_is_unavailable(aliyun: Provider) -> None:
    aliyun.status = 503
    with pytest.raises(ApiError) as error:
        sms.send("13800000001", "042917")
    assert error.value.kind is UNAVAILABLE
