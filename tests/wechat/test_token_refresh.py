"""A token that WeChat does not know is replaced, and another made where WeChat gives the same one: seldom."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from chalicelib.adapters import redis, wechat_api
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.wechat_account import account, credentials
from devstack.fakes.wechat import WeChat
from tests.support.conversation_log import cut_redis
from tests.support.factories import Hospital
from tests.support.wechat_client import APP_ID

__all__ = ["cut_redis"]
TOKEN, LIST = "/cgi-bin/stable_token", "/cgi-bin/template/get_all_private_template"


def test_many_whose_token_is_good_no_more_have_it_replaced_once(configured_hospital: Hospital, wechat: WeChat) -> None:
    ours = account.require(configured_hospital.tenant_id)
    credentials.get_ticket(ours)
    wechat.invalid_tokens.add(wechat.tokens[APP_ID])
    start = Barrier(20)

    def ask(_: int) -> Any:
        start.wait(20)
        return credentials.call_with_token(ours, wechat_api.fetch_private_templates)

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(20)))
    assert wechat.calls[TOKEN] == 3, "one at first, one that is the same, one anew"


def test_a_token_that_is_never_good_is_asked_for_no_further(configured_hospital: Hospital, wechat: WeChat) -> None:
    wechat.failures[LIST] = 40001
    with pytest.raises(WechatApiError):
        credentials.call_with_token(account.require(configured_hospital.tenant_id), wechat_api.fetch_private_templates)
    assert wechat.calls == {TOKEN: 3, LIST: 2}


def test_a_token_that_is_never_good_is_made_anew_once(configured_hospital: Hospital, wechat: WeChat) -> None:
    """Each time it ends the token of the hospital's other systems, and WeChat does it twenty times a day."""
    wechat.failures[LIST] = 40001
    for _ in range(3):
        with pytest.raises(WechatApiError) as refusal:
            credentials.call_with_token(
                account.require(configured_hospital.tenant_id), wechat_api.fetch_private_templates
            )
        assert refusal.value.errcode == 40001
    assert len(wechat.forced_refreshes[APP_ID]) == 1


def test_a_ticket_is_asked_for_every_ten_minutes(configured_hospital: Hospital, wechat: WeChat) -> None:
    """That of a hospital whose other system had it issued before may end within them."""
    ours = account.require(configured_hospital.tenant_id)
    assert credentials.get_ticket(ours) == credentials.get_ticket(ours)
    [key] = redis.get_client().scan_iter(f"wechat:*:{{{configured_hospital.tenant_id}:*ticket")
    assert 0 < redis.get_client().pttl(key) <= 600_000
    redis.get_client().delete(key)
    wechat.tickets[APP_ID] = "another"
    assert credentials.get_ticket(ours) == "another"


def test_without_redis_no_token_is_made_anew(configured_hospital: Hospital, wechat: WeChat, cut_redis: Any) -> None:
    ours = account.require(configured_hospital.tenant_id)
    wechat.failures[LIST] = 40001
    cut = cut_redis()
    with pytest.raises(WechatApiError):
        credentials.call_with_token(ours, wechat_api.fetch_private_templates)
    cut.__exit__(None, None, None)
    assert wechat.forced_refreshes == {}, "each process would, one after the other"
