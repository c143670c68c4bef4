"""Differences between bills and the ledger for admins: what each means, what to do, and resolving one with a note."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.billing.money import to_optional_yuan
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.payment import bill_difference_store
from chalicelib.payment.bill_difference_store import Difference as StoredDifference
from chalicelib.payment.bill_difference_store import DifferenceFilter, DifferenceKind
from chalicelib.payment.bill_models import Difference, DifferencesQuery, ResolveDifferenceRequest, to_optional_text

# Title and recommended action of each kind.
TEXTS: dict[DifferenceKind, tuple[str, str]] = {
    DifferenceKind.PAYMENT_NOT_IN_LEDGER: (
        "账单有收款，系统无此订单",
        "在微信支付商户平台按商户订单号查询。若是其他系统共用该商户号的收款，核对后关闭；否则在商户平台原路退款，并告知运维。",
    ),
    DifferenceKind.PAYMENT_NOT_IN_BILL: (
        "系统有收款，账单无此订单",
        "在商户平台按商户订单号查询是否支付成功。若成功，重新下载当日账单；若未支付，暂停该预约的退款并告知运维。",
    ),
    DifferenceKind.PAYMENT_AMOUNT: (
        "收款金额不一致",
        "在商户平台核对订单金额。以微信为准，与患者多退少补，并告知运维。",
    ),
    DifferenceKind.PAYMENT_STATE: (
        "账单有收款，系统未记为已支付",
        "系统每小时会再查询，入账后自动关闭。若一天后仍未关闭：预约有效则由窗口登记，否则在商户平台原路退款。",
    ),
    DifferenceKind.PAYMENT_DAY: ("收款入账日期不同", "两天的差额相抵。核对两天的差异为同一订单后关闭。"),
    DifferenceKind.REFUND_NOT_IN_LEDGER: (
        "账单有退款，系统无此退款",
        "多为在商户平台手工发起的退款。核对操作人和原因；若预约仍有效，请患者补缴或取消预约。",
    ),
    DifferenceKind.REFUND_NOT_IN_BILL: (
        "系统有退款，账单无此退款",
        "在商户平台按商户退款单号查询。若同一订单已手工退款，核对后关闭；若微信未受理，告知运维，勿重复退款。",
    ),
    DifferenceKind.REFUND_AMOUNT: (
        "退款金额不一致",
        "在商户平台核对退款金额。以微信为准，与患者多退少补，并告知运维。",
    ),
    DifferenceKind.REFUND_STATE: (
        "账单有退款，系统未记为已受理",
        "系统会用同一退款单号再次请求，受理后自动关闭，不会重复退款。若一天后仍未关闭，告知运维。",
    ),
    DifferenceKind.REFUND_DAY: ("退款受理日期不同", "两天的差额相抵。核对两天的差异为同一退款后关闭。"),
    DifferenceKind.REFUND_LATE: (
        "退款受理后多日未到账",
        "在商户平台查询该退款。若为“退款异常”，在商户平台重新退到患者的其他账户；到账后自动关闭。",
    ),
    DifferenceKind.REFUND_CLOSED: (
        "退款被微信关闭，已换单号重新发起",
        "多因商户余额不足。充值后系统以新单号退款，见之后的账单；核对后关闭。",
    ),
    DifferenceKind.FUND_MISSING: (
        "交易账单有收款，资金账单未入账",
        "在商户平台“资金流水”按微信订单号查询；查不到则联系微信支付客服。",
    ),
    DifferenceKind.FUND_AMOUNT: (
        "资金账单入账金额与交易账单不符",
        "核对该笔的手续费、代金券和分账；退款失败退回也会造成差额，以“资金流水”为准，核对后关闭。",
    ),
}


def list_page(caller: Caller, query: DifferencesQuery) -> list[Difference]:
    """Return a page of the hospital's differences, the newest first."""
    wanted = DifferenceFilter(day=query.date, state=query.state, kind=query.kind, before=query.difference_id)
    found = bill_difference_store.list_differences(mysql.autocommit, caller.tenant_id, wanted, query.page_size)
    return [_describe(one) for one in found]


def resolve(caller: Caller, body: ResolveDifferenceRequest) -> Difference:
    """Resolve a difference; one that is resolved already stays as it is.

    Raises:
        ApiError: 404 if the hospital has no such difference.
    """
    return mysql.run_transaction(lambda tx: _resolve(tx, caller, body))


def _resolve(tx: Tx, caller: Caller, body: ResolveDifferenceRequest) -> Difference:
    tenant_id, difference_id = caller.tenant_id, body.difference_id
    if bill_difference_store.resolve(tx, tenant_id, difference_id, caller.user_id, body.note):
        audit_log.insert_entry(
            tx,
            tenant_id,
            caller.principal,
            AuditAction.RESOLVE_DIFFERENCE,
            f"difference:{difference_id}",
            reason=body.note,
            key_id=caller.key_id or None,
        )
    found = bill_difference_store.list_differences(tx, tenant_id, DifferenceFilter(difference_id=difference_id), 1)
    if not found:
        raise ApiError(errors.NOT_FOUND, "差异不存在")
    return _describe(found[0])


def _describe(difference: StoredDifference) -> Difference:
    title, action = TEXTS[difference.kind]
    resolved_at = difference.resolved_at
    return Difference(
        difference_id=str(difference.difference_id),
        date=difference.day.isoformat(),
        mch_id=difference.mch_id,
        kind=difference.kind.value,
        title=title,
        action=action,
        number=difference.number,
        wechat_id=difference.wechat_id,
        book_id=to_optional_text(difference.book_id),
        bill_amount=to_optional_yuan(difference.bill_fee),
        ledger_amount=to_optional_yuan(difference.ledger_fee),
        ledger_state=difference.ledger_state,
        state=difference.state.value,
        found_date=clock.format_wire_time(difference.found_at),
        resolved_date=clock.format_wire_time(resolved_at) if resolved_at else "",
        resolved_by=to_optional_text(difference.resolved_by),
        resolved_by_name=difference.resolved_by_name,
        note=difference.note,
    )
