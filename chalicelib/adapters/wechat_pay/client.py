"""WeChat Pay (JSAPI), in the version that the hospital's account speaks: v3, or v2.

What is asked either is answered, or raises Unreachable: then it may have been done, and the same may be asked again (an
order or refund of the same number is the same one). Every answer's signature is verified; one that is not WeChat's is
no answer. Nothing here is logged. Times are µs, money is fen.
"""

import re
from collections.abc import Mapping

from chalicelib.adapters.wechat_pay import api_v2 as v2
from chalicelib.adapters.wechat_pay import api_v3 as v3
from chalicelib.adapters.wechat_pay.types import (
    ApiVersion,
    InvalidNotificationError,
    Merchant,
    Notification,
    Order,
    OrderResult,
    RefundResult,
    Trade,
    WechatPayUnavailableError,
)

__all__ = [
    "InvalidNotificationError",
    "Merchant",
    "Notification",
    "Order",
    "OrderResult",
    "RefundResult",
    "Trade",
    "WechatPayUnavailableError",
    "build_acknowledgement",
    "close_order",
    "parse_notification",
    "prepay",
    "query_order",
    "query_refund",
    "refund",
    "sign_page",
]

MAX_NOTIFICATION_BYTES = 64 * 1024  # bytes; WeChat's have 1 to 4 KB
# A text that holds a delimiter of what is signed would have us sign something else: a refund, or a notice of money.
SIGNED_FIELD_PATTERNS = {"time_stamp": re.compile(r"[0-9]{10}"), "nonce": re.compile(r"[A-Za-z0-9]{1,32}")}
PREPAY_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def prepay(merchant: Merchant, order: Order) -> OrderResult:
    """Announce an order, so that its patient may pay. Raises Unreachable."""
    return v2.prepay(merchant, order) if merchant.version == ApiVersion.V2 else v3.prepay(merchant, order)


def query_order(merchant: Merchant, out_trade_no: str) -> Trade:
    """Raises Unreachable, also where WeChat refuses to tell."""
    return (
        v2.query_order(merchant, out_trade_no)
        if merchant.version == ApiVersion.V2
        else v3.query_order(merchant, out_trade_no)
    )


def close_order(merchant: Merchant, out_trade_no: str) -> OrderResult:
    """Have nobody pay it any more. An error says that it was paid, is being paid, or is closed already: query tells."""
    return (
        v2.close_order(merchant, out_trade_no)
        if merchant.version == ApiVersion.V2
        else v3.close_order(merchant, out_trade_no)
    )


def refund(
    merchant: Merchant, out_trade_no: str, out_refund_no: str, fee: int, total: int, reason: str, notify_url: str
) -> RefundResult:
    """Send money back: `fee` of the `total` that was paid. Once for each out_refund_no, however often it is asked.

    Without a notify_url ("") WeChat tells nobody what became of it, and is to be asked.
    """
    asked = (out_trade_no, out_refund_no, fee, total, reason, notify_url)
    return v2.refund(merchant, *asked) if merchant.version == ApiVersion.V2 else v3.refund(merchant, *asked)


def query_refund(merchant: Merchant, out_refund_no: str) -> RefundResult:
    """Raises Unreachable, also where WeChat refuses to tell."""
    said = v2.query_refund if merchant.version == ApiVersion.V2 else v3.query_refund
    return said(merchant, out_refund_no)


def sign_page(merchant: Merchant, prepay_id: str, time_stamp: str, nonce: str) -> str:
    """Return paySign, which wx.chooseWXPay wants beside package "prepay_id=…" and signType.

    ValueError for what is no prepay_id, no ten digits, or a nonce of other than 1 to 32 letters and digits.
    """
    for shape, text in (
        (PREPAY_ID_PATTERN, prepay_id),
        (SIGNED_FIELD_PATTERNS["time_stamp"], time_stamp),
        (SIGNED_FIELD_PATTERNS["nonce"], nonce),
    ):
        if not shape.fullmatch(text):
            raise ValueError("not to be signed")
    sign = v2.sign_page if merchant.version == ApiVersion.V2 else v3.sign_page
    return sign(merchant, prepay_id, time_stamp, nonce)


def parse_notification(merchant: Merchant, headers: Mapping[str, str], body: bytes, now: int) -> Notification:
    """Return what WeChat has told this merchant. Raises BadNotice for anything that is not proven to be WeChat's.

    A notice of v3 is fresh for five minutes; one of v2 has no time, so it may be an old one again.
    """
    if len(body) > MAX_NOTIFICATION_BYTES:
        raise InvalidNotificationError("too large", 400)
    return (
        v2.parse_notification(merchant, body)
        if merchant.version == ApiVersion.V2
        else v3.parse_notification(merchant, headers, body, now)
    )


def build_acknowledgement(merchant: Merchant) -> tuple[str, bytes]:
    """Return content type and body of the 200 that says a notice was understood."""
    return v2.ACKNOWLEDGEMENT if merchant.version == ApiVersion.V2 else v3.ACKNOWLEDGEMENT
