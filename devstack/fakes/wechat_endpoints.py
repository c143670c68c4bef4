"""Endpoints of the fake WeChat, with the error codes that WeChat documents."""

import json
import re
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from devstack.fakes.wechat import WeChat

Json = dict[str, Any]
HttpResponse = tuple[int, bytes, dict[str, str]]

# App id and secret of the demo hospitals' accounts.
DEMO_ACCOUNTS = {
    "demo": ("wxdemo000000000001", "renhe-not-secret"),
    "demo-other": ("wxdemo000000000002", "kangning-not-secret"),
}
FIELD_PLACEHOLDER = re.compile(r"\{\{(\w+)\.DATA\}\}")
BOOKED_TEMPLATE_ID, CANCELLED_TEMPLATE_ID, REGISTERED_TEMPLATE_ID, REVISIT_TEMPLATE_ID, ANSWERED_TEMPLATE_ID = (
    f"{name:_<43}" for name in ("book", "cancel", "register", "revisit", "answer")
)
TEMPLATES = {
    BOOKED_TEMPLATE_ID: "就诊人：{{thing1.DATA}}\n就诊科室：{{thing2.DATA}}\n"
    "就诊医生：{{thing3.DATA}}\n就诊时间：{{time4.DATA}}\n"
    "预约编号：{{character_string5.DATA}}",
    CANCELLED_TEMPLATE_ID: "就诊人：{{thing1.DATA}}\n就诊科室：{{thing2.DATA}}\n就诊时间：{{time3.DATA}}\n"
    "取消原因：{{thing4.DATA}}",
    REGISTERED_TEMPLATE_ID: "患者姓名：{{keyword1.DATA}}\n就诊科室：{{keyword2.DATA}}\n就诊序号：{{keyword3.DATA}}\n"
    "候诊地点：{{keyword4.DATA}}",
    REVISIT_TEMPLATE_ID: "就诊人：{{name1.DATA}}\n就诊医生：{{name2.DATA}}\n复诊日期：{{date3.DATA}}",
    ANSWERED_TEMPLATE_ID: "医生：{{thing1.DATA}}\n回复时间：{{time2.DATA}}",
}
MAX_FORCED_REFRESHES = 20
APPROVED_CONSTANTS = {"预约成功"}  # texts accepted in `const` fields of all templates
MAX_FIELD_LENGTHS = {"thing": 20, "character_string": 32, "name": 10, "phrase": 5, "number": 32, "amount": 16}
FIELD_PATTERNS = {
    "character_string": re.compile(r"[\x21-\x7e]+"),
    "number": re.compile(r"[0-9.]+"),
    "amount": re.compile(r"￥?[0-9]+(\.[0-9]{1,2})?元?"),
    "time": re.compile(r"(\d{4}年\d{1,2}月\d{1,2}日 )?\d\d:\d\d"),
    "phrase": re.compile("[\u4e00-\u9fff]+"),
    "date": re.compile(r"\d{4}年\d{1,2}月\d{1,2}日( \d\d:\d\d)?"),
}


class WeChatError(Exception):
    """WeChat rejects a call with an errcode."""

    def __init__(self, errcode: int) -> None:
        super().__init__(errcode)
        self.errcode = errcode


def handle_request(wechat: "WeChat", method: str, path: str, query: dict[str, str], body: bytes) -> Json:
    """Return the JSON of the response.

    Raises:
        WeChatError: if the call is rejected.
    """
    handler = HANDLERS.get((method, path))
    if handler is None:
        raise WeChatError(40066)
    if wechat.ip_denied and not path.startswith(("/sns/", "/connect/")):
        raise WeChatError(40164)
    return handler(wechat, query, body)


def get_stable_token(wechat: "WeChat", _: dict[str, str], body: bytes) -> Json:
    """Issue the account's access_token; all callers receive the same one."""
    request = json.loads(body)
    if request.get("grant_type") != "client_credential":
        raise WeChatError(40002)
    app_id = require_app_secret(wechat, request.get("appid", ""), request.get("secret", ""), 40125)
    if app_id not in wechat.tokens or (request.get("force_refresh") and allows_forced_refresh(wechat, app_id)):
        wechat.tokens[app_id] = secrets.token_urlsafe(96)
    return {"access_token": wechat.tokens[app_id], "expires_in": wechat.token_lifetime_seconds}


def allows_forced_refresh(wechat: "WeChat", app_id: str) -> bool:
    """Return whether a forced refresh issues a new token: at most every 30 s, and twenty times a day.

    Source: https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken
    """
    before, now = wechat.forced_refreshes.setdefault(app_id, []), time.monotonic()
    if len(before) >= MAX_FORCED_REFRESHES:
        raise WeChatError(45009)
    before.append(now)
    return len(before) < 2 or now - before[-2] >= 30


def get_ticket(wechat: "WeChat", query: dict[str, str], _: bytes) -> Json:
    """Issue the account's jsapi_ticket."""
    app_id = require_access_token(wechat, query)
    if query.get("type") != "jsapi":
        raise WeChatError(40097)
    ticket = wechat.tickets.setdefault(app_id, secrets.token_urlsafe(64))
    return {"errcode": 0, "errmsg": "ok", "ticket": ticket, "expires_in": wechat.token_lifetime_seconds}


def exchange_code(wechat: "WeChat", query: dict[str, str], _: bytes) -> Json:
    """Return the openid of the visitor for whom a code was issued."""
    app_id = require_app_secret(wechat, query.get("appid", ""), query.get("secret", ""), 40001)
    code = query.get("code", "")
    if query.get("grant_type") != "authorization_code":
        raise WeChatError(40002)
    if code in wechat.used_codes:
        raise WeChatError(40163)
    if wechat.codes.get(code, ("", ""))[0] != app_id:
        raise WeChatError(40029)
    wechat.used_codes.add(code)
    openid = wechat.codes[code][1]
    tokens = {"access_token": "own", "expires_in": 7200, "refresh_token": "own", "scope": "snsapi_base"}
    return {**tokens, "openid": openid, **({"is_snapshotuser": 1} if openid in wechat.snapshot_openids else {})}


def authorize(wechat: "WeChat", query: dict[str, str], _: bytes) -> Json:
    """Redirect to the page at once, always with the same visitor."""
    if query.get("appid") not in wechat.accounts or query.get("scope") != "snsapi_base":
        raise WeChatError(10003)
    return {"location": build_redirect_url(wechat, query, f"oDemo{'0' * 23}")}


def build_redirect_url(wechat: "WeChat", query: dict[str, str], openid: str) -> str:
    """Return the page's address with a new code and the state."""
    page = query["redirect_uri"]
    parameters = {"code": wechat.issue_code(query["appid"], openid), "state": query.get("state", "")}
    return f"{page}{'&' if '?' in page else '?'}{urlencode(parameters)}"


def list_templates(wechat: "WeChat", query: dict[str, str], _: bytes) -> Json:
    """Return the account's templates."""
    require_access_token(wechat, query)
    listed = []
    for template_id, text in wechat.templates.items():
        has_industry = "keyword" in text  # templates from before there were categories
        primary, deputy = ("医疗护理", "保健与卫生") if has_industry else (None, None)
        template = {"template_id": template_id, "title": "通知", "primary_industry": primary, "deputy_industry": deputy}
        listed.append({**template, "content": text, "example": ""})
    return {"template_list": listed}


def send_template_message(wechat: "WeChat", query: dict[str, str], body: bytes) -> Json:
    """Validate a message and store it, unless the recipient has received its client_msg_id."""
    app_id, message = require_access_token(wechat, query), json.loads(body)
    if message.get("template_id") not in wechat.templates:
        raise WeChatError(40037)
    if wechat.followers is not None and message.get("touser") not in wechat.followers:
        raise WeChatError(43004)
    for name in FIELD_PLACEHOLDER.findall(wechat.templates[message["template_id"]]):
        check_field(name, message.get("data", {}).get(name, {}).get("value", ""))
    dedup_key = (message.get("touser"), message.get("client_msg_id"))
    if not dedup_key[1] or dedup_key not in [(sent["touser"], sent.get("client_msg_id")) for sent in wechat.sent]:
        wechat.sent.append({**message, "app_id": app_id})
        wechat.on_send(
            f"  WeChat to {message['touser']}: {'，'.join(field['value'] for field in message['data'].values())}"
        )
    return {"errcode": 0, "errmsg": "ok", "msgid": len(wechat.sent)}


def list_subscription_templates(wechat: "WeChat", query: dict[str, str], _: bytes) -> Json:
    """Return the account's subscription templates."""
    require_access_token(wechat, query)
    listed = [{"priTmplId": key, "content": text, "type": 2} for key, text in wechat.subscription_templates.items()]
    return {"errcode": 0, "errmsg": "ok", "data": listed}


def send_subscription_message(wechat: "WeChat", query: dict[str, str], body: bytes) -> Json:
    """Validate a message, use the recipient's consent, and store the message."""
    app_id, message = require_access_token(wechat, query), json.loads(body)
    if message.get("template_id") not in wechat.subscription_templates:
        raise WeChatError(40037)
    for name in FIELD_PLACEHOLDER.findall(wechat.subscription_templates[message["template_id"]]):
        check_field(name, message.get("data", {}).get(name, {}).get("value", ""))
    consent = (message.get("touser"), message["template_id"])
    if wechat.consents[consent] < 1:
        raise WeChatError(43101)
    wechat.consents[consent] -= 1
    wechat.sent.append({**message, "app_id": app_id})
    wechat.on_send(
        f"  WeChat 订阅 to {message['touser']}: {'，'.join(one['value'] for one in message['data'].values())}"
    )
    return {"errcode": 0, "errmsg": "ok", "msgid": len(wechat.sent)}


def check_field(name: str, value: str) -> None:
    """Validate the value of a template field.

    Raises:
        WeChatError: 47003 if WeChat does not accept it.

    Source: https://developers.weixin.qq.com/doc/service/guide/product/template_message/Template_Message_Interface.html
    """
    field_type = name.rstrip("0123456789")
    pattern = FIELD_PATTERNS.get(field_type)
    if field_type == "const" and value in ("", *APPROVED_CONSTANTS):
        return
    if (
        field_type == "const"
        or not value
        or len(value) > MAX_FIELD_LENGTHS.get(field_type, 200)
        or (pattern and not pattern.fullmatch(value))
    ):
        raise WeChatError(47003)


def require_app_secret(wechat: "WeChat", app_id: str, secret: str, errcode: int) -> str:
    """Return the app id; raise WeChatError(errcode) if the secret is wrong."""
    if wechat.accepts_any_account:
        return app_id
    if app_id not in wechat.accounts:
        raise WeChatError(40013)
    if wechat.accounts[app_id] != secret:
        raise WeChatError(errcode)
    return app_id


def require_access_token(wechat: "WeChat", query: dict[str, str]) -> str:
    """Return the app id that an access_token belongs to."""
    token = query.get("access_token")
    for app_id, current in wechat.tokens.items():
        if token == current and token not in wechat.invalid_tokens:
            return app_id
    raise WeChatError(40001 if token else 41001)


HANDLERS: dict[tuple[str, str], Callable[["WeChat", dict[str, str], bytes], Json]] = {
    ("POST", "/cgi-bin/stable_token"): get_stable_token,
    ("GET", "/cgi-bin/ticket/getticket"): get_ticket,
    ("GET", "/sns/oauth2/access_token"): exchange_code,
    ("GET", "/connect/oauth2/authorize"): authorize,
    ("GET", "/cgi-bin/template/get_all_private_template"): list_templates,
    ("POST", "/cgi-bin/message/template/send"): send_template_message,
    ("GET", "/wxaapi/newtmpl/gettemplate"): list_subscription_templates,
    ("POST", "/cgi-bin/message/subscribe/bizsend"): send_subscription_message,
}
