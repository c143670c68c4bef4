"""What WeChat has not told by itself is asked for: what became of orders, and of refunds. A job of each minute.

Whatever is looked at is claimed first, so that it may run twice, also at once; one that dies leaves what it has claimed
to the next after a while, and nothing here is done twice by being asked twice.
"""

import logging
from collections.abc import Callable

from chalicelib import clock, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import Merchant, Trade, WechatPayUnavailableError
from chalicelib.billing import bookings, ledger
from chalicelib.billing.ledger import LedgerEvent, LedgerSource
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.payment import merchants, query_schedule, refund_store, refunds, settlements, store
from chalicelib.payment.store import OrderState

logger = logging.getLogger(__name__)

BATCH_SIZE = 50
BUDGET_SECONDS = 15.0  # seconds after which nothing more of a kind is begun: the next run goes on
UNPAYABLE_STATES = ("CLOSED", "REVOKED", "")  # no money came, and none can; "": WeChat has no such order


def run() -> int:
    """Return how many orders and refunds were looked at. Each kind has its time: neither waits for the other."""
    done = _process_all(store.list_due, check_order) + _process_all(refund_store.list_due, refunds.process)
    if done:
        outbox.wake_worker()
        outbox.wake_worker(Queue.EXTERNAL)
    return done


def check_order(payment: Row) -> None:
    """Settle an order that was paid, close one that nobody can or should pay any more."""
    until = query_schedule.compute_next_order_check(payment["checks"], payment["expires_at"])
    if not store.claim(mysql.autocommit, payment, until):
        return
    field_encryption.preload_keys()
    merchant = merchants.get_for_payment(payment)
    trade = wechat_pay.query_order(merchant, payment["out_trade_no"])
    if trade.state == "SUCCESS":
        _settle(payment, trade)
    elif trade.state == "REFUND":  # by hand, at WeChat's merchant platform: we had not even heard that it was paid
        logger.error("paid and refunded elsewhere", extra={"ids": {"payment_id": payment["payment_id"]}})
        _mark_closed(
            payment, "", OrderState.PAID, LedgerEvent.REFUNDED
        )  # as paid: a notice of that, which may still come, counts nothing
    elif _should_close(payment):
        _close_order(payment, merchant, trade)


def _process_all(find: Callable[[Tx, int], list[Row]], look: Callable[[Row], None]) -> int:
    started, done = clock.monotonic(), 0
    while found := mysql.run_autocommit(lambda tx: find(tx, BATCH_SIZE)):
        for row in found:
            if clock.monotonic() - started > BUDGET_SECONDS:
                return done
            _process_one(look, row)
            done += 1
    return done


def _process_one(look: Callable[[Row], None], row: Row) -> None:
    ids = {name: row[name] for name in ("tenant_id", "payment_id")}
    try:
        look(row)
    except (WechatPayUnavailableError, ApiError) as error:
        logger.warning("not answered", extra={"ids": {**ids, **logs.describe_error(error), "why": str(error)}})
    except Exception as error:  # one hospital's broken key must not keep the others from their money
        logger.error("reconciliation failed", exc_info=True, extra={"ids": {**ids, **logs.describe_error(error)}})


def _settle(payment: Row, trade: Trade) -> None:
    if (trade.fee, trade.currency or "CNY") != (payment["fee"], "CNY"):
        logger.error("paid another sum", extra={"ids": {"payment_id": payment["payment_id"], "fee": trade.fee}})
        return
    at = trade.paid_at or clock.now()
    mysql.run_transaction(lambda tx: settlements.settle(tx, payment, trade.transaction_id, at, LedgerSource.QUERY))


def _should_close(payment: Row) -> bool:
    """Whether an order should be paid no more: too late, another took its place, or the booking wants no money."""
    return (
        payment["expires_at"] <= clock.now()
        or payment["live"] is None
        or not bookings.is_payable(payment["status"], payment["payment_state"])
    )


def _close_order(payment: Row, merchant: Merchant, trade: Trade) -> None:
    if trade.state not in UNPAYABLE_STATES:
        answer = wechat_pay.close_order(merchant, payment["out_trade_no"])
        if answer.error_code:  # it is being paid just now, or is too young to be closed: asked again
            ids = {"payment_id": payment["payment_id"], "provider_code": answer.error_code}
            logger.warning("order not closed", extra={"ids": ids})
            return
    _mark_closed(payment, trade.state)


def _mark_closed(
    payment: Row, detail: str, state: OrderState = OrderState.CLOSED, event: LedgerEvent = LedgerEvent.CLOSED
) -> None:
    def close(tx: Tx) -> None:
        if store.close(tx, payment["payment_id"], state):
            ledger.record(tx, payment["tenant_id"], payment["payment_id"], event, LedgerSource.QUERY, detail)

    mysql.run_transaction(close)
