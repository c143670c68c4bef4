"""The access_token and the jsapi_ticket of an official account, cached in Redis."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from chalicelib import errors, logs
from chalicelib.adapters import wechat_api
from chalicelib.adapters.wechat_api import (
    INVALID_SECRET_ERRCODE,
    INVALID_TOKEN_ERRCODES,
    IssuedCredential,
    WechatApiError,
)
from chalicelib.errors import ApiError
from chalicelib.wechat_account import credential_cache
from chalicelib.wechat_account.account import OfficialAccount

logger = logging.getLogger(__name__)

T = TypeVar("T")

# WeChat returns the same ticket for its whole lifetime and always states 7200 s, not the time that is left.
TICKET_TTL_SECONDS = 600
# Minimum interval between two forced refreshes of a token: WeChat allows twenty a day for an account.
FORCED_REFRESH_INTERVAL_SECONDS = 75 * 60


# What is wrong with a hospital's configuration, by WeChat's error code. Only the hospital can correct it.
# Source: https://developers.weixin.qq.com/doc/oplatform/Return_codes/Return_code_descriptions_new.html
SETTING_BY_ERRCODE = {
    **dict.fromkeys((40013, 41002), "公众号设置的 app_id 不正确"),
    **dict.fromkeys((INVALID_SECRET_ERRCODE, 41004), "公众号设置的 app_secret 不正确"),
    **dict.fromkeys((40164, 61004, 89503, 89506, 89507), "微信公众平台的 IP 白名单中没有本系统的地址"),
    **dict.fromkeys((48001, 48004, 50002), "该公众号没有此接口的权限，或已被微信限制"),
}


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise ApiError for a WechatApiError, which becomes its cause.

    Raises:
        ApiError: 409 that names the setting if the hospital's configuration is wrong, 503 with WeChat's error code for
            any other error.
    """
    try:
        yield
    except WechatApiError as error:
        if setting := SETTING_BY_ERRCODE.get(error.errcode):
            logger.warning("wechat account misconfigured", extra={"ids": logs.describe_error(error)})
            text = f"{setting}，请医院管理员修改（微信错误码 {error.errcode}）"
            raise ApiError(errors.CONFLICT, text) from error
        text = f"微信服务暂时不可用（微信错误码 {error.errcode}）"
        raise ApiError(errors.UNAVAILABLE, text, retry_after=5) from error


def call_with_token(account: OfficialAccount, call: Callable[[str], T]) -> T:
    """Return the result of `call` with an access_token. If WeChat rejects the token, retry once with another one.

    Raises:
        WechatApiError, ApiError: as `call` and wechat_api.
    """
    token = _get_token(account)
    try:
        return call(token)
    except WechatApiError as error:
        if error.errcode not in INVALID_TOKEN_ERRCODES:
            raise
    return call(_get_token(account, rejected_token=token))


def get_ticket(account: OfficialAccount) -> str:
    """Return the account's jsapi_ticket.

    Raises:
        WechatApiError, ApiError: as wechat_api.
    """
    return credential_cache.get_or_fetch(
        account.tenant_id, _build_key(account, "ticket"), lambda: _fetch_ticket(account)
    )


def _fetch_ticket(account: OfficialAccount) -> IssuedCredential:
    """Return the ticket with a short lifetime: another system of the hospital may have obtained it long ago.

    Source: https://developers.weixin.qq.com/community/develop/doc/000e0adca68568abb1ab525365b000
    """
    ticket = call_with_token(account, wechat_api.fetch_jsapi_ticket)
    max_lifetime = TICKET_TTL_SECONDS + credential_cache.REFRESH_MARGIN_SECONDS
    return IssuedCredential(ticket.value, min(ticket.lifetime_seconds, max_lifetime))


def _get_token(account: OfficialAccount, rejected_token: str = "") -> str:
    return credential_cache.get_or_fetch(
        account.tenant_id, _build_key(account, "token"), lambda: _fetch_token(account, rejected_token), rejected_token
    )


def _fetch_token(account: OfficialAccount, rejected_token: str) -> IssuedCredential:
    """Return the account's token; force a refresh if WeChat still issues the one that it rejected.

    WeChat issues the same token to all callers until it expires, even one that its other services do not accept. A
    forced refresh revokes the token of the hospital's other systems, so it is limited to one per
    FORCED_REFRESH_INTERVAL_SECONDS.
    """
    token, flag = wechat_api.fetch_stable_token(account.app_id, account.secret), _build_key(account, "forced-refresh")
    if token.value != rejected_token or not credential_cache.claim_once(flag, FORCED_REFRESH_INTERVAL_SECONDS):
        return token
    try:
        return wechat_api.fetch_stable_token(account.app_id, account.secret, force_refresh=True)
    except ApiError:  # if WeChat refreshed it nevertheless, the next fetch returns another token
        credential_cache.release_claim(flag)
        raise


def _build_key(account: OfficialAccount, name: str) -> str:
    """Return a Redis key that changes with the configuration, so that values and failures of an old one are unused."""
    return f"wechat:3:{{{account.tenant_id}:{account.app_id}:{account.changed_at}}}:{name}"
