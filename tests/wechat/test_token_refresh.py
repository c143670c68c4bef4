"""An invalid token is replaced; a refresh is forced, rarely, if WeChat issues the same token again."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from chalicelib import errors
from chalicelib.adapters import redis, wechat_api
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.errors import ApiError
from chalicelib.wechat_account import account, credentials
from devstack.fakes.wechat import WeChat
from tests.support.conversation_log import cut_redis
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until
from tests.support.wechat_client import APP_ID

__all__ = ["cut_redis"]
TOKEN_PATH, LIST_PATH = "/cgi-bin/stable_token", "/cgi-bin/template/get_all_private_template"


def test_concurrent_callers_replace_an_invalid_token_once(configured_hospital: Hospital, wechat: WeChat) -> None:
    official_account = account.require(configured_hospital.tenant_id)
    credentials.get_ticket(official_account)
    wechat.invalid_tokens.add(wechat.tokens[APP_ID])
    start = Barrier(20)

    def list_templates(_: int) -> Any:
        start.wait(20)
        return credentials.call_with_token(official_account, wechat_api.fetch_private_templates)

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(list_templates, range(20)))
    assert wechat.calls[TOKEN_PATH] == 3, "the first, the same again, a forced refresh"


def test_permanently_invalid_token_is_retried_once(configured_hospital: Hospital, wechat: WeChat) -> None:
    wechat.failures[LIST_PATH] = 40001
    with pytest.raises(WechatApiError):
        credentials.call_with_token(account.require(configured_hospital.tenant_id), wechat_api.fetch_private_templates)
    assert wechat.calls == {TOKEN_PATH: 3, LIST_PATH: 2}


def test_refresh_is_forced_once_per_interval(configured_hospital: Hospital, wechat: WeChat) -> None:
    """A forced refresh revokes the token of the hospital's other systems, and WeChat allows twenty a day."""
    wechat.failures[LIST_PATH] = 40001
    for _ in range(3):
        with pytest.raises(WechatApiError) as error_info:
            credentials.call_with_token(
                account.require(configured_hospital.tenant_id), wechat_api.fetch_private_templates
            )
        assert error_info.value.errcode == 40001
    assert len(wechat.forced_refreshes[APP_ID]) == 1


def test_failed_forced_refresh_is_repeated(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise all messages of the hospital would be rejected until the interval is over."""
    official_account = account.require(configured_hospital.tenant_id)
    credentials.get_ticket(official_account)
    wechat.invalid_tokens.add(wechat.tokens[APP_ID])
    fetch_token = wechat_api.fetch_stable_token

    def fail_when_forced(app_id: str, secret: str, force_refresh: bool = False) -> wechat_api.IssuedCredential:
        if force_refresh:
            raise ApiError(errors.UNAVAILABLE)
        return fetch_token(app_id, secret)

    with monkeypatch.context() as patch:
        patch.setattr(wechat_api, "fetch_stable_token", fail_when_forced)
        with pytest.raises(ApiError):
            credentials.call_with_token(official_account, wechat_api.fetch_private_templates)
    wait_until(lambda: not list(redis.get_client().scan_iter(f"wechat:*:{{{official_account.tenant_id}:*:failed")))
    assert credentials.call_with_token(official_account, wechat_api.fetch_private_templates)


def test_ticket_is_cached_for_ten_minutes(configured_hospital: Hospital, wechat: WeChat) -> None:
    """Another system of the hospital may have obtained it before, so its remaining lifetime is unknown."""
    official_account = account.require(configured_hospital.tenant_id)
    assert credentials.get_ticket(official_account) == credentials.get_ticket(official_account)
    [key] = redis.get_client().scan_iter(f"wechat:*:{{{configured_hospital.tenant_id}:*ticket")
    assert 0 < redis.get_client().pttl(key) <= 600_000
    redis.get_client().delete(key)
    wechat.tickets[APP_ID] = "another"
    assert credentials.get_ticket(official_account) == "another"


def test_without_redis_no_refresh_is_forced(configured_hospital: Hospital, wechat: WeChat, cut_redis: Any) -> None:
    official_account = account.require(configured_hospital.tenant_id)
    wechat.failures[LIST_PATH] = 40001
    cut = cut_redis()
    with pytest.raises(WechatApiError):
        credentials.call_with_token(official_account, wechat_api.fetch_private_templates)
    cut.__exit__(None, None, None)
    assert wechat.forced_refreshes == {}, "otherwise each process would force one"
