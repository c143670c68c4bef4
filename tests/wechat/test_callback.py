"""wechat/callback: only WeChat's own calls take effect, each once."""

import time
from dataclasses import replace
from functools import partial

import pytest

from devstack.fakes import wechat_callbacks
from devstack.fakes.wechat_callbacks import CallbackTarget
from tests.support.booking_client import list_rows
from tests.support.factories import Hospital
from tests.support.threads import run_in_threads
from tests.support.wechat_callback_client import (
    AES_KEY,
    TOKEN,
    build_target,
    confirm,
    get_settings,
    report,
    save_settings,
    send,
    set_up,
)
from tests.support.wechat_notifications import LIN_OPENID, bind_openid

pytestmark = pytest.mark.store
BOTH_MODES = pytest.mark.parametrize("encoding_aes_key", [AES_KEY, ""])
OTHER_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg"


@pytest.fixture
def target(configured_hospital: Hospital) -> CallbackTarget:
    """The callback URL of a hospital in encrypted mode, whose patient Lin follows the account."""
    bind_openid(configured_hospital.lin, LIN_OPENID)
    return set_up(configured_hospital)


def is_following(hospital: Hospital) -> bool:
    [row] = list_rows("wechat_openids", hospital)
    return row["unfollowed_at"] is None


@BOTH_MODES
def test_address_is_confirmed_by_its_echo(configured_hospital: Hospital, encoding_aes_key: str) -> None:
    save_settings(configured_hospital, encoding_aes_key)
    assert not get_settings(configured_hospital)["verified"]
    response = confirm(build_target(configured_hospital, encoding_aes_key), "<b>1</b>")
    assert (response.status, response.content) == (200, b"<b>1</b>")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert get_settings(configured_hospital)["verified"]


@BOTH_MODES
def test_event_takes_effect(configured_hospital: Hospital, encoding_aes_key: str) -> None:
    bind_openid(configured_hospital.lin, LIN_OPENID)
    target = set_up(configured_hospital, encoding_aes_key)
    response = report(target, wechat_callbacks.build_event(LIN_OPENID, "unsubscribe"))
    assert (response.status, response.content) == (200, b"success")
    assert not is_following(configured_hospital)
    report(target, wechat_callbacks.build_event(LIN_OPENID, "subscribe"))
    assert is_following(configured_hospital)


def test_first_call_verifies_the_settings(configured_hospital: Hospital) -> None:
    """WeChat may have verified the same address before, with values of another system."""
    save_settings(configured_hospital)
    report(build_target(configured_hospital), wechat_callbacks.build_event(LIN_OPENID, "VIEW"))
    assert get_settings(configured_hospital)["verified"]


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": ""},
        {"signature": "0" * 40},
        {"signature": "签" * 40},
        {"timestamp": "x"},
        {"timestamp": ""},
        {"timestamp": "1"},
        {"nonce": "other"},
        {"msg_signature": ""},
        {"msg_signature": "0" * 40},
    ],
)
def test_forged_signature_is_rejected(
    target: CallbackTarget, configured_hospital: Hospital, changes: dict[str, str]
) -> None:
    request = wechat_callbacks.build_request(target, wechat_callbacks.build_event(LIN_OPENID, "unsubscribe"))
    response = send(target, replace(request, query=request.query | changes))
    assert (response.status, response.code) == (401, 10103)
    assert is_following(configured_hospital)
    assert list_rows("wechat_callbacks", configured_hospital) == []


@pytest.mark.parametrize("seconds", [-301, 302])
def test_old_and_future_timestamps_are_rejected(target: CallbackTarget, seconds: int) -> None:
    stamp = int(time.time()) + seconds
    request = wechat_callbacks.build_request(target, wechat_callbacks.build_event(LIN_OPENID, "VIEW"), stamp)
    assert send(target, request).status == 401
    assert confirm(target, timestamp=stamp).status == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "Another1"},
        {"encoding_aes_key": OTHER_KEY},
        {"encoding_aes_key": ""},
        {"app_id": "wxd930ea5d5a258f40"},
    ],
)
def test_call_with_other_settings_is_rejected(
    target: CallbackTarget, configured_hospital: Hospital, changes: dict[str, str]
) -> None:
    """Without encryption, where it is set up, WeChat has not signed the body."""
    forged = replace(target, **changes)
    assert report(forged, wechat_callbacks.build_event(LIN_OPENID, "unsubscribe")).status in (400, 401)
    assert is_following(configured_hospital)


def test_encrypted_call_for_another_hospital_is_rejected(
    target: CallbackTarget, configured_hospital: Hospital, other_hospital: Hospital
) -> None:
    set_up(other_hospital)
    request = wechat_callbacks.build_request(target, wechat_callbacks.build_event(LIN_OPENID, "unsubscribe"))
    assert send(build_target(other_hospital), request).status == 400, "it has no account, or another one"
    assert is_following(configured_hospital)


@BOTH_MODES
def test_replayed_call_has_no_further_effect(configured_hospital: Hospital, encoding_aes_key: str) -> None:
    bind_openid(configured_hospital.lin, LIN_OPENID)
    target = set_up(configured_hospital, encoding_aes_key)
    left = wechat_callbacks.build_event(LIN_OPENID, "unsubscribe")
    first = wechat_callbacks.build_request(target, left)
    send(target, first)
    report(target, wechat_callbacks.build_event(LIN_OPENID, "subscribe"))
    for request in (first, wechat_callbacks.build_request(target, left)):  # a replay, and WeChat's repetition
        response = send(target, request)
        assert (response.status, response.content) == (200, b"success")
    assert is_following(configured_hospital)


def test_signature_of_plain_mode_is_good_for_one_content(configured_hospital: Hospital) -> None:
    """WeChat does not sign the body there: whoever has seen a call could otherwise send anything."""
    bind_openid(configured_hospital.lin, LIN_OPENID)
    target = set_up(configured_hospital, "")
    request = wechat_callbacks.build_request(target, wechat_callbacks.build_event(LIN_OPENID, "VIEW"))
    assert send(target, request).status == 200
    forged = wechat_callbacks.build_event(LIN_OPENID, "unsubscribe").encode()
    assert send(target, replace(request, body=forged)).status == 401
    assert is_following(configured_hospital)


def test_concurrent_repetitions_take_effect_once(target: CallbackTarget, configured_hospital: Hospital) -> None:
    xml = wechat_callbacks.build_event(LIN_OPENID, "unsubscribe")
    assert [one.status for one in run_in_threads([partial(report, target, xml)] * 4)] == [200] * 4
    assert len(list_rows("wechat_callbacks", configured_hospital)) == 1


def test_events_of_one_second_are_not_taken_for_repetitions(
    target: CallbackTarget, configured_hospital: Hospital
) -> None:
    for msg_id in (1, 2):
        content = f"<MsgID>{msg_id}</MsgID><Status>success</Status>"
        report(target, wechat_callbacks.build_event(LIN_OPENID, "TEMPLATESENDJOBFINISH", content, 1767576600))
    assert len(list_rows("wechat_callbacks", configured_hospital)) == 2


def test_message_of_a_user_is_acknowledged(target: CallbackTarget) -> None:
    xml = "<xml><FromUserName>o1</FromUserName><MsgType>text</MsgType><MsgId>1</MsgId><Content>你好</Content></xml>"
    assert report(target, xml).content == b"success"


@pytest.mark.parametrize("body", ["", "{}", "<xml>", "<!DOCTYPE xml><xml/>"])
def test_malformed_body_is_rejected(configured_hospital: Hospital, body: str) -> None:
    target = set_up(configured_hospital, "")
    assert report(target, body).status == 400


def test_large_body_is_rejected(target: CallbackTarget) -> None:
    assert report(target, f"<xml><A>{'x' * 70_000}</A></xml>").status == 413


def test_hospital_without_settings(configured_hospital: Hospital) -> None:
    target = build_target(configured_hospital)
    assert confirm(target).status == 404
    assert report(target, wechat_callbacks.build_event(LIN_OPENID, "VIEW")).status == 404
    unknown = replace(target, url="/pati_service/wechat/callback/9007199254740000")
    assert confirm(unknown).status == 404


def test_settings_are_sealed_and_masked(configured_hospital: Hospital) -> None:
    save_settings(configured_hospital)
    shown = get_settings(configured_hospital)
    assert (shown["callback_token"], shown["encoding_aes_key"]) == ("********", "********DEFG")
    assert shown["url"].endswith(f"/pati_service/wechat/callback/{configured_hospital.tenant_id}")
    [row] = list_rows("wechat_callback_settings", configured_hospital)
    assert TOKEN.encode() not in row["token_sealed"]
    assert AES_KEY.encode() not in row["key_sealed"]


def test_masked_values_leave_the_stored_ones_unchanged(target: CallbackTarget, configured_hospital: Hospital) -> None:
    shown = get_settings(configured_hospital)
    assert save_settings(configured_hospital, shown["encoding_aes_key"], shown["callback_token"]).status == 200
    assert save_settings(configured_hospital).status == 200, "the same values again"
    assert get_settings(configured_hospital)["verified"]
    assert confirm(target).status == 200


def test_other_values_are_to_be_verified_again(target: CallbackTarget, configured_hospital: Hospital) -> None:
    save_settings(configured_hospital, OTHER_KEY)
    assert not get_settings(configured_hospital)["verified"]
    assert report(target, wechat_callbacks.build_event(LIN_OPENID, "VIEW")).status in (400, 401)


def test_empty_token_removes_the_settings(target: CallbackTarget, configured_hospital: Hospital) -> None:
    assert save_settings(configured_hospital, "", "").status == 200
    assert get_settings(configured_hospital)["callback_token"] == ""
    assert confirm(target).status == 404


@pytest.mark.parametrize(
    ("encoding_aes_key", "token", "field"),
    [
        ("short", TOKEN, "encoding_aes_key"),
        ("!" * 43, TOKEN, "encoding_aes_key"),
        ("********DEFG", TOKEN, "encoding_aes_key"),
        (AES_KEY, "********", "callback_token"),
        (AES_KEY, "ab", "callback_token"),
        (AES_KEY, "a" * 33, "callback_token"),
        (AES_KEY, "with space", "callback_token"),
    ],
)
def test_invalid_settings_are_rejected(
    configured_hospital: Hospital, encoding_aes_key: str, token: str, field: str
) -> None:
    response = save_settings(configured_hospital, encoding_aes_key, token)
    assert response.status == 400
    assert response.error.startswith(f"{field}：")
    assert list_rows("wechat_callback_settings", configured_hospital) == []
