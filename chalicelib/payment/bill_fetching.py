"""The job that fetches the bills of yesterday from 10:00 on, and compares them with the ledger.

A row of `bills` exists for each account and day before anything is fetched, so that a day that was missed is made up
for. Each bill is claimed before it is fetched; one that was claimed by a crashed run becomes due again. Its entries are
replaced in the transaction that compares them, so a repeated fetch has the same result.
"""

import logging
from datetime import date, timedelta
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from chalicelib import clock, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay import bill_files
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.bill_files import MalformedBillError
from chalicelib.adapters.wechat_pay.types import BillDownload, BillKind, BillStatus, Merchant, WechatPayUnavailableError
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.payment import bill_comparison, bill_comparison_store, bill_store, merchants
from chalicelib.payment.bill_store import MAX_AGE_DAYS, Account, Bill, BillState

logger = logging.getLogger(__name__)

HOUR = 3600 * clock.SECOND
# Since the day of the bill began.
FIRST_FETCH = 34 * HOUR  # the next day at 10:00; WeChat Pay begins to create bills at 9:00
ALARM_TIME = 38 * HOUR  # the next day at 14:00: it should have been fetched by then
LAST_CREATION = 58 * HOUR  # a day after the first fetch: a bill that is still "being created" does not exist
CREATION_INTERVAL = 1800 * clock.SECOND
MIN_INTERVAL, MAX_INTERVAL = 600 * clock.SECOND, HOUR
CLAIM_PERIOD = 900 * clock.SECOND  # longer than a run
BATCH_SIZE = 20
BUDGET_SECONDS = 300.0  # the next run continues


class BillNotReadyError(Exception):
    """WeChat Pay is still creating the bill."""


class BillRejectedError(Exception):
    """WeChat Pay rejects the request for a bill; the text is its code."""


def run() -> int:
    """Fetch or compare the bills that are due; return how many were processed."""
    for account in bill_store.list_accounts(mysql.autocommit):
        _insert_missing(account)
    started, processed = clock.monotonic(), 0
    while batch := bill_store.list_due(mysql.autocommit, BATCH_SIZE):
        for bill in batch:
            if clock.monotonic() - started > BUDGET_SECONDS:
                return processed
            process(bill)
            processed += 1
    return processed


def process(bill: Bill) -> None:
    """Fetch a bill that is waiting, compare one that was fetched. Do nothing if another process has claimed it."""
    if not bill_store.claim(mysql.autocommit, bill, clock.now() + CLAIM_PERIOD):
        return
    try:
        if bill.state != BillState.WAITING:
            bill_comparison.log_new(bill, mysql.run_transaction(lambda tx: _compare(tx, bill)))
        elif (clock.today() - bill.day).days > MAX_AGE_DAYS:
            bill_store.postpone(mysql.autocommit, bill, None, "too old", BillState.EXPIRED)
            _log_failure(bill, "too old")
        else:
            _fetch(bill)
    except BillNotReadyError as error:
        _retry(bill, str(error), CREATION_INTERVAL, is_creating=True)
    except (WechatPayUnavailableError, ApiError) as error:
        _retry(bill, str(error), min(MIN_INTERVAL << min(bill.attempts, 10), MAX_INTERVAL))
    except (BillRejectedError, MalformedBillError) as error:
        _retry(bill, str(error), MAX_INTERVAL)
    except Exception as error:  # e.g. an undecryptable key of one hospital must not stop the others
        ids = {"tenant_id": bill.tenant_id, "bill_id": bill.bill_id, **logs.describe_error(error)}
        logger.error("bill failed", exc_info=True, extra={"ids": ids})


def compute_first_fetch(day: date) -> int:
    """Return when the bill of a day is to be fetched first."""
    return clock.to_instant(day) + FIRST_FETCH


def _insert_missing(account: Account) -> None:
    """Insert the bills of an account that do not exist yet.

    The account in use has one for each day, others for days with payments or refunds: their keys may be void.
    """
    today = clock.today()
    oldest = today - timedelta(MAX_AGE_DAYS)
    if account.is_active:
        created = date.fromisoformat(clock.format_wire_time(account.created_at)[:10])
        first = max(oldest, account.last_day + timedelta(1) if account.last_day else created)
        days = [first + timedelta(number) for number in range((today - first).days)]
    else:
        first = max(oldest, account.last_day + timedelta(1)) if account.last_day else oldest
        days = bill_store.list_days_with_payments(mysql.autocommit, account, first, today) if first < today else []
    if days:
        due = [(day, compute_first_fetch(day)) for day in days]
        bill_store.insert_missing(mysql.autocommit, account.tenant_id, account.mch_id, due)


def _fetch(bill: Bill) -> None:
    field_encryption.preload_keys()
    merchant = merchants.get_for_bills(bill.tenant_id, bill.mch_id)
    with TemporaryFile() as trade_file, TemporaryFile() as fund_file:
        has_trade_bill = _download(bill, merchant, BillKind.TRADE, trade_file)
        fund_bill = _download_fund_bill(bill, merchant, fund_file, has_trade_bill)
        new = mysql.run_transaction(lambda tx: _store(tx, bill, has_trade_bill, trade_file, fund_bill, fund_file))
    bill_comparison.log_new(bill, new)


def _download(bill: Bill, merchant: Merchant, kind: BillKind, file: BinaryIO) -> bool:
    """Return whether there is a bill, once that is certain.

    "Being created" is also answered for a day on which nothing happened, and a bill that does not exist may still be
    created while the ledger knows of payments.
    """
    result = wechat_pay.download_bill(merchant, kind, bill.day, file)
    age = clock.now() - bill.begin
    if result.status == BillStatus.REJECTED:
        raise BillRejectedError(result.error_code)
    if result.status == BillStatus.CREATING and age < LAST_CREATION:
        raise BillNotReadyError(result.error_code)
    may_follow = result.status == BillStatus.EMPTY and age < ALARM_TIME
    if may_follow and bill_comparison_store.has_ledger_entries(mysql.autocommit, bill):
        raise BillNotReadyError(result.error_code)
    return result.status == BillStatus.READY


def _download_fund_bill(bill: Bill, merchant: Merchant, file: BinaryIO, has_trade_bill: bool) -> BillDownload:
    """Return whether there is a fund flow bill, or why not: not every account may download it."""
    result: BillDownload = wechat_pay.download_bill(merchant, BillKind.FUND, bill.day, file)
    if result.status == BillStatus.CREATING and has_trade_bill and clock.now() - bill.begin < LAST_CREATION:
        raise BillNotReadyError(result.error_code)
    if result.status == BillStatus.REJECTED:
        ids = {"tenant_id": bill.tenant_id, "mch_id": bill.mch_id, "provider_code": result.error_code}
        logger.warning("no fund flow bill", extra={"ids": ids})
    is_expected = has_trade_bill or result.status == BillStatus.REJECTED
    return result if is_expected else BillDownload(result.status)


def _store(
    tx: Tx, bill: Bill, has_trade_bill: bool, trade_file: BinaryIO, fund_bill: BillDownload, fund_file: BinaryIO
) -> int:
    locked = bill_store.lock(tx, bill.bill_id)
    trade_entries = bill_files.read_trade_bill(trade_file) if has_trade_bill else ()
    fund_entries = bill_files.read_fund_bill(fund_file) if fund_bill.status == BillStatus.READY else None
    bill_store.replace_entries(tx, locked, trade_entries, fund_entries, fund_bill.error_code)
    # The balance may have changed after midnight by a payment before it.
    bill_store.request_comparison(tx, bill.tenant_id, bill.mch_id, bill.begin - 1)
    return _compare(tx, bill)


def _compare(tx: Tx, bill: Bill) -> int:
    return bill_comparison.compare(tx, bill_store.lock(tx, bill.bill_id))


def _retry(bill: Bill, reason: str, interval: int, *, is_creating: bool = False) -> None:
    """Postpone a bill. It is logged as an error, which raises an alarm, if it should have been fetched by now.

    "Being created" is also answered for a day on which nothing happened, and then it is no error.
    """
    bill_store.postpone(mysql.autocommit, bill, clock.now() + interval, reason)
    is_late = clock.now() - bill.begin > ALARM_TIME
    if is_late and not (is_creating and not bill_comparison_store.has_ledger_entries(mysql.autocommit, bill)):
        _log_failure(bill, reason)
    else:
        logger.warning("bill not ready", extra={"ids": _describe(bill, reason)})


def _log_failure(bill: Bill, reason: str) -> None:
    logger.error("bill not fetched", extra={"ids": _describe(bill, reason)})


def _describe(bill: Bill, reason: str) -> dict[str, Any]:
    return {"tenant_id": bill.tenant_id, "mch_id": bill.mch_id, "day": bill.day.isoformat(), "reason": reason}
