"""What an official account asks WeChat with: its access_token, and the ticket that its pages' signatures want."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from chalicelib import errors
from chalicelib.adapters import wechat_api
from chalicelib.adapters.wechat_api import STALE, Issued, Refusal
from chalicelib.errors import Refused
from chalicelib.wechat_account import credential_cache
from chalicelib.wechat_account.account import Account

T = TypeVar("T")
TICKET_LIFE = 600  # seconds that a ticket is kept: asked again, WeChat gives the same one, and 7200 s as at first
ANEW = 75 * 60  # seconds between two tokens that we have made anew: WeChat does it twenty times a day for an account


@contextmanager
def asking() -> Iterator[None]:
    """Whoever asked us is told WeChat's number; the log has it too, as the cause."""
    try:
        yield
    except Refusal as refusal:
        text = f"微信服务暂时不可用（微信错误码 {refusal.number}）"
        raise Refused(errors.UNAVAILABLE, text, retry_after=5) from refusal


def with_token(account: Account, work: Callable[[str], T]) -> T:
    """Return what work makes of an access_token; with another one where WeChat does not know the first, once."""
    used = _token(account)
    try:
        return work(used)
    except Refusal as refusal:
        if refusal.number not in STALE:
            raise
    return work(_token(account, instead_of=used))


def ticket(account: Account) -> str:
    return credential_cache.read(account.tenant_id, _key(account, "ticket"), lambda: _ticket(account))


def _ticket(account: Account) -> Issued:
    """Another system of the hospital may have had it issued long ago; WeChat does not say how long it lives still.

    https://developers.weixin.qq.com/community/develop/doc/000e0adca68568abb1ab525365b000
    """
    issued = with_token(account, wechat_api.jsapi_ticket)
    return Issued(issued.text, min(issued.life, TICKET_LIFE + credential_cache.EARLY))


def _token(account: Account, instead_of: str = "") -> str:
    return credential_cache.read(
        account.tenant_id, _key(account, "token"), lambda: _issued(account, instead_of), instead_of
    )


def _issued(account: Account, instead_of: str) -> Issued:
    """WeChat gives everybody the same token while it lives, also one that it does not know elsewhere.

    Making another ends that of the hospital's other systems, and one day WeChat may refuse whatever token it gives.
    """
    issued = wechat_api.stable_token(account.app_id, account.secret)
    if issued.text == instead_of and credential_cache.is_first(_key(account, "anew"), ANEW):
        return wechat_api.stable_token(account.app_id, account.secret, anew=True)
    return issued


def _key(account: Account, what: str) -> str:
    """Another secret is another key: what was kept under the old one, failures too, is not read again."""
    return f"wechat:2:{{{account.tenant_id}:{account.app_id}:{account.changed_at}}}:{what}"
