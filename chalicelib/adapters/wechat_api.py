"""WeChat's API for official accounts, as much of it as is used: https://developers.weixin.qq.com/doc/service/api/

Raises Refusal where WeChat says no, ApiError(UNAVAILABLE) where it does not answer in time or makes no sense.
Secrets stand in query strings, as WeChat wants it: no URL is logged, and of its answers nothing but the number.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from chalicelib.adapters import https
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

T = TypeVar("T")
Json = dict[str, Any]

TIMEOUT_SECONDS = 3.0  # seconds of each step
INVALID_TOKEN_ERRCODES = frozenset({40001, 40014, 42001})  # this access_token is none, or none any more


class WechatApiError(Exception):
    """WeChat says no. `number` is its errcode: 40164 our address is not on the account's list, 40125 a wrong secret.

    https://developers.weixin.qq.com/doc/oplatform/Return_codes/Return_code_descriptions_new.html
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.errcode = self.number = number  # logs show `number`


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    value: str = field(repr=False)
    lifetime_seconds: int  # seconds


def fetch_stable_token(app_id: str, secret: str, anew: bool = False) -> IssuedCredential:
    """Return the account's access_token: whoever asks is given the same. `anew` ends it and makes another."""
    body = {"grant_type": "client_credential", "appid": app_id, "secret": secret, "force_refresh": anew}
    answer = _call("POST", "/cgi-bin/stable_token", {}, body)
    return _parse_response(lambda: IssuedCredential(_require_text(answer["access_token"]), int(answer["expires_in"])))


def fetch_jsapi_ticket(token: str) -> IssuedCredential:
    answer = _call("GET", "/cgi-bin/ticket/getticket", {"access_token": token, "type": "jsapi"})
    return _parse_response(lambda: IssuedCredential(_require_text(answer["ticket"]), int(answer["expires_in"])))


def fetch_openid(app_id: str, secret: str, code: str) -> str:
    """Return who gave the code to one of our pages. A code is good once, for five minutes.

    "" where the page is only looked at (快照页): then WeChat makes up an openid, which is nobody's.
    https://developers.weixin.qq.com/community/develop/doc/000c2c34068880629ced91a2f56001
    """
    query = {"appid": app_id, "secret": secret, "code": code, "grant_type": "authorization_code"}
    answer = _call("GET", "/sns/oauth2/access_token", query)
    return "" if answer.get("is_snapshotuser") else _parse_response(lambda: _require_text(answer["openid"]))


def fetch_private_templates(token: str) -> list[dict[str, str]]:
    """Return template_id, title, primary_industry, deputy_industry, content and example of each of the account's."""
    answer = _call("GET", "/cgi-bin/template/get_all_private_template", {"access_token": token})
    names = ("template_id", "title", "primary_industry", "deputy_industry", "content", "example")
    return _parse_response(
        lambda: [{name: str(one.get(name) or "") for name in names} for one in answer["template_list"]]
    )


def send_template(token: str, message: Json) -> None:
    """Send a message. The same client_msg_id to the same person is one message, within ten minutes."""
    _call("POST", "/cgi-bin/message/template/send", {"access_token": token}, message)


def build_authorize_url(app_id: str, page: str, state: str) -> str:
    """Return where a page sends its visitor to be known; WeChat sends them back to it with `code` and `state`."""
    # In this order: WeChat's own app refuses another.
    query = {"appid": app_id, "redirect_uri": page, "response_type": "code", "scope": "snsapi_base", "state": state}
    return f"{settings.wechat_open_url}/connect/oauth2/authorize?{urlencode(query)}#wechat_redirect"


def _call(method: str, path: str, query: dict[str, str], body: Json | None = None) -> Json:
    url = f"{settings.wechat_api_url}{path}{'?' if query else ''}{urlencode(query)}"
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    status, _, said = https.send_request(
        method, url, {"Content-Type": "application/json"}, content, timeout=TIMEOUT_SECONDS
    )
    answer = _parse_response(lambda: _require_object(json.loads(said)), status)
    if number := _parse_response(lambda: int(answer.get("errcode", 0))):
        raise WechatApiError(number)
    return answer


def _parse_response(make: Callable[[], T], status: int = 200) -> T:
    """Return what is made of an answer, unless it makes no sense."""
    try:
        return make()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ApiError(UNAVAILABLE, retry_after=2) from OSError(status, "WeChat makes no sense")


def _require_object(said: Any) -> Json:
    if not isinstance(said, dict):
        raise TypeError
    return said


def _require_text(value: Any) -> str:
    if not value or not isinstance(value, str):
        raise TypeError
    return value
