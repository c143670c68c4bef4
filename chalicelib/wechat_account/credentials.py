"""What an official account asks WeChat with: its access_token, and the ticket that its pages' signatures want."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from chalicelib import errors
from chalicelib.adapters import wechat_api
from chalicelib.adapters.wechat_api import INVALID_TOKEN_ERRCODES, IssuedCredential, WechatApiError
from chalicelib.errors import ApiError
from chalicelib.wechat_account import credential_cache
from chalicelib.wechat_account.account import OfficialAccount

T = TypeVar("T")
TICKET_TTL_SECONDS = (
    600  # seconds that a ticket is kept: asked again, WeChat gives the same one, and 7200 s as at first
)
FORCED_REFRESH_INTERVAL_SECONDS = (
    75 * 60
)  # seconds between two tokens that we have made anew: WeChat does it twenty times a day for an account


@contextmanager
def translate_errors() -> Iterator[None]:
    """Whoever asked us is told WeChat's number; the log has it too, as the cause."""
    try:
        yield
    except WechatApiError as refusal:
        text = f"微信服务暂时不可用（微信错误码 {refusal.errcode}）"
        raise ApiError(errors.UNAVAILABLE, text, retry_after=5) from refusal


def call_with_token(account: OfficialAccount, work: Callable[[str], T]) -> T:
    """Return what work makes of an access_token; with another one where WeChat does not know the first, once."""
    used = _get_token(account)
    try:
        return work(used)
    except WechatApiError as refusal:
        if refusal.errcode not in INVALID_TOKEN_ERRCODES:
            raise
    return work(_get_token(account, instead_of=used))


def get_ticket(account: OfficialAccount) -> str:
    return credential_cache.get_or_fetch(
        account.tenant_id, _build_key(account, "ticket"), lambda: _fetch_ticket(account)
    )


def _fetch_ticket(account: OfficialAccount) -> IssuedCredential:
    """Another system of the hospital may have had it issued long ago; WeChat does not say how long it lives still.

    https://developers.weixin.qq.com/community/develop/doc/000e0adca68568abb1ab525365b000
    """
    issued = call_with_token(account, wechat_api.fetch_jsapi_ticket)
    return IssuedCredential(
        issued.value, min(issued.lifetime_seconds, TICKET_TTL_SECONDS + credential_cache.REFRESH_MARGIN_SECONDS)
    )


def _get_token(account: OfficialAccount, instead_of: str = "") -> str:
    return credential_cache.get_or_fetch(
        account.tenant_id, _build_key(account, "token"), lambda: _fetch_token(account, instead_of), instead_of
    )


def _fetch_token(account: OfficialAccount, instead_of: str) -> IssuedCredential:
    """WeChat gives everybody the same token while it lives, also one that it does not know elsewhere.

    Making another ends that of the hospital's other systems, and one day WeChat may refuse whatever token it gives.
    """
    issued = wechat_api.fetch_stable_token(account.app_id, account.secret)
    if issued.value == instead_of and credential_cache.claim_once(
        _build_key(account, "anew"), FORCED_REFRESH_INTERVAL_SECONDS
    ):
        return wechat_api.fetch_stable_token(account.app_id, account.secret, force_refresh=True)
    return issued


def _build_key(account: OfficialAccount, what: str) -> str:
    """Another secret is another key: what was kept under the old one, failures too, is not read again."""
    return f"wechat:2:{{{account.tenant_id}:{account.app_id}:{account.changed_at}}}:{what}"
