"""The job that queries WeChat Pay every minute about orders and refunds for which no notification has arrived.

Each order or refund is claimed before it is queried, so runs may overlap; one that was claimed by a crashed run becomes
due again after a while. Processing is idempotent.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from chalicelib import clock, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import CURRENCY, Merchant, Trade, TradeState, WechatPayUnavailableError
from chalicelib.billing import ledger
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.billing.orders import OrderState
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.payment import merchants, query_schedule, refund_store, refunds, settlements, store
from chalicelib.payment.refund_store import Refund
from chalicelib.payment.store import DuePayment

logger = logging.getLogger(__name__)

T = TypeVar("T", DuePayment, Refund)

BATCH_SIZE = 50
BUDGET_SECONDS = 15.0  # for orders, and again for refunds; the next run continues
UNPAYABLE_STATES = frozenset({TradeState.CLOSED, TradeState.REVOKED, TradeState.NOT_FOUND})  # not paid, cannot be paid


def run() -> int:
    """Process due orders, then due refunds, each within its own time budget; return how many were processed."""
    processed = _process_all(store.list_due, check_order) + _process_all(refund_store.list_due, refunds.process)
    if processed:
        outbox.wake_worker()
        outbox.wake_worker(Queue.EXTERNAL)
    return processed


def check_order(payment: DuePayment) -> None:
    """Query an order: settle it if it was paid, close it if it is not to be paid any more.

    Raises:
        WechatPayUnavailableError, ApiError: the order becomes due again.
    """
    until = query_schedule.compute_next_order_check(payment.checks, payment.expires_at)
    if not store.claim(mysql.autocommit, payment, until):
        return
    field_encryption.preload_keys()
    merchant = merchants.get_for_order(payment.tenant_id, payment.mch_id, payment.app_id)
    trade = wechat_pay.query_order(merchant, payment.out_trade_no)
    if trade.state == TradeState.SUCCESS:
        _settle(payment, trade)
    elif trade.state == TradeState.REFUND:
        # Refunded by hand at WeChat Pay's merchant platform before its payment became known here. With state SUCCESS
        # a payment notification that still arrives changes nothing.
        logger.error("order refunded outside the system", extra={"ids": {"payment_id": payment.payment_id}})
        _finish(payment, OrderState.SUCCESS, LedgerEvent.REFUNDED)
    elif _should_close(payment):
        _close_order(payment, merchant, trade)


def _process_all(list_due: Callable[[Tx, int], list[T]], process: Callable[[T], None]) -> int:
    started, processed = clock.monotonic(), 0
    while batch := list_due(mysql.autocommit, BATCH_SIZE):
        for record in batch:
            if clock.monotonic() - started > BUDGET_SECONDS:
                return processed
            _process_one(process, record)
            processed += 1
    return processed


def _process_one(process: Callable[[T], None], record: T) -> None:
    ids = {"tenant_id": record.tenant_id, "payment_id": record.payment_id}
    try:
        process(record)
    except (WechatPayUnavailableError, ApiError) as error:
        details = {**ids, **logs.describe_error(error), "reason": str(error)}
        logger.warning("no response to payment query", extra={"ids": details})
    except Exception as error:  # e.g. an undecryptable key of one hospital must not stop the others
        logger.error("reconciliation failed", exc_info=True, extra={"ids": {**ids, **logs.describe_error(error)}})


def _settle(payment: DuePayment, trade: Trade) -> None:
    if (trade.fee, trade.currency or CURRENCY) != (payment.fee, CURRENCY):
        ids = {"payment_id": payment.payment_id, "fee": trade.fee}
        logger.error("paid amount differs from the order", extra={"ids": ids})
        return
    at = trade.paid_at or clock.now()
    mysql.run_transaction(lambda tx: settlements.settle(tx, payment, trade.transaction_id, at, LedgerSource.QUERY))


def _should_close(payment: DuePayment) -> bool:
    return payment.expires_at <= clock.now() or not payment.is_live or not payment.is_booking_payable


def _close_order(payment: DuePayment, merchant: Merchant, trade: Trade) -> None:
    if trade.state not in UNPAYABLE_STATES:
        result = wechat_pay.close_order(merchant, payment.out_trade_no)
        if result.error_code:  # it is being paid, or is too new to be closed: the next check tries again
            ids = {"payment_id": payment.payment_id, "provider_code": result.error_code}
            logger.warning("order not closed", extra={"ids": ids})
            return
    _finish(payment, OrderState.CLOSED, LedgerEvent.CLOSED, trade.state)


def _finish(payment: DuePayment, state: OrderState, event: LedgerEvent, detail: str = "") -> None:
    def finish(tx: Tx) -> None:
        if store.finish(tx, payment.payment_id, state):
            ledger.record(tx, payment.tenant_id, payment.payment_id, event, LedgerSource.QUERY, detail)

    mysql.run_transaction(finish)
