"""The daily bills of the fake WeChat Pay, built from its orders and refunds.

Refunds are in the bill of the day on which they were requested. The commission is 0.6 %, rounded for each entry in the
fund flow and with five decimals in the trade bill, as WeChat Pay's own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import Merchant
from devstack.fakes.wechat_pay_rules import Order, Refund

if TYPE_CHECKING:
    from devstack.fakes.wechat_pay import WeChatPay

COMMISSION_RATE = Decimal("0.006")
MAX_AGE_DAYS = 90
TRADE_COLUMNS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
TRADE_TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
FUND_COLUMNS = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
FUND_TOTALS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"


class NoBillError(Exception):
    """There is no bill: `reason` is creating, none, or out of range."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class BillChanges:
    """Planted differences, by out_trade_no or out_refund_no.

    Attributes:
        hidden: entries that are missing.
        fees: other amounts in fen.
        days: other days.
        hidden_funds: entries of the fund flow that are missing.
        funds: other amounts of the fund flow in fen.
        discounts: what others pay of an order, in fen: the merchant does not receive it.
    """

    hidden: set[str] = field(default_factory=set)
    fees: dict[str, int] = field(default_factory=dict)
    days: dict[str, date] = field(default_factory=dict)
    hidden_funds: set[str] = field(default_factory=set)
    funds: dict[str, int] = field(default_factory=dict)
    discounts: dict[str, int] = field(default_factory=dict)


def build_trade_bill(pay: "WeChatPay", merchant: Merchant, day: date) -> str:
    """Return the trade bill of a merchant's day. Raises NoBillError."""
    orders, refunds = _list_entries(pay, merchant, day)
    if not orders and not refunds:
        raise NoBillError("none")
    changes = pay.bill_changes
    lines = [
        [
            *_build_order_values(order),
            "SUCCESS",
            *("OTHERS", "CNY", _to_yuan(order.fee - changes.discounts.get(order.out_trade_no, 0))),
            *(_to_yuan(changes.discounts.get(order.out_trade_no, 0)), "0", "0", "0.00", "0.00", "", ""),
            *(order.description, "", f"{order.fee * COMMISSION_RATE / 100:.5f}", "0.60%", _to_yuan(order.fee)),
            *("0.00", ""),
        ]
        for order in orders
    ]
    lines += [
        [
            clock.format_wire_time(refund.created_at),
            *_build_order_values(refund.order)[1:],
            "REFUND",
            *("OTHERS", "CNY", "0.00", "0.00", refund.refund_id, refund.out_refund_no, _to_yuan(refund.fee), "0.00"),
            *("ORIGINAL", refund.state, refund.order.description, ""),
            *(f"-{refund.fee * COMMISSION_RATE / 100:.5f}", "0.60%", "0.00", _to_yuan(refund.fee), ""),
        ]
        for refund in refunds
    ]
    ordered, refunded = sum(order.fee for order in orders), sum(refund.fee for refund in refunds)
    settled = ordered - sum(changes.discounts.get(order.out_trade_no, 0) for order in orders)
    commission = f"{(ordered - refunded) * COMMISSION_RATE / 100:.5f}"
    totals = [str(len(lines)), _to_yuan(settled), _to_yuan(refunded), "0.00", commission]
    return _format(TRADE_COLUMNS, lines, TRADE_TOTALS, [*totals, _to_yuan(ordered), _to_yuan(refunded)])


def build_fund_bill(pay: "WeChatPay", merchant: Merchant, day: date) -> str:
    """Return the fund flow bill of a merchant's day. Raises NoBillError."""
    changes = pay.bill_changes
    orders, refunds = _list_entries(pay, merchant, day)
    flows = []
    for order in orders:
        received = changes.funds.get(order.out_trade_no, order.fee - changes.discounts.get(order.out_trade_no, 0))
        flows.append((order.paid_at, order.transaction_id, order.out_trade_no, "交易", received))
        flows.append(
            (order.paid_at, order.transaction_id, order.out_trade_no, "扣除交易手续费", -_commission(order.fee))
        )
    for refund in refunds:
        returned = changes.funds.get(refund.out_refund_no, refund.fee) - _commission(refund.fee)
        flows.append((refund.created_at, refund.refund_id, refund.out_refund_no, "退款", -returned))
    flows = [flow for flow in flows if flow[2] not in changes.hidden_funds and flow[4]]
    if not flows:
        raise NoBillError("none")
    lines = [
        [
            *(clock.format_wire_time(at), wechat_id, f"1{index:027d}", "退款" if kind == "退款" else "交易", kind),
            *("收入" if fee > 0 else "支出", _to_yuan(abs(fee)), "10000.00", "system", "", number),
        ]
        for index, (at, wechat_id, number, kind, fee) in enumerate(flows)
    ]
    gained, lost = [flow[4] for flow in flows if flow[4] > 0], [-flow[4] for flow in flows if flow[4] < 0]
    totals = [f"{len(flows)}.0", f"{len(gained)}.0", _to_yuan(sum(gained)), f"{len(lost)}.0", _to_yuan(sum(lost))]
    return _format(FUND_COLUMNS, lines, FUND_TOTALS, totals)


def _list_entries(pay: "WeChatPay", merchant: Merchant, day: date) -> tuple[list[Order], list[Refund]]:
    """Return the payments and refunds of a day as its bills show them."""
    age = (clock.today() - day).days
    if not 0 < age <= MAX_AGE_DAYS:
        raise NoBillError("out of range")
    changes = pay.bill_changes
    orders = [
        replace(order, fee=changes.fees.get(order.out_trade_no, order.fee))
        for order in pay.orders.values()
        if order.paid_at
        and order.merchant.mch_id == merchant.mch_id
        and order.out_trade_no not in changes.hidden
        and changes.days.get(order.out_trade_no, _get_day(order.paid_at)) == day
    ]
    refunds = [
        replace(refund, fee=changes.fees.get(refund.out_refund_no, refund.fee))
        for refund in pay.refunds.values()
        if refund.order.merchant.mch_id == merchant.mch_id
        and refund.out_refund_no not in changes.hidden
        and changes.days.get(refund.out_refund_no, _get_day(refund.created_at)) == day
    ]
    return orders, refunds


def _build_order_values(order: Order) -> list[str]:
    return [
        clock.format_wire_time(order.paid_at),
        *(order.merchant.appid, order.merchant.mch_id, "0", "", order.transaction_id, order.out_trade_no),
        *(order.open_id, "JSAPI"),
    ]


def _get_day(instant: int) -> date:
    return date.fromisoformat(clock.format_wire_time(instant)[:10])


def _commission(fee: int) -> int:
    return int((fee * COMMISSION_RATE).quantize(Decimal(1), ROUND_HALF_UP))


def _to_yuan(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"


def _format(columns: str, lines: Iterable[list[str]], totals_columns: str, totals: list[str]) -> str:
    records = [columns, *("`" + ",`".join(values) for values in lines), totals_columns, "`" + ",`".join(totals)]
    return "".join(f"{record}\r\n" for record in records)
