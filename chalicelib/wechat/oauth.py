"""WeChat's page authorization (网页授权, snsapi_base): learn a visitor's openid without asking for consent.

The page fetches an address of WeChat's and opens it. WeChat redirects back to the page with `code` and `state`, which
the page submits together with its token. A state is valid once and only for the session that fetched it: otherwise an
attacker could bind their own WeChat to another session, or another's WeChat to theirs.
"""

import secrets

from chalicelib import errors
from chalicelib.adapters import mysql, wechat_api
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.errors import ApiError
from chalicelib.identity import confirmations, sessions
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import account_states
from chalicelib.wechat import page_signatures
from chalicelib.wechat.models import OAuthCallbackQuery, OAuthResult, OAuthUrl, OAuthUrlQuery
from chalicelib.wechat_account import account, credentials, openids
from chalicelib.wechat_account.account import OfficialAccount

INVALID_CODE_ERRCODES = frozenset({40029, 40163, 42003})  # the code is unknown, was used, or has expired


def create_authorize_url(caller: Caller, query: OAuthUrlQuery) -> OAuthUrl:
    """Return the address that the visitor is to open.

    Raises:
        ApiError: 400 if redirect_uri is not a page of the hospital, 404 without an account.
    """
    official_account = account.require(caller.tenant_id)
    redirect_uri = query.redirect_uri or official_account.base_url
    page = page_signatures.require_own_page(official_account, redirect_uri, "redirect_uri")
    state = secrets.token_hex(16)
    openids.insert_state(mysql.autocommit, caller.tenant_id, _get_token_hash(caller), official_account.app_id, state)
    return OAuthUrl(url=wechat_api.build_authorize_url(official_account.app_id, page, state))


def handle_callback(caller: Caller, query: OAuthCallbackQuery) -> OAuthResult:
    """Bind the openid that a code stands for to the caller's session.

    A limited session is confirmed by it if the openid was bound to the account before, by a session that no internal
    key has begun, and binds no other: it would receive the messages of a stranger.

    Raises:
        ApiError: 400 if state or code is not valid, 403 for another openid in a limited session, 404 without an
            account, 409 if the account is misconfigured, 503 if WeChat does not respond; after a 409 or 503 the request
            may be repeated.
    """
    official_account = account.require(caller.tenant_id)
    tenant_id, token_hash, app_id = caller.tenant_id, _get_token_hash(caller), official_account.app_id
    if not openids.consume_state(mysql.autocommit, tenant_id, token_hash, app_id, query.state):
        raise ApiError(errors.BAD_PARAMETER, "state：无效、已过期或已使用，请重新授权")
    try:
        openid = _fetch_openid(official_account, query.code)
    except ApiError as error:
        if error.kind in (
            errors.UNAVAILABLE,
            errors.CONFLICT,
        ):  # the code may still be valid, but is worth nothing without its state
            openids.insert_state(mysql.autocommit, tenant_id, token_hash, app_id, query.state)
        raise
    if not openid:
        raise ApiError(errors.BAD_PARAMETER, "code：当前为网页快照，请点击右下角“使用完整服务”后重新授权")
    mysql.run_transaction(lambda tx: _bind(tx, caller, app_id, openid))
    if caller.role == Role.LIMITED:
        sessions.make_effective(tenant_id, caller.principal)
    return OAuthResult(open_id=openid)


def _bind(tx: Tx, caller: Caller, app_id: str, openid: str) -> None:
    tenant_id, user_id = caller.tenant_id, caller.user_id
    if caller.role == Role.LIMITED:
        since = account_states.require_open(tx, tenant_id, user_id).identity_locked_at
        if since is not None and not openids.was_bound_before(tx, tenant_id, user_id, app_id, openid, since):
            text = "该微信没有绑定过此账号，请用就诊人的证件号码确认，或到医院前台办理"
            raise ApiError(errors.VERIFICATION_REQUIRED, text)
        confirmations.confirm_own(tx, caller, "wechat")
    openids.bind(tx, tenant_id, user_id, _get_token_hash(caller), app_id, openid, key_id=caller.key_id)


def _fetch_openid(official_account: OfficialAccount, code: str) -> str:
    with credentials.translate_errors():
        try:
            return wechat_api.fetch_openid(official_account.app_id, official_account.secret, code)
        except WechatApiError as error:
            if error.errcode not in INVALID_CODE_ERRCODES:
                raise
            raise ApiError(errors.BAD_PARAMETER, "code：无效或已使用，请重新授权") from error


def _get_token_hash(caller: Caller) -> bytes:
    return bytes.fromhex(caller.token_hash_hex)
