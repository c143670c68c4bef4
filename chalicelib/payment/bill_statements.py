"""Daily statements for admins, and fetching a day's bills again."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.billing.money import to_optional_yuan
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller
from chalicelib.payment import bill_statement_store, bill_store, merchant_store
from chalicelib.payment.bill_models import FetchBillRequest, Statement, StatementsQuery
from chalicelib.payment.bill_statement_store import Statement as StoredStatement
from chalicelib.payment.bill_store import MAX_AGE_DAYS


def list_page(caller: Caller, query: StatementsQuery) -> Page[Statement]:
    """Return a page of the hospital's statements, the newest day first."""
    days = (query.from_date, query.to_date)
    total = bill_statement_store.count_days(mysql.autocommit, caller.tenant_id, *days)
    found = bill_statement_store.list_statements(
        mysql.autocommit, caller.tenant_id, *days, query.offset, query.page_size
    )
    return Page[Statement].build(query, total, [_describe(one) for one in found])


def request_fetch(caller: Caller, body: FetchBillRequest) -> Statement:
    """Have the bills of a day fetched again within minutes; return its statement, which keeps its amounts until then.

    Raises:
        ApiError: 400 for a day without a bill at WeChat Pay; 404 if the hospital has no merchant account.
    """
    age = (clock.today() - body.date).days
    if not 0 < age <= MAX_AGE_DAYS:
        raise ApiError(errors.BAD_PARAMETER, f"date：必须是昨天或更早，最多 {MAX_AGE_DAYS} 天前")
    return mysql.run_transaction(lambda tx: _request_fetch(tx, caller, body))


def _request_fetch(tx: Tx, caller: Caller, body: FetchBillRequest) -> Statement:
    tenant_id, day = caller.tenant_id, body.date
    if account := merchant_store.find_active(tx, tenant_id):
        bill_store.insert_missing(tx, tenant_id, account.mch_id, [(day, clock.now())])
    bill_store.request_fetch(tx, tenant_id, day)
    found = bill_statement_store.list_statements(tx, tenant_id, day, day, 0, 1)
    if not found:
        raise ApiError(errors.NOT_FOUND, "微信支付尚未配置")
    audit_log.insert_entry(
        tx,
        tenant_id,
        caller.principal,
        AuditAction.FETCH_BILL,
        f"bill:{day.isoformat()}",
        key_id=caller.key_id or None,
    )
    return _describe(found[0])


def _describe(statement: StoredStatement) -> Statement:
    return Statement(
        date=statement.day.isoformat(),
        state=statement.state.value,
        error=statement.error,
        fund_error=statement.fund_error,
        fetched_date=clock.format_wire_time(statement.fetched_at) if statement.fetched_at else "",
        payment_count=statement.payment_count,
        payments=to_optional_yuan(statement.payments),
        refund_count=statement.refund_count,
        refunds=to_optional_yuan(statement.refunds),
        discounts=to_optional_yuan(statement.discounts),
        commission=to_optional_yuan(statement.commission),
        net=to_optional_yuan(_compute_net(statement)),
        ledger_payments=to_optional_yuan(statement.ledger_payments),
        ledger_refunds=to_optional_yuan(statement.ledger_refunds),
        open_differences=statement.open_differences,
    )


def _compute_net(statement: StoredStatement) -> int | None:
    """Return what the day has changed the hospital's balance by, once its refunds have succeeded."""
    if None in (statement.payments, statement.refunds, statement.discounts, statement.commission):
        return None
    return (
        (statement.payments or 0) - (statement.refunds or 0) - (statement.discounts or 0) - (statement.commission or 0)
    )
