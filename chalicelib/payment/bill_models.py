"""Requests and responses about daily bills: statements and differences."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from chalicelib.http.fields import Date, Id, IdText, OptionalId, PageQuery, PageSize, Reason, WireModel, empty_to_none

MAX_DAYS = 366
EXAMPLE_DAY, EXAMPLE_TIME = "2026-01-05", "2026-01-06 10:03:20"
KindName = Literal[
    "payment_not_in_ledger",
    "payment_not_in_bill",
    "payment_amount",
    "payment_state",
    "payment_day",
    "refund_not_in_ledger",
    "refund_not_in_bill",
    "refund_amount",
    "refund_state",
    "refund_day",
    "refund_late",
    "refund_closed",
    "fund_missing",
    "fund_amount",
]
StateName = Literal["open", "resolved"]
OptionalDate = Annotated[Date | None, BeforeValidator(empty_to_none)]
OptionalKind = Annotated[KindName | None, BeforeValidator(empty_to_none)]
OptionalState = Annotated[StateName | None, BeforeValidator(empty_to_none)]
OptionalAmount = Annotated[float | None, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]})]


class StatementsQuery(PageQuery):
    """A page of the statements of some days."""

    from_date: Date = Field(description="起始日期", examples=["2026-01-01"])
    to_date: Date = Field(description="截止日期（含），最多 366 天", examples=["2026-01-31"])

    @model_validator(mode="after")
    def _validate_range(self) -> "StatementsQuery":
        if not 0 <= (self.to_date - self.from_date).days < MAX_DAYS:
            raise ValueError(f"to_date：不能早于 from_date，最多 {MAX_DAYS} 天")
        return self


class Statement(WireModel):
    """The statement of a day: WeChat's bill, and what our ledger has. Amounts are in yuan, null until compared."""

    date: str = Field(examples=[EXAMPLE_DAY])
    state: Literal["waiting", "fetched", "empty", "expired"] = Field(
        description="waiting 待下载，fetched 已核对，empty 当日无账单（已核对），expired 超过三个月未能下载",
        examples=["fetched"],
    )
    error: str = Field(description="最近一次下载失败的原因；没有则为空", examples=[""])
    fund_error: str = Field(description="没有资金账单的原因：不影响交易核对；没有则为空", examples=[""])
    fetched_date: str = Field(description="下载时间；未下载为空", examples=[EXAMPLE_TIME])
    payment_count: int | None = Field(description="收款笔数", examples=[12])
    payments: OptionalAmount = Field(description="收款总额（订单金额）", examples=[150.0])
    refund_count: int | None = Field(description="退款笔数（按发起日期）", examples=[1])
    refunds: OptionalAmount = Field(description="退款总额（申请退款金额）", examples=[12.5])
    discounts: OptionalAmount = Field(description="免充值代金券抵扣：患者少付、医院少收", examples=[0.0])
    commission: OptionalAmount = Field(description="手续费，逐笔四舍五入到分；已减去退款退回的", examples=[0.83])
    net: OptionalAmount = Field(description="净额 = 收款 − 退款 − 代金券 − 手续费", examples=[136.67])
    ledger_payments: OptionalAmount = Field(description="系统记录的收款", examples=[150.0])
    ledger_refunds: OptionalAmount = Field(description="系统记录的退款", examples=[12.5])
    open_differences: int = Field(description="未处理的差异", examples=[0])


class DifferencesQuery(WireModel):
    """A page of differences, the newest first."""

    date: OptionalDate = Field(None, description="账单日期；不填：全部", examples=[""])
    state: OptionalState = Field(None, description="open 未处理，resolved 已处理；不填：全部", examples=["open"])
    kind: OptionalKind = Field(None, description="不填：全部", examples=[""])
    page_size: PageSize = Field(20, examples=[20])
    difference_id: OptionalId = Field(None, description="返回比这一条更早发现的；不填：最新的", examples=[""])


class Difference(WireModel):
    """A difference between a daily bill and our ledger, or between the trade bill and the fund flow bill."""

    difference_id: IdText = Field(examples=["7"])
    date: str = Field(description="账单日期", examples=[EXAMPLE_DAY])
    mch_id: str = Field(examples=["1900006891"])
    kind: KindName = Field(examples=["payment_not_in_ledger"])
    title: str = Field(examples=["账单有收款，系统无此订单"])
    action: str = Field(description="建议的处理办法", examples=["在微信支付商户平台查询该订单……"])
    number: str = Field(description="商户订单号；退款为商户退款单号", examples=["20260105a3f1c09be24d7780"])
    wechat_id: str = Field(
        description="微信订单号或退款单号；账单没有则为空", examples=["4200001234202601051234567890"]
    )
    book_id: str = Field(description="预约编号；系统没有则为空", examples=["12"])
    bill_amount: OptionalAmount = Field(description="账单计入当日的金额；资金差异：应入账的金额", examples=[12.5])
    ledger_amount: OptionalAmount = Field(description="系统计入当日的金额；资金差异：实际入账的金额", examples=[None])
    ledger_state: str = Field(description="系统中订单或退款的状态；没有则为空", examples=[""])
    state: StateName = Field(examples=["open"])
    found_date: str = Field(examples=[EXAMPLE_TIME])
    resolved_date: str = Field(description="未处理为空", examples=[""])
    resolved_by: str = Field(description="处理人的用户编号；未处理，或因差异消失而自动关闭：空", examples=[""])
    resolved_by_name: str = Field(examples=[""])
    note: str = Field(examples=[""])


class ResolveDifferenceRequest(WireModel):
    """Why a difference needs no further action."""

    difference_id: Id = Field(examples=[7])
    note: Reason = Field(description="处理说明，记入审计日志", examples=["商户平台手工退款，已与财务核对"])


class FetchBillRequest(WireModel):
    """The day whose bills are to be fetched again."""

    date: Date = Field(description="昨天或更早，最多 89 天前", examples=[EXAMPLE_DAY])


def to_optional_text(value: Any) -> str:
    """Return a value as text, "" for None."""
    return "" if value is None else str(value)
