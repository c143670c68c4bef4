"""wx/jsapi/signature: sign the hospital's pages for WeChat's JS-SDK."""

import hashlib
import json
from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import mysql, wechat_api
from chalicelib.logs import JsonFormatter
from chalicelib.people import tenants
from chalicelib.wechat import page_signatures
from devstack.fakes.wechat import WeChat
from tests.support.client import ApiResponse, post
from tests.support.factories import Hospital
from tests.support.metric_filters import get_pattern, matches
from tests.support.threads import run_in_threads
from tests.support.wechat_client import APP_ID, SITE_URL, configure

PATH = "/pati_service/wx/jsapi/signature"
PAGE = f"{SITE_URL}/book?dept=1&from=menu"
TOKEN_PATH, TICKET_PATH = "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket"


def sign(hospital: Hospital, url: Any = PAGE) -> ApiResponse:
    """Request a signature as a visitor without a token."""
    return post(PATH, headers={"tenantId": str(hospital.tenant_id)}, url=url)


def is_signed(data: dict[str, Any], ticket: str, url: str = PAGE) -> bool:
    """Verify a signature as WeChat does: over the fields sorted by name."""
    fields = {"noncestr": data["nonceStr"], "jsapi_ticket": ticket, "timestamp": data["timestamp"], "url": url}
    text = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
    return bool(data["signature"] == hashlib.sha1(text.encode()).hexdigest())


def test_signature_of_wechats_example() -> None:
    """Source: the JS-SDK's documentation, appendix 1."""
    ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
    page = "http://mp.weixin.qq.com?params=value"
    expected = "0f9de62fce790f9a083d5c99e95740ceb90c27ed"
    assert page_signatures.compute_signature(ticket, "Wm3WZYTPz0wzccnW", "1414587457", page) == expected


def test_page_of_the_hospital_is_signed(configured_hospital: Hospital, wechat: WeChat) -> None:
    data = sign(configured_hospital).data
    assert (data["appId"], data["url"]) == (APP_ID, PAGE)
    assert is_signed(data, wechat.tickets[APP_ID])
    assert len(data["timestamp"]) == 10
    assert sign(configured_hospital).data["nonceStr"] != data["nonceStr"]


def test_fragment_is_not_signed(configured_hospital: Hospital, wechat: WeChat) -> None:
    data = sign(configured_hospital, f"{PAGE}#/doctors/12?a=b#c").data
    assert data["url"] == PAGE
    assert is_signed(data, wechat.tickets[APP_ID])


@pytest.mark.parametrize(
    "url", [SITE_URL, f"{SITE_URL}/", "https://H5.Renhe.Example/x", f"{SITE_URL}:443/x", f"{SITE_URL}/医院?q=科"]
)
def test_every_page_of_the_domain_is_signed(configured_hospital: Hospital, url: str) -> None:
    assert sign(configured_hospital, url).data["url"] == url


def test_page_of_a_registered_host_is_signed(configured_hospital: Hospital, other_hospital: Hospital) -> None:
    ours, theirs = f"a{configured_hospital.tenant_id}.example", f"a{other_hospital.tenant_id}.example"
    for hospital, host in ((configured_hospital, ours), (other_hospital, theirs)):
        mysql.run_transaction(partial(tenants.add_host, tenant_id=hospital.tenant_id, host=host))
    assert sign(configured_hospital, f"https://{ours}/x").status == 200
    assert sign(configured_hospital, f"https://{theirs}/x").status == 400


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "/book", "http://h5.renhe.example/book", "https://", "https://evil.example/", "javascript:alert(1)"),
        *(f"{SITE_URL}.evil.example/", "https://evil-h5.renhe.example/", "https://x.h5.renhe.example/"),
        *(
            f"{SITE_URL}@evil.example/",
            "https://evil.example\\@h5.renhe.example/",
            f"{SITE_URL}:8443/",
            f"{SITE_URL}:@evil.example",
        ),
        *(
            f"https://evil.example/?{SITE_URL}",
            f"https://evil.example#{SITE_URL}/",
            f"{SITE_URL}/a b",
            f"{SITE_URL}/\n",
            f" {SITE_URL}/",
        ),
        *(f"{SITE_URL}./", f"{SITE_URL}:0443/", f"{SITE_URL}:443@evil.example/"),
        *("https:h5.renhe.example/", "https:/h5.renhe.example/", "https:///h5.renhe.example/"),
        *("https://@h5.renhe.example/", "https://h5．renhe.example/", "https://h5.renhe。example/"),
        *("https://h5.renhe.example%2F@evil.example/", "https://h5%2Erenhe.example/"),
        *(f"{SITE_URL}\\.evil.example", f"{SITE_URL}/\x00", f"{SITE_URL}/{'a' * 2048}", 12, None),
    ],
)
def test_other_pages_are_rejected(configured_hospital: Hospital, wechat: WeChat, url: Any) -> None:
    response = sign(configured_hospital, url)
    assert (response.status, response.error.partition("：")[0]) == (400, "url")
    assert wechat.calls.total() == 0


def test_hospital_without_account_returns_404(hospital: Hospital, wechat: WeChat) -> None:
    response = sign(hospital)
    assert (response.status, response.error) == (404, "微信公众号尚未配置")
    assert wechat.calls.total() == 0


def test_request_without_tenant_returns_400(configured_hospital: Hospital, other_hospital: Hospital) -> None:
    assert {configured_hospital.tenant_id, other_hospital.tenant_id}
    assert post(PATH, url=PAGE).status == 400


def test_hospital_signs_with_its_own_ticket(
    configured_hospital: Hospital, other_hospital: Hospital, wechat: WeChat
) -> None:
    other_app_id, other_site = "wx0123456789abcdef", "https://h5.elsewhere.example"
    wechat.accounts[other_app_id] = "another"
    configure(other_hospital, app_id=other_app_id, app_secret="another", auth_url=other_site)
    assert is_signed(sign(configured_hospital).data, wechat.tickets[APP_ID])
    assert is_signed(sign(other_hospital, other_site).data, wechat.tickets[other_app_id], other_site)
    assert sign(other_hospital, PAGE).status == 400
    assert wechat.tickets[APP_ID] != wechat.tickets[other_app_id]


def test_many_signatures_fetch_one_ticket(configured_hospital: Hospital, wechat: WeChat) -> None:
    responses = run_in_threads([partial(sign, configured_hospital)] * 20)
    assert all(is_signed(one.data, wechat.tickets[APP_ID]) for one in responses)
    assert wechat.calls == {TOKEN_PATH: 1, TICKET_PATH: 1}


def test_timeout_of_wechat_returns_503_until_it_responds(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wechat_api, "TIMEOUT_SECONDS", 0.2)
    wechat.accepting.clear()
    response = sign(configured_hospital)
    assert (response.status, response.code, response.headers["Retry-After"]) == (503, 10007, "2")
    wechat.accepting.set()
    configure(configured_hospital)  # a new configuration does not use the cached failure
    assert sign(configured_hospital).status == 200


@pytest.mark.parametrize("failing", [500, 404, ""])
def test_malformed_response_of_wechat_returns_503(
    configured_hospital: Hospital, wechat: WeChat, failing: int | str
) -> None:
    wechat.failures[TICKET_PATH] = failing
    assert sign(configured_hospital).status == 503


def test_errcode_of_wechat_is_returned_and_logged(
    configured_hospital: Hospital, wechat: WeChat, caplog: pytest.LogCaptureFixture
) -> None:
    wechat.ip_denied = True
    response = sign(configured_hospital)
    error = "微信公众平台的 IP 白名单中没有本系统的地址，请医院管理员修改（微信错误码 40164）"
    assert (response.status, response.code, response.error) == (409, 10005, error)
    [line] = [one for one in caplog.records if one.message == "wechat account misconfigured"]
    assert line.__dict__["ids"] == {"error": "wechat_api.WechatApiError", "errcode": 40164}
    formatted = json.loads(JsonFormatter().format(line))
    assert matches(get_pattern("WechatRefusing"), formatted), "an alarm counts these lines"


@pytest.mark.parametrize(
    ("path", "number", "status", "text"),
    [
        (TOKEN_PATH, 40013, 409, "公众号设置的 app_id 不正确，请医院管理员修改（微信错误码 40013）"),
        (TOKEN_PATH, 41002, 409, "公众号设置的 app_id 不正确，请医院管理员修改（微信错误码 41002）"),
        (TOKEN_PATH, 40125, 409, "公众号设置的 app_secret 不正确，请医院管理员修改（微信错误码 40125）"),
        (TOKEN_PATH, 40001, 409, "公众号设置的 app_secret 不正确，请医院管理员修改（微信错误码 40125）"),
        (TOKEN_PATH, 89503, 409, "微信公众平台的 IP 白名单中没有本系统的地址，请医院管理员修改（微信错误码 89503）"),
        (TICKET_PATH, 48001, 409, "该公众号没有此接口的权限，或已被微信限制，请医院管理员修改（微信错误码 48001）"),
        (TICKET_PATH, 40001, 503, "微信服务暂时不可用（微信错误码 40001）"),
        (TOKEN_PATH, 45009, 503, "微信服务暂时不可用（微信错误码 45009）"),
        (TOKEN_PATH, -1, 503, "微信服务暂时不可用（微信错误码 -1）"),
    ],
)
def test_wrong_setting_is_named_and_other_errors_are_503(
    configured_hospital: Hospital, wechat: WeChat, path: str, number: int, status: int, text: str
) -> None:
    wechat.failures[path] = number
    for _ in range(2):  # the second from the cache of failures
        response = sign(configured_hospital)
        assert (response.status, response.error) == (status, text)


def test_failure_is_cached_until_the_secret_changes(configured_hospital: Hospital, wechat: WeChat) -> None:
    configure(configured_hospital, app_secret="wrong")
    for _ in range(3):
        assert "40125" in sign(configured_hospital).error
    assert wechat.calls[TOKEN_PATH] == 1
    configure(configured_hospital)
    assert sign(configured_hospital).status == 200


def test_secret_token_and_ticket_are_not_logged(
    configured_hospital: Hospital, wechat: WeChat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    sign(configured_hospital)
    wechat.ip_denied = True
    configure(configured_hospital)
    sign(configured_hospital)
    logged = "".join(f"{one.getMessage()}{one.__dict__}" for one in caplog.records)
    secrets = [*wechat.accounts.values(), *wechat.tokens.values(), *wechat.tickets.values()]
    assert [one for one in secrets if one in logged] == []
