"""What WeChat Pay lets a merchant do, whichever version is spoken. Its refusals have v3's codes."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import Merchant

if TYPE_CHECKING:
    from devstack.fakes.wechat_pay import WeChatPay

HttpResponse = tuple[int, bytes, dict[str, str]]
OUT_TRADE_NO_PATTERN = re.compile(r"[0-9A-Za-z_*|-]{6,32}")
NOTIFY_URL_PATTERN = re.compile(r"(https://|http://127\.0\.0\.1)[^?#]{1,230}")  # without a query
MAX_CLOCK_SKEW = 300 * clock.SECOND


@dataclass(frozen=True)
class HttpRequest:
    method: str
    path: str  # with its query
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    certificate: bytes | None = None  # DER of who asks, where that is by TLS and one was shown


class WeChatPayError(Exception):
    def __init__(self, code: str, status: int = 400, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.message = message or f"不行：{code}"


@dataclass(frozen=True)
class Order:
    merchant: Merchant
    out_trade_no: str
    description: str
    fee: int
    open_id: str
    notify_url: str
    expires_at: str  # as the version writes it
    state: str = "NOTPAY"
    prepay_id: str = ""
    transaction_id: str = ""
    paid_at: int = 0


@dataclass(frozen=True)
class Refund:
    order: Order
    out_refund_no: str
    fee: int
    reason: str
    notify_url: str
    refund_id: str = ""
    state: str = "PROCESSING"
    settled_at: int = 0


def place_order(pay: "WeChatPay", order: Order) -> Order:
    """A number is one order: asked again with the same it has the same prepay_id, with another it is refused."""
    sound = (
        OUT_TRADE_NO_PATTERN.fullmatch(order.out_trade_no)
        and NOTIFY_URL_PATTERN.fullmatch(order.notify_url)
        and 0 < len(order.description.encode()) <= 127
        and order.fee > 0
        and order.open_id
    )
    if not sound:
        raise WeChatPayError("PARAM_ERROR")
    known = pay.orders.get(order.out_trade_no)
    if known is None:
        known = pay.orders[order.out_trade_no] = replace(order, prepay_id=f"wx{secrets.token_hex(17)}")
    elif known.state != "NOTPAY":
        raise WeChatPayError("ORDER_CLOSED" if known.state == "CLOSED" else "ORDERPAID")
    elif replace(order, prepay_id=known.prepay_id, expires_at=known.expires_at) != known:
        raise WeChatPayError("OUT_TRADE_NO_USED", 403)
    return known


def get_order(pay: "WeChatPay", merchant: Merchant, out_trade_no: str) -> Order:
    order = pay.orders.get(out_trade_no)
    if order is None or order.merchant != merchant:
        raise WeChatPayError("ORDER_NOT_EXIST", 404)
    return order


def close_order(pay: "WeChatPay", merchant: Merchant, out_trade_no: str) -> None:
    order = get_order(pay, merchant, out_trade_no)
    if order.state not in ("NOTPAY", "CLOSED"):
        raise WeChatPayError("ORDERPAID")
    pay.orders[out_trade_no] = replace(order, state="CLOSED")


def mark_paid(pay: "WeChatPay", out_trade_no: str) -> Order:
    order = pay.orders[out_trade_no]
    assert order.state == "NOTPAY", order.state
    pay.orders[out_trade_no] = replace(
        order, state="SUCCESS", transaction_id=f"42{secrets.randbelow(10**26):026d}", paid_at=clock.now()
    )
    return pay.orders[out_trade_no]


def create_refund(pay: "WeChatPay", merchant: Merchant, out_trade_no: str, total: int, asked: Refund) -> Refund:
    """A number is one refund, however often it is asked for."""
    order = get_order(pay, merchant, out_trade_no)
    known = pay.refunds.get(asked.out_refund_no)
    if known:
        if (known.fee, known.order.out_trade_no) != (asked.fee, out_trade_no):
            raise WeChatPayError("PARAM_ERROR")
        return known
    gone = sum(
        one.fee for one in pay.refunds.values() if one.order.out_trade_no == out_trade_no and one.state != "CLOSED"
    )
    if order.state not in ("SUCCESS", "REFUND"):
        raise WeChatPayError("TRADE_STATE_ERROR")
    if asked.notify_url and not NOTIFY_URL_PATTERN.fullmatch(asked.notify_url):
        raise WeChatPayError("PARAM_ERROR")
    if gone == order.fee:
        raise WeChatPayError("INVALID_REQUEST", message="订单已全额退款")
    if total != order.fee or not 0 < asked.fee <= order.fee - gone:
        raise WeChatPayError("INVALID_REQUEST")
    pay.orders[out_trade_no] = replace(order, state="REFUND")
    pay.refunds[asked.out_refund_no] = replace(asked, order=order, refund_id=f"50{secrets.randbelow(10**26):026d}")
    return pay.refunds[asked.out_refund_no]


def get_refund(pay: "WeChatPay", merchant: Merchant, out_refund_no: str) -> Refund:
    known = pay.refunds.get(out_refund_no)
    if known is None or known.order.merchant != merchant:
        raise WeChatPayError("RESOURCE_NOT_EXISTS", 404)
    return known
