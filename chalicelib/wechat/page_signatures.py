"""Sign the hospital's pages for WeChat's JS-SDK.

Source: https://developers.weixin.qq.com/doc/service/guide/h5/jssdk.html
"""

import hashlib
import re
import secrets

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.people import tenants
from chalicelib.wechat.models import Signature, SignatureRequest
from chalicelib.wechat_account import account, credentials
from chalicelib.wechat_account.account import OfficialAccount

# Only a host, without anything around it that a browser could parse differently.
PAGE_URL_PATTERN = re.compile(r"https://([0-9A-Za-z.-]+)(?::443)?(?:[/?][^\s\\\x00-\x1f\x7f]*)?", re.ASCII)


def sign_page(caller: Caller, body: SignatureRequest) -> Signature:
    """Sign the address of a page, without its fragment.

    Raises:
        ApiError: 400 if it is not a page of the hospital, 404 without an account, 409 if it is misconfigured, 503 if
            WeChat does not respond.
    """
    official_account = account.require(caller.tenant_id)
    url = require_own_page(official_account, body.url, "url")
    with credentials.translate_errors():
        ticket = credentials.get_ticket(official_account)
    nonce, timestamp = secrets.token_hex(8), str(clock.now() // clock.SECOND)
    signature = compute_signature(ticket, nonce, timestamp, url)
    return Signature(appId=official_account.app_id, nonceStr=nonce, timestamp=timestamp, url=url, signature=signature)


def require_own_page(official_account: OfficialAccount, url: str, field: str) -> str:
    """Return the address of a page in one of the hospital's domains, without its fragment.

    Args:
        field: the parameter that an error names.

    Raises:
        ApiError: 400 for any other address.
    """
    page = url.partition("#")[0]
    match = PAGE_URL_PATTERN.fullmatch(page)
    if not match or not _is_own_host(official_account, match[1].lower()):
        raise ApiError(errors.BAD_PARAMETER, f"{field}：必须是本院域名下 https 页面的地址")
    return page


def compute_signature(ticket: str, nonce: str, timestamp: str, url: str) -> str:
    """Return the signature of a page as a hexadecimal SHA-1."""
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    return hashlib.sha1(text.encode()).hexdigest()


def _is_own_host(official_account: OfficialAccount, host: str) -> bool:
    if host == account.parse_host(official_account.auth_url):
        return True
    return tenants.find_by_host(mysql.autocommit, host) == official_account.tenant_id
