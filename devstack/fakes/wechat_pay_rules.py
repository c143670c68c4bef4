"""The rules of WeChat Pay for orders and refunds, shared by both API versions. Error codes are those of v3."""

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
# Source: https://pay.weixin.qq.com/wiki/doc/apiv3_partner/apis/chapter5_1_14.shtml
MAX_REFUNDS = 50  # of an order
REFUND_INTERVAL = 60 * clock.SECOND  # between the requests for an order
REFUND_PERIOD = 365 * clock.DAY  # after the payment


@dataclass(frozen=True)
class HttpRequest:
    """A request as the server received it."""

    method: str
    path: str  # with its query string
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    certificate: bytes | None = None  # DER of the client certificate, if TLS is used and one was sent


class WeChatPayError(Exception):
    """WeChat Pay rejects a request."""

    def __init__(self, code: str, status: int = 400, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.message = message or f"不行：{code}"


@dataclass(frozen=True)
class Order:
    """An order with its state."""

    merchant: Merchant
    out_trade_no: str
    description: str
    fee: int
    open_id: str
    notify_url: str
    expires_at: str  # in the format of the API version
    state: str = "NOTPAY"
    prepay_id: str = ""
    transaction_id: str = ""
    paid_at: int = 0


@dataclass(frozen=True)
class Refund:
    """A refund with its state."""

    order: Order
    out_refund_no: str
    fee: int
    reason: str
    notify_url: str
    refund_id: str = ""
    state: str = "PROCESSING"
    settled_at: int = 0
    requested_at: int = 0  # the latest request, from which the next one must keep its distance
    created_at: int = 0


def place_order(pay: "WeChatPay", order: Order) -> Order:
    """Create an order. A repeated request returns the same order; one with other content is rejected."""
    is_valid = (
        OUT_TRADE_NO_PATTERN.fullmatch(order.out_trade_no)
        and NOTIFY_URL_PATTERN.fullmatch(order.notify_url)
        and 0 < len(order.description.encode()) <= 127
        and order.fee > 0
        and order.open_id
    )
    if not is_valid:
        raise WeChatPayError("PARAM_ERROR")
    existing = pay.orders.get(order.out_trade_no)
    if existing is None:
        existing = pay.orders[order.out_trade_no] = replace(order, prepay_id=f"wx{secrets.token_hex(17)}")
        command = f"curl -X POST {pay.url}/devstack/pay/{order.out_trade_no}"
        pay.on_event(f"  WeChat Pay order {order.out_trade_no}: {order.fee / 100:.2f} yuan. To pay it: {command}")
    elif existing.state != "NOTPAY":
        raise WeChatPayError("ORDER_CLOSED" if existing.state == "CLOSED" else "ORDERPAID")
    elif replace(order, prepay_id=existing.prepay_id, expires_at=existing.expires_at) != existing:
        raise WeChatPayError("OUT_TRADE_NO_USED", 403)
    return existing


def get_order(pay: "WeChatPay", merchant: Merchant, out_trade_no: str) -> Order:
    """Return an order of a merchant."""
    order = pay.orders.get(out_trade_no)
    if order is None or order.merchant != merchant:
        raise WeChatPayError("ORDER_NOT_EXIST", 404)
    return order


def close_order(pay: "WeChatPay", merchant: Merchant, out_trade_no: str) -> None:
    """Close an unpaid order."""
    order = get_order(pay, merchant, out_trade_no)
    if order.state not in ("NOTPAY", "CLOSED"):
        raise WeChatPayError("ORDERPAID")
    pay.orders[out_trade_no] = replace(order, state="CLOSED")


def mark_paid(pay: "WeChatPay", out_trade_no: str) -> Order:
    """Set an unpaid order's state to SUCCESS."""
    order = pay.orders[out_trade_no]
    assert order.state == "NOTPAY", order.state
    pay.orders[out_trade_no] = replace(
        order, state="SUCCESS", transaction_id=f"42{secrets.randbelow(10**26):026d}", paid_at=clock.now()
    )
    pay.on_event(f"  WeChat Pay order {out_trade_no}: {order.fee / 100:.2f} yuan paid")
    return pay.orders[out_trade_no]


def create_refund(pay: "WeChatPay", merchant: Merchant, out_trade_no: str, total: int, requested: Refund) -> Refund:
    """Create a refund. A repeated request returns the same refund."""
    order = get_order(pay, merchant, out_trade_no)
    existing = pay.refunds.get(requested.out_refund_no)
    if existing:
        if (existing.fee, existing.order.out_trade_no) != (requested.fee, out_trade_no):
            raise WeChatPayError("PARAM_ERROR")
        return existing
    others = [other for other in pay.refunds.values() if other.order.out_trade_no == out_trade_no]
    refunded = sum(other.fee for other in others if other.state != "CLOSED")
    if order.state not in ("SUCCESS", "REFUND"):
        raise WeChatPayError("TRADE_STATE_ERROR")
    if requested.notify_url and not NOTIFY_URL_PATTERN.fullmatch(requested.notify_url):
        raise WeChatPayError("PARAM_ERROR")
    if refunded == order.fee:
        raise WeChatPayError("INVALID_REQUEST", message="订单已全额退款")
    if total != order.fee or not 0 < requested.fee <= order.fee - refunded:
        raise WeChatPayError("INVALID_REQUEST")
    _require_refund_times(order, others)
    pay.orders[out_trade_no] = replace(order, state="REFUND")
    pay.refunds[requested.out_refund_no] = replace(
        requested,
        order=order,
        refund_id=f"50{secrets.randbelow(10**26):026d}",
        requested_at=clock.now(),
        created_at=clock.now(),
    )
    pay.on_event(f"  WeChat Pay order {out_trade_no}: {requested.fee / 100:.2f} yuan refunded")
    return pay.refunds[requested.out_refund_no]


def _require_refund_times(order: Order, others: list[Refund]) -> None:
    """Reject a refund that is too many, too soon after another one of the order, or too late."""
    if clock.now() - order.paid_at > REFUND_PERIOD:
        raise WeChatPayError("TRADE_OVERDUE", 403)
    if len(others) >= MAX_REFUNDS:
        raise WeChatPayError("INVALID_REQUEST", message="退款次数超限")
    if others and clock.now() - max(other.requested_at for other in others) < REFUND_INTERVAL:
        raise WeChatPayError("FREQUENCY_LIMITED", 429)


def get_refund(pay: "WeChatPay", merchant: Merchant, out_refund_no: str) -> Refund:
    """Return a refund of a merchant."""
    refund = pay.refunds.get(out_refund_no)
    if refund is None or refund.order.merchant != merchant:
        raise WeChatPayError("RESOURCE_NOT_EXISTS", 404)
    return refund
