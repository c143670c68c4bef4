"""What lets a page of the hospital use WeChat's JS-SDK: https://developers.weixin.qq.com/doc/service/guide/h5/jssdk.html"""

import hashlib
import re
import secrets

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused
from chalicelib.identity.callers import Caller
from chalicelib.people import tenants
from chalicelib.wechat.models import Signature, SignatureAsked
from chalicelib.wechat_account import account, credentials
from chalicelib.wechat_account.account import Account

# A host, and nothing before or behind it that a browser and we could read differently.
PAGE = re.compile(r"https://([0-9A-Za-z.-]+)(?::443)?(?:[/?][^\s\\\x00-\x1f\x7f]*)?", re.ASCII)


def page(caller: Caller, asked: SignatureAsked) -> Signature:
    """Sign for a page of the hospital's, without what follows #. Refused 400 for others', 404 without an account."""
    ours = account.required(caller.tenant_id)
    url = own_page(ours, asked.url, "url")
    with credentials.asking():
        ticket = credentials.ticket(ours)
    nonce, timestamp = secrets.token_hex(8), str(clock.now() // clock.SECOND)
    signature = signed(ticket, nonce, timestamp, url)
    return Signature(appId=ours.app_id, nonceStr=nonce, timestamp=timestamp, url=url, signature=signature)


def own_page(ours: Account, url: str, field: str) -> str:
    """Return a page of the hospital's domains without what follows #. Refused 400 for any other."""
    whole = url.partition("#")[0]
    found = PAGE.fullmatch(whole)
    if not found or not _is_own(ours, found[1].lower()):
        raise Refused(errors.BAD_PARAMETER, f"{field}：必须是本院域名下 https 页面的地址")
    return whole


def signed(ticket: str, nonce: str, timestamp: str, url: str) -> str:
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    return hashlib.sha1(text.encode()).hexdigest()


def _is_own(ours: Account, host: str) -> bool:
    return host == account.host(ours.auth_url) or (
        mysql.autocommit(lambda tx: tenants.of_host(tx, host)) == ours.tenant_id
    )
