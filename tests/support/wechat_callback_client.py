"""Calls of WeChat to a hospital's callback URL, for tests."""

from typing import Any

from chalicelib import clock
from devstack.fakes import wechat_callbacks
from devstack.fakes.wechat_callbacks import CallbackRequest, CallbackTarget
from tests.support.client import ApiResponse, build_event, call, get, invoke, post
from tests.support.factories import Hospital
from tests.support.wechat_client import APP_ID, WECHAT_PATH

TOKEN, AES_KEY = "Renhe2026", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


def build_target(hospital: Hospital, encoding_aes_key: str = AES_KEY, **fields: str) -> CallbackTarget:
    values = {"app_id": APP_ID, "url": f"{WECHAT_PATH}/callback/{hospital.tenant_id}", "token": TOKEN}
    return CallbackTarget(**{**values, "encoding_aes_key": encoding_aes_key, **fields})


def save_settings(hospital: Hospital, encoding_aes_key: str = AES_KEY, token: str = TOKEN) -> ApiResponse:
    path = f"{WECHAT_PATH}/callback_conf"
    return post(path, hospital.admin.token, callback_token=token, encoding_aes_key=encoding_aes_key)


def get_settings(hospital: Hospital) -> dict[str, Any]:
    return dict(get(f"{WECHAT_PATH}/callback_conf", hospital.admin.token).data)


def confirm(target: CallbackTarget, echostr: str = "4375120948345356249", **fields: Any) -> ApiResponse:
    query = wechat_callbacks.build_request(target, "", **fields).query
    return call("GET", target.url, query={**query, "echostr": echostr})


def set_up(hospital: Hospital, encoding_aes_key: str = AES_KEY) -> CallbackTarget:
    """Save the settings and let WeChat verify them."""
    assert save_settings(hospital, encoding_aes_key).status == 200
    target = build_target(hospital, encoding_aes_key)
    assert confirm(target).status == 200
    return target


def send(target: CallbackTarget, request: CallbackRequest) -> ApiResponse:
    headers = {"Content-Type": "text/xml"}
    return invoke(build_event("POST", target.url, headers, request.query, request.body.decode()))


def report(target: CallbackTarget, xml: str) -> ApiResponse:
    """Deliver an event."""
    return send(target, wechat_callbacks.build_request(target, xml, clock.now() // clock.SECOND))
