"""How a patient's page learns who its visitor is at WeChat, without asking them (snsapi_base).

The page fetches an address of WeChat's and goes there; WeChat sends it back with `code` and `state`, and the page, with
its token, hands them over. A state is good once, for the session that fetched it: nobody can bind their own WeChat to
another's session, or another's to their own.
"""

import secrets

from chalicelib import errors
from chalicelib.adapters import mysql, wechat_api
from chalicelib.adapters.wechat_api import Refusal
from chalicelib.errors import Refused
from chalicelib.identity.callers import Caller
from chalicelib.wechat import page_signatures
from chalicelib.wechat.models import Known, OAuthAsked, OAuthReturned, OAuthUrl
from chalicelib.wechat_account import account, credentials, openids
from chalicelib.wechat_account.account import Account

SPENT = frozenset({40029, 40163, 42003})  # a code that is none, was used, or is too old


def url(caller: Caller, asked: OAuthAsked) -> OAuthUrl:
    """Return where to send a visitor. Refused 400 for a page of others', 404 without an account."""
    ours = account.required(caller.tenant_id)
    page = page_signatures.own_page(ours, asked.redirect_uri or ours.pages, "redirect_uri")
    state = secrets.token_hex(16)
    mysql.autocommit(lambda tx: openids.expect(tx, caller.tenant_id, _session(caller), ours.app_id, state))
    return OAuthUrl(url=wechat_api.authorize_url(ours.app_id, page, state))


def callback(caller: Caller, returned: OAuthReturned) -> Known:
    """Bind who the code stands for to the caller's session. Refused 400 for a state or code that is not good."""
    ours = account.required(caller.tenant_id)
    expected = (caller.tenant_id, _session(caller), ours.app_id, returned.state)
    if not mysql.autocommit(lambda tx: openids.use(tx, *expected)):
        raise Refused(errors.BAD_PARAMETER, "state：无效、已过期或已使用，请重新授权")
    openid = _openid(ours, returned.code)
    if not openid:
        raise Refused(errors.BAD_PARAMETER, "code：当前为网页快照，请点击右下角“使用完整服务”后重新授权")
    bound = (caller.tenant_id, caller.user_id, _session(caller), ours.app_id, openid)
    mysql.transact(lambda tx: openids.bind(tx, *bound))
    return Known(open_id=openid)


def _openid(ours: Account, code: str) -> str:
    with credentials.asking():
        try:
            return wechat_api.openid_of(ours.app_id, ours.secret, code)
        except Refusal as refusal:
            if refusal.number not in SPENT:
                raise
            raise Refused(errors.BAD_PARAMETER, "code：无效或已使用，请重新授权") from refusal


def _session(caller: Caller) -> bytes:
    """What the caller's token is known by."""
    return bytes.fromhex(caller.token)
