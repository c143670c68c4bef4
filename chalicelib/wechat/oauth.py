"""How a patient's page learns who its visitor is at WeChat, without asking them (snsapi_base).

The page fetches an address of WeChat's and goes there; WeChat sends it back with `code` and `state`, and the page, with
its token, hands them over. A state is good once, for the session that fetched it: nobody can bind their own WeChat to
another's session, or another's to their own.
"""

import secrets

from chalicelib import errors
from chalicelib.adapters import mysql, wechat_api
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.wechat import page_signatures
from chalicelib.wechat.models import Known, OAuthCallbackQuery, OAuthUrl, OAuthUrlQuery
from chalicelib.wechat_account import account, credentials, openids
from chalicelib.wechat_account.account import OfficialAccount

INVALID_CODE_ERRCODES = frozenset({40029, 40163, 42003})  # a code that is none, was used, or is too old


def create_authorize_url(caller: Caller, asked: OAuthUrlQuery) -> OAuthUrl:
    """Return where to send a visitor. ApiError 400 for a page of others', 404 without an account."""
    ours = account.require(caller.tenant_id)
    page = page_signatures.require_own_page(ours, asked.redirect_uri or ours.base_url, "redirect_uri")
    state = secrets.token_hex(16)
    openids.insert_state(mysql.autocommit, caller.tenant_id, _get_token_hash(caller), ours.app_id, state)
    return OAuthUrl(url=wechat_api.build_authorize_url(ours.app_id, page, state))


def handle_callback(caller: Caller, returned: OAuthCallbackQuery) -> Known:
    """Bind who the code stands for to the caller's session. ApiError 400 for a state or code that is not good."""
    ours = account.require(caller.tenant_id)
    expected = (caller.tenant_id, _get_token_hash(caller), ours.app_id, returned.state)
    if not openids.consume_state(mysql.autocommit, *expected):
        raise ApiError(errors.BAD_PARAMETER, "state：无效、已过期或已使用，请重新授权")
    openid = _fetch_openid(ours, returned.code)
    if not openid:
        raise ApiError(errors.BAD_PARAMETER, "code：当前为网页快照，请点击右下角“使用完整服务”后重新授权")
    bound = (caller.tenant_id, caller.user_id, _get_token_hash(caller), ours.app_id, openid)
    mysql.run_transaction(lambda tx: openids.bind(tx, *bound))
    return Known(open_id=openid)


def _fetch_openid(ours: OfficialAccount, code: str) -> str:
    with credentials.translate_errors():
        try:
            return wechat_api.fetch_openid(ours.app_id, ours.secret, code)
        except WechatApiError as refusal:
            if refusal.errcode not in INVALID_CODE_ERRCODES:
                raise
            raise ApiError(errors.BAD_PARAMETER, "code：无效或已使用，请重新授权") from refusal


def _get_token_hash(caller: Caller) -> bytes:
    """What the caller's token is known by."""
    return bytes.fromhex(caller.token_hash_hex)
