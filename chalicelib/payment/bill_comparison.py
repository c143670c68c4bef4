"""Compare a bill with the ledger, and the two bills with each other.

Payments are compared by out_trade_no, refunds by out_refund_no. Both belong to the day on which WeChat Pay counts them:
that of the payment, and that on which it accepted the refund. Amounts of all differences of a day, except those of the
fund flow, explain to the fen why the bill's sums are not those of the ledger.
"""

import logging
from collections.abc import Callable, Iterable

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.orders import OrderState
from chalicelib.payment import bill_comparison_store, bill_difference_store, bill_statement_store
from chalicelib.payment.bill_comparison_store import ComparedEntry, ComparedFlow, MissingEntry
from chalicelib.payment.bill_difference_store import Difference, DifferenceKind, DifferenceState, FoundDifference
from chalicelib.payment.bill_store import Bill

logger = logging.getLogger(__name__)

Classify = Callable[[ComparedEntry, bool], DifferenceKind]  # with whether the ledger counts it on the same day

LATE_REFUND_AGE = 5 * clock.DAY  # banks take up to three working days
# A bill with open differences is compared again, as the ledger may learn of a payment later.
RECENT_AGE = 7 * clock.DAY
RECENT_INTERVAL, LATER_INTERVAL = 3600 * clock.SECOND, clock.DAY


def compare(tx: Tx, bill: Bill) -> int:
    """Store the differences of a locked bill and its statement; return how many differences were not known.

    A difference that is no longer found is closed. One that an admin has resolved stays so, unless its amounts change.
    """
    found = {(one.kind, one.number): one for one in find_differences(tx, bill)}
    known = {(one.kind, one.number): one for one in bill_difference_store.list_of_bill(tx, bill)}
    new = [one for key, one in found.items() if _is_new(one, known.get(key))]
    vanished = [one.difference_id for key, one in known.items() if key not in found and _is_open(one)]
    if new:
        bill_difference_store.insert_or_reopen(tx, bill, new)
    if vanished:
        bill_difference_store.close_vanished(tx, bill, vanished)
    resolved = {key for key, one in known.items() if not _is_open(one)} - {(one.kind, one.number) for one in new}
    totals = bill_comparison_store.compute_totals(tx, bill)
    bill_statement_store.store_totals(tx, bill, totals, _compute_next(tx, bill, found.keys() - resolved))
    return len(new)


def find_differences(tx: Tx, bill: Bill) -> list[FoundDifference]:
    """Return the differences between a bill and the ledger."""
    payment_kinds = (DifferenceKind.PAYMENT_DAY, DifferenceKind.PAYMENT_NOT_IN_BILL)
    refund_kinds = (DifferenceKind.REFUND_DAY, DifferenceKind.REFUND_NOT_IN_BILL)
    payments = bill_comparison_store.list_differing_payments(tx, bill)
    refunds = bill_comparison_store.list_differing_refunds(tx, bill, clock.now() - LATE_REFUND_AGE)
    return [
        *_build_differing(bill, payments, _classify_payment),
        *_build_missing(bill_comparison_store.list_missing_payments(tx, bill), *payment_kinds),
        *_build_differing(bill, refunds, _classify_refund),
        *_build_missing(bill_comparison_store.list_missing_refunds(tx, bill), *refund_kinds),
        *map(_build_flow, bill_comparison_store.list_differing_flows(tx, bill) if bill.has_fund_bill else ()),
    ]


def log_new(bill: Bill, count: int) -> None:
    """Log an error, which raises an alarm, if a comparison has found differences that were not known.

    Call this after the commit.
    """
    if count:
        ids = {"tenant_id": bill.tenant_id, "mch_id": bill.mch_id, "day": bill.day.isoformat(), "differences": count}
        logger.error("bill differs from ledger", extra={"ids": ids})


def _classify_payment(entry: ComparedEntry, is_same_day: bool) -> DifferenceKind:
    if entry.ledger_fee is None:
        return DifferenceKind.PAYMENT_NOT_IN_LEDGER
    if entry.ledger_state != OrderState.SUCCESS or entry.ledger_at is None:
        return DifferenceKind.PAYMENT_STATE
    return DifferenceKind.PAYMENT_AMOUNT if is_same_day else DifferenceKind.PAYMENT_DAY


def _classify_refund(entry: ComparedEntry, is_same_day: bool) -> DifferenceKind:
    if entry.ledger_fee is None:
        return DifferenceKind.REFUND_CLOSED if entry.was_closed else DifferenceKind.REFUND_NOT_IN_LEDGER
    if entry.ledger_at is None:
        return DifferenceKind.REFUND_STATE
    if not is_same_day:
        return DifferenceKind.REFUND_DAY
    return DifferenceKind.REFUND_AMOUNT if entry.ledger_fee != entry.bill_fee else DifferenceKind.REFUND_LATE


def _build_differing(bill: Bill, entries: Iterable[ComparedEntry], classify: Classify) -> Iterable[FoundDifference]:
    for entry in entries:
        is_same_day = entry.ledger_at is not None and bill.begin <= entry.ledger_at < bill.end
        kind = classify(entry, is_same_day)
        is_counted = is_same_day and kind != DifferenceKind.PAYMENT_STATE
        yield FoundDifference(
            kind=kind,
            number=entry.number,
            wechat_id=entry.wechat_id,
            book_id=entry.book_id,
            bill_fee=entry.bill_fee,
            ledger_fee=entry.ledger_fee if is_counted else None,
            ledger_state=entry.ledger_state or "",
        )


def _build_missing(
    entries: Iterable[MissingEntry], elsewhere: DifferenceKind, nowhere: DifferenceKind
) -> Iterable[FoundDifference]:
    for entry in entries:
        yield FoundDifference(
            kind=elsewhere if entry.is_elsewhere else nowhere,
            number=entry.number,
            book_id=entry.book_id,
            bill_fee=None,
            ledger_fee=entry.ledger_fee,
            ledger_state=entry.ledger_state,
        )


def _build_flow(flow: ComparedFlow) -> FoundDifference:
    return FoundDifference(
        kind=DifferenceKind.FUND_MISSING if flow.found is None else DifferenceKind.FUND_AMOUNT,
        number=flow.number,
        wechat_id=flow.wechat_id,
        bill_fee=flow.expected,
        ledger_fee=flow.found,
    )


def _is_new(found: FoundDifference, known: Difference | None) -> bool:
    if known is None or (known.bill_fee, known.ledger_fee) != (found.bill_fee, found.ledger_fee):
        return True
    has_come_back = not _is_open(known) and known.resolved_by is None
    return has_come_back or (_is_open(known) and known.ledger_state != found.ledger_state)


def _is_open(difference: Difference) -> bool:
    return difference.state == DifferenceState.OPEN


def _compute_next(tx: Tx, bill: Bill, still_open: object) -> int | None:
    """Return when to compare a bill again, None if only a change of its day's ledger requires it."""
    if still_open:
        is_recent = clock.now() - bill.end < RECENT_AGE
        return clock.now() + (RECENT_INTERVAL if is_recent else LATER_INTERVAL)
    return clock.now() + LATER_INTERVAL if bill_comparison_store.count_unfinished_refunds(tx, bill) else None
