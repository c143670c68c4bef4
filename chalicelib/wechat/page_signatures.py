"""What lets a page of the hospital use WeChat's JS-SDK: https://developers.weixin.qq.com/doc/service/guide/h5/jssdk.html"""

import hashlib
import re
import secrets

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.people import tenants
from chalicelib.wechat.models import Signature, SignatureAsked
from chalicelib.wechat_account import account, credentials
from chalicelib.wechat_account.account import OfficialAccount

# A host, and nothing before or behind it that a browser and we could read differently.
PAGE_URL_PATTERN = re.compile(r"https://([0-9A-Za-z.-]+)(?::443)?(?:[/?][^\s\\\x00-\x1f\x7f]*)?", re.ASCII)


def sign_page(caller: Caller, asked: SignatureAsked) -> Signature:
    """Sign for a page of the hospital's, without what follows #. ApiError 400 for others', 404 without an account."""
    ours = account.require(caller.tenant_id)
    url = require_own_page(ours, asked.url, "url")
    with credentials.translate_errors():
        ticket = credentials.get_ticket(ours)
    nonce, timestamp = secrets.token_hex(8), str(clock.now() // clock.SECOND)
    signature = compute_signature(ticket, nonce, timestamp, url)
    return Signature(appId=ours.app_id, nonceStr=nonce, timestamp=timestamp, url=url, signature=signature)


def require_own_page(ours: OfficialAccount, url: str, field: str) -> str:
    """Return a page of the hospital's domains without what follows #. ApiError 400 for any other."""
    whole = url.partition("#")[0]
    found = PAGE_URL_PATTERN.fullmatch(whole)
    if not found or not _is_own_host(ours, found[1].lower()):
        raise ApiError(errors.BAD_PARAMETER, f"{field}：必须是本院域名下 https 页面的地址")
    return whole


def compute_signature(ticket: str, nonce: str, timestamp: str, url: str) -> str:
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    return hashlib.sha1(text.encode()).hexdigest()


def _is_own_host(ours: OfficialAccount, host: str) -> bool:
    return host == account.parse_host(ours.auth_url) or (tenants.find_by_host(mysql.autocommit, host) == ours.tenant_id)
