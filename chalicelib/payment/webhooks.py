"""What WeChat Pay tells of its own accord: that somebody has paid, what became of a refund.

Nothing of it is believed before its signature is (adapters/wechat_pay), over the bytes as they came; then it must speak
of an order of this hospital's, of the account that the order was made at, and of its whole sum. One transaction; then
it is acknowledged, and a copy of it changes nothing. What is refused WeChat sends again, and reconciliation asks for.
"""

import logging

from chalicelib import clock, errors, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import PAID, REFUNDED, BadNotice, Merchant, Notice, Refund
from chalicelib.crypto import field_encryption
from chalicelib.errors import Refused
from chalicelib.http.bodies import Delivery, Raw
from chalicelib.outbox import outbox
from chalicelib.payment import merchants, refund_store, refunds, settlements, store

logger = logging.getLogger(__name__)

LIMIT = 64 * 1024  # bytes; WeChat's have some thousand
YUAN = "CNY"


def paid(tenant_id: int, delivery: Delivery) -> Raw:
    """Refused 401 for a bad signature, 400 for what does not fit its order, 404 for no order of the hospital's."""
    merchant, notice = _read(tenant_id, delivery, PAID)
    payment = mysql.autocommit(lambda tx: store.by_number(tx, tenant_id, notice.out_trade_no))
    payment = _fitting(payment, merchant, notice)
    if notice.state == "SUCCESS":
        at = notice.at or clock.now()
        mysql.transact(lambda tx: settlements.settle(tx, payment, notice.transaction_id, at, "notice"))
        _nudge()
    return _acknowledged(merchant)


def refunded(tenant_id: int, delivery: Delivery) -> Raw:
    """Refused as `paid` is. One that is not signed (v2) is not believed: it only has us ask."""
    merchant, notice = _read(tenant_id, delivery, REFUNDED)
    refund = mysql.autocommit(lambda tx: refund_store.by_number(tx, tenant_id, notice.out_refund_no))
    if refund is None and notice.state == "CLOSED":  # we asked before it was told: it has another number by now
        return _acknowledged(merchant)
    refund = _fitting(refund, merchant, notice)
    if notice.signed:
        said = Refund(notice.state, refund_id=notice.refund_id)
        mysql.transact(lambda tx: refunds.become(tx, refund, said, "notice"))
    else:
        mysql.autocommit(lambda tx: refund_store.ask_now(tx, refund["refund_id"]))
    _nudge()
    return _acknowledged(merchant)


def _read(tenant_id: int, delivery: Delivery, kind: str) -> tuple[Merchant, Notice]:
    logs.bind(tenant_id=tenant_id)
    if len(delivery.body) > LIMIT:
        raise Refused(errors.TOO_LARGE)
    field_encryption.ready()
    refused: list[BadNotice] = []
    for merchant in merchants.every(tenant_id):  # a hospital that changed its account is still told of the old one's
        try:
            notice = wechat_pay.read_notice(merchant, delivery.headers, delivery.body, clock.now())
        except BadNotice as bad:
            refused.append(bad)
            continue
        if notice.kind != kind:
            raise _not_ours("another kind")
        return merchant, notice
    if not refused:
        raise Refused(errors.NOT_FOUND, "微信支付尚未配置")
    first = refused[0]
    serial = delivery.headers.get("wechatpay-serial", "")[:64]
    logger.warning("notice refused", extra={"ids": {"why": first.why, "serial": serial}})
    raise Refused(errors.SIGNATURE if first.status == errors.SIGNATURE.status else errors.BAD_PARAMETER)


def _fitting(row: Row | None, merchant: Merchant, notice: Notice) -> Row:
    """Return the payment or refund that a notice speaks of, if it speaks of that and of nothing else."""
    if row is None:
        raise _not_ours("no such number", errors.NOT_FOUND)
    currency, app_id = notice.currency, notice.appid
    if notice.kind == REFUNDED:  # v3's have neither
        currency, app_id = currency or YUAN, app_id or row["app_id"]
    said = (notice.mch_id, app_id, notice.out_trade_no, notice.fee, currency)
    if said != (row["mch_id"], row["app_id"], row["out_trade_no"], row["fee"], YUAN) or said[0] != merchant.mch_id:
        raise _not_ours("it does not fit")
    return row


def _not_ours(why: str, kind: errors.Kind = errors.BAD_PARAMETER) -> Refused:
    logger.error("notice of WeChat's refused", extra={"ids": {"why": why}})
    return Refused(kind, "通知与订单不符")


def _acknowledged(merchant: Merchant) -> Raw:
    content_type, body = wechat_pay.acknowledgement(merchant)
    return Raw(content_type, body.decode())


def _nudge() -> None:
    outbox.nudge()
    outbox.nudge(outside=True)
