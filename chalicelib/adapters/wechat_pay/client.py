"""Client of WeChat Pay (JSAPI) in the API version of the hospital's merchant account, v3 or v2.

Every call returns WeChat Pay's response or raises WechatPayUnavailableError. After the error the request may have been
carried out; it may be repeated, because an order or refund of the same number is the same one. The signature of every
response is verified; a response without a valid one counts as none. Nothing is logged here. Times are in µs, amounts in
fen.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import BinaryIO

from chalicelib.adapters.wechat_pay import api_v2 as v2
from chalicelib.adapters.wechat_pay import api_v3 as v3
from chalicelib.adapters.wechat_pay.types import (
    ApiVersion,
    BillDownload,
    BillKind,
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
    "download_bill",
    "parse_notification",
    "prepay",
    "query_order",
    "query_refund",
    "refund",
    "sign_page",
]

MAX_NOTIFICATION_BYTES = 64 * 1024  # WeChat Pay's notifications have 1 to 4 KB
# A value that contains a delimiter of the signed text would yield a signature of something else, such as a refund
# request (v3) or a payment notification (v2).
PREPAY_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
TIMESTAMP_PATTERN = re.compile(r"[0-9]{10}")
NONCE_PATTERN = re.compile(r"[A-Za-z0-9]{1,32}")


def prepay(merchant: Merchant, order: Order) -> OrderResult:
    """Create an order that the payer can pay.

    Raises:
        WechatPayUnavailableError: without a valid response.
    """
    return v2.prepay(merchant, order) if merchant.version == ApiVersion.V2 else v3.prepay(merchant, order)


def query_order(merchant: Merchant, out_trade_no: str) -> Trade:
    """Return the state of an order.

    Raises:
        WechatPayUnavailableError: without a valid response, or if WeChat Pay rejects the query.
    """
    query = v2.query_order if merchant.version == ApiVersion.V2 else v3.query_order
    return query(merchant, out_trade_no)


def close_order(merchant: Merchant, out_trade_no: str) -> OrderResult:
    """Close an unpaid order, so that it cannot be paid any more.

    Returns:
        an error code if it is paid, being paid, or closed already; query_order returns which.

    Raises:
        WechatPayUnavailableError: without a valid response.
    """
    close = v2.close_order if merchant.version == ApiVersion.V2 else v3.close_order
    return close(merchant, out_trade_no)


def refund(
    merchant: Merchant, out_trade_no: str, out_refund_no: str, fee: int, total: int, reason: str, notify_url: str
) -> RefundResult:
    """Refund `fee` of the `total` that was paid. Requests with the same out_refund_no are one refund.

    Args:
        notify_url: "" for no notification; then use query_refund.

    Raises:
        WechatPayUnavailableError: without a valid response.
    """
    request = v2.refund if merchant.version == ApiVersion.V2 else v3.refund
    return request(merchant, out_trade_no, out_refund_no, fee, total, reason, notify_url)


def query_refund(merchant: Merchant, out_refund_no: str) -> RefundResult:
    """Return the state of a refund.

    Raises:
        WechatPayUnavailableError: without a valid response, or if WeChat Pay rejects the query.
    """
    query = v2.query_refund if merchant.version == ApiVersion.V2 else v3.query_refund
    return query(merchant, out_refund_no)


def sign_page(merchant: Merchant, prepay_id: str, timestamp: str, nonce: str) -> str:
    """Return paySign for wx.chooseWXPay, to be passed with package "prepay_id=…" and signType.

    Raises:
        ValueError: unless prepay_id is one, `timestamp` has ten digits and `nonce` 1 to 32 letters and digits.
    """
    for pattern, text in (
        (PREPAY_ID_PATTERN, prepay_id),
        (TIMESTAMP_PATTERN, timestamp),
        (NONCE_PATTERN, nonce),
    ):
        if not pattern.fullmatch(text):
            raise ValueError("not to be signed")
    sign = v2.sign_page if merchant.version == ApiVersion.V2 else v3.sign_page
    return sign(merchant, prepay_id, timestamp, nonce)


def parse_notification(merchant: Merchant, headers: Mapping[str, str], body: bytes, now: int) -> Notification:
    """Verify and read a notification to this merchant.

    A notification of v3 is accepted for five minutes. One of v2 has no time, so it may be a replay.

    Raises:
        InvalidNotificationError: if it is not proven to be WeChat Pay's (401) or malformed (400).
    """
    if len(body) > MAX_NOTIFICATION_BYTES:
        raise InvalidNotificationError("too large", 400)
    if merchant.version == ApiVersion.V2:
        return v2.parse_notification(merchant, body)
    return v3.parse_notification(merchant, headers, body, now)


def download_bill(merchant: Merchant, kind: BillKind, day: date, file: BinaryIO) -> BillDownload:
    """Write an account's bill of a day to a file, as text in UTF-8. Nothing is written unless it is READY.

    A bill exists from the next morning on and for three months. Memory is bounded, the size by MAX_BILL_BYTES.

    Raises:
        WechatPayUnavailableError: without a valid response, or if the file is not complete.
    """
    download = v2.download_bill if merchant.version == ApiVersion.V2 else v3.download_bill
    return download(merchant, kind, day, file)


def build_acknowledgement(merchant: Merchant) -> tuple[str, bytes]:
    """Return content type and body of the 200 response that acknowledges a notification."""
    return v2.ACKNOWLEDGEMENT if merchant.version == ApiVersion.V2 else v3.ACKNOWLEDGEMENT
