"""Client of WeChat's API for official accounts: the calls that this backend uses.

Every call raises WechatApiError if WeChat rejects it, and ApiError(UNAVAILABLE) if no response or a malformed one
arrives in time. WeChat expects secrets in query strings: no URL is logged, and of a response only the error code.

Source: https://developers.weixin.qq.com/doc/service/api/
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

TIMEOUT_SECONDS = 3.0  # for connecting, and for each read
INVALID_SECRET_ERRCODE = 40125
INVALID_TOKEN_ERRCODES = frozenset({40001, 40014, 42001})  # the access_token is invalid or has expired


class WechatApiError(Exception):
    """WeChat rejected a call, e.g. 40164: our IP address is not on the account's list; 40125: wrong secret.

    Source: https://developers.weixin.qq.com/doc/oplatform/Return_codes/Return_code_descriptions_new.html
    """

    def __init__(self, errcode: int) -> None:
        super().__init__(errcode)
        self.errcode = errcode


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """An access_token or jsapi_ticket."""

    value: str = field(repr=False)
    lifetime_seconds: int


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A message template that an official account has at WeChat."""

    template_id: str
    title: str
    primary_industry: str
    deputy_industry: str
    content: str  # text with fields such as {{thing1.DATA}}
    example: str


def fetch_stable_token(app_id: str, secret: str, force_refresh: bool = False) -> IssuedCredential:
    """Return the account's access_token. All callers receive the same one until it expires.

    Args:
        force_refresh: revoke the current token and issue another one.
    """
    body = {"grant_type": "client_credential", "appid": app_id, "secret": secret, "force_refresh": force_refresh}
    response = _call_with_secret("POST", "/cgi-bin/stable_token", {}, body)
    return _parse_response(
        lambda: IssuedCredential(_require_text(response["access_token"]), int(response["expires_in"]))
    )


def fetch_jsapi_ticket(token: str) -> IssuedCredential:
    """Return the account's jsapi_ticket, which signs its pages."""
    response = _call("GET", "/cgi-bin/ticket/getticket", {"access_token": token, "type": "jsapi"})
    return _parse_response(lambda: IssuedCredential(_require_text(response["ticket"]), int(response["expires_in"])))


def fetch_openid(app_id: str, secret: str, code: str) -> str:
    """Return the openid of the visitor for whom WeChat issued `code`. A code is valid once, for five minutes.

    Returns:
        "" if the page was opened as a snapshot (快照页): WeChat then makes up an openid that belongs to no user.

    Source: https://developers.weixin.qq.com/community/develop/doc/000c2c34068880629ced91a2f56001
    """
    query = {"appid": app_id, "secret": secret, "code": code, "grant_type": "authorization_code"}
    response = _call_with_secret("GET", "/sns/oauth2/access_token", query)
    return "" if response.get("is_snapshotuser") else _parse_response(lambda: _require_text(response["openid"]))


def fetch_private_templates(token: str) -> list[MessageTemplate]:
    """Return the account's message templates."""
    response = _call("GET", "/cgi-bin/template/get_all_private_template", {"access_token": token})
    names = ("template_id", "title", "primary_industry", "deputy_industry", "content", "example")
    return _parse_response(
        lambda: [
            MessageTemplate(**{name: str(template.get(name) or "") for name in names})
            for template in response["template_list"]
        ]
    )


def send_template(token: str, message: Json) -> int:
    """Send a template message and return its msg_id, 0 if WeChat gives none.

    WeChat delivers the same client_msg_id to the same user once within ten minutes.
    """
    return _parse_msg_id(_call("POST", "/cgi-bin/message/template/send", {"access_token": token}, message))


def fetch_subscription_templates(token: str) -> dict[str, str]:
    """Return the contents of the account's subscription templates by their ids."""
    response = _call("GET", "/wxaapi/newtmpl/gettemplate", {"access_token": token})
    return _parse_response(lambda: {str(one["priTmplId"]): str(one["content"]) for one in response["data"]})


def send_subscription(token: str, message: Json) -> int:
    """Send a subscription message and return its msg_id, 0 if WeChat gives none.

    Source: https://developers.weixin.qq.com/doc/service/api/notify/notify/api_sendnewsubscribemsg
    """
    return _parse_msg_id(_call("POST", "/cgi-bin/message/subscribe/bizsend", {"access_token": token}, message))


def build_authorize_url(app_id: str, page: str, state: str) -> str:
    """Return the address that identifies a visitor; WeChat redirects them back to `page` with `code` and `state`."""
    # WeChat's app rejects any other order of the parameters.
    query = {"appid": app_id, "redirect_uri": page, "response_type": "code", "scope": "snsapi_base", "state": state}
    return f"{settings.wechat_open_url}/connect/oauth2/authorize?{urlencode(query)}#wechat_redirect"


def _call_with_secret(method: str, path: str, query: dict[str, str], body: Json | None = None) -> Json:
    """Call with the account's secret instead of a token. 40001, elsewhere an invalid token, then means a wrong secret.

    Source: https://developers.weixin.qq.com/doc/store/API/basics/commErrCode.html
    """
    try:
        return _call(method, path, query, body)
    except WechatApiError as error:
        if error.errcode in INVALID_TOKEN_ERRCODES:
            raise WechatApiError(INVALID_SECRET_ERRCODE) from error
        raise


def _call(method: str, path: str, query: dict[str, str], body: Json | None = None) -> Json:
    url = f"{settings.wechat_api_url}{path}{'?' if query else ''}{urlencode(query)}"
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    status, _, raw_response = https.send_request(
        method, url, {"Content-Type": "application/json"}, content, timeout=TIMEOUT_SECONDS
    )
    response = _parse_response(lambda: _require_object(json.loads(raw_response)), status)
    if errcode := _parse_response(lambda: int(response.get("errcode", 0))):
        raise WechatApiError(errcode)
    return response


def _parse_msg_id(response: Json) -> int:
    value = str(response.get("msgid") or "")
    return int(value) if value.isascii() and value.isdigit() and int(value) < 2**63 else 0


def _parse_response(parse: Callable[[], T], status: int = 200) -> T:
    try:
        return parse()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ApiError(UNAVAILABLE, retry_after=2) from OSError(status, "malformed response from WeChat")


def _require_object(value: Any) -> Json:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _require_text(value: Any) -> str:
    if not value or not isinstance(value, str):
        raise TypeError
    return value
