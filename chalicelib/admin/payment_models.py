"""Requests and responses of the lists of payments, refunds and ledger entries."""

from pydantic import Field

from chalicelib.admin.booking_models import EXAMPLE_TIME
from chalicelib.billing.orders import OrderState
from chalicelib.billing.refunds_due import RefundReason, RefundState
from chalicelib.http.fields import Boolean, Id, IdText, OptionalId, WireModel
from chalicelib.http.pagination import ListQuery

ORDER_STATES = "created 待支付，success 已支付，closed 已关闭"
REFUND_STATES = "pending 未被微信受理，processing 处理中，success 成功，abnormal 异常：须人工处理"
REFUND_REASONS = (
    "patient 患者取消，stopped 停诊，unpaid 超时，desk 窗口取消，partial 医院退费，duplicate 重复支付，late 迟到的支付"
)


class MoneyListQuery(ListQuery):
    """Filters that the lists of payments and refunds share. The days are those of their creation."""

    number: str = Field(
        "", description="商户订单号、退款单号或微信的单号", max_length=32, pattern=r"^[0-9A-Za-z]*$", examples=[""]
    )
    book_id: OptionalId = Field(None, description="预约", examples=[""])
    dept_id: OptionalId = Field(None, description="科室", examples=[""])
    doctor_id: OptionalId = Field(None, description="医生", examples=[""])
    pati_id: OptionalId = Field(None, description="患者档案", examples=[""])


class PaymentListQuery(MoneyListQuery):
    """Filters of the list of payments."""

    state: OrderState | None = Field(None, description=f"{ORDER_STATES}；空：全部", examples=[""])
    unresolved: Boolean = Field(False, description="只要多次查询微信仍无结果的订单", examples=["false"])


class ListedPayment(WireModel):
    """An order at WeChat Pay."""

    payment_id: IdText = Field(title="支付编号", examples=["3"])
    book_id: IdText = Field(title="预约编号", examples=["12"])
    out_trade_no: str = Field(title="商户订单号", examples=["20360107a3f1c09be24d7780"])
    transaction_id: str = Field(title="微信支付单号", description="未支付为空", examples=["42000012342026010512345"])
    mch_id: str = Field(title="商户号", examples=["1900006891"])
    fee: float = Field(title="金额（元）", examples=[12.5])
    state: OrderState = Field(title="状态", description=ORDER_STATES, examples=[OrderState.SUCCESS])
    refunded: float = Field(title="已申请退款（元）", examples=[0.0])
    checks: int = Field(title="查询次数", examples=[1])
    dept_name: str = Field(title="科室", examples=["呼吸内科"])
    doctor_name: str = Field(title="医生", examples=["陈医生"])
    pati_id: IdText = Field(title="患者档案", examples=["9"])
    pati_name: str = Field(title="患者", examples=["林小雨"])
    create_time: str = Field(title="下单时间", examples=[EXAMPLE_TIME])
    pay_time: str = Field(title="支付时间", description="未支付为空", examples=[EXAMPLE_TIME])


class RefundListQuery(MoneyListQuery):
    """Filters of the list of refunds."""

    state: RefundState | None = Field(None, description=f"{REFUND_STATES}；空：全部", examples=[""])
    unfinished: Boolean = Field(False, description="只要尚未成功的退款", examples=["false"])


class ListedRefund(WireModel):
    """A refund through WeChat Pay."""

    refund_id: IdText = Field(title="退款编号", examples=["2"])
    payment_id: IdText = Field(title="支付编号", examples=["3"])
    book_id: IdText = Field(title="预约编号", examples=["12"])
    out_refund_no: str = Field(title="退款单号", examples=["20360107R0a1b2c3d4e5f60718293"])
    wechat_id: str = Field(title="微信退款单号", description="未受理为空", examples=["50000000382019052709732678859"])
    fee: float = Field(title="金额（元）", examples=[12.5])
    paid: float = Field(title="原支付（元）", examples=[12.5])
    reason: RefundReason = Field(title="原因", description=REFUND_REASONS, examples=[RefundReason.PATIENT])
    state: RefundState = Field(title="状态", description=REFUND_STATES, examples=[RefundState.SUCCESS])
    error: str = Field(title="微信错误码", examples=[""])
    checks: int = Field(title="请求次数", examples=[1])
    dept_name: str = Field(title="科室", examples=["呼吸内科"])
    doctor_name: str = Field(title="医生", examples=["陈医生"])
    pati_id: IdText = Field(title="患者档案", examples=["9"])
    pati_name: str = Field(title="患者", examples=["林小雨"])
    create_time: str = Field(title="申请时间", examples=[EXAMPLE_TIME])
    done_time: str = Field(title="完成时间", description="未完成为空", examples=[EXAMPLE_TIME])


class LedgerQuery(WireModel):
    """The booking whose ledger is read."""

    book_id: Id = Field(description="预约", examples=["12"])


class LedgerEntry(WireModel):
    """A step of a payment or of its refund."""

    entry_id: IdText = Field(examples=["5"])
    payment_id: IdText = Field(examples=["3"])
    refund_id: str = Field(description="空：支付本身", examples=[""])
    event: str = Field(description="新状态或步骤", examples=["paid"])
    source: str = Field(description="从何得知", examples=["notification"])
    detail: str = Field(description="微信的单号、错误码或状态", examples=["42000012342026010512345"])
    time: str = Field(examples=[EXAMPLE_TIME])
