"""Requests and responses of admins about orders and refunds that do not resolve by themselves."""

from pydantic import Field

from chalicelib.billing.refunds_due import RefundState
from chalicelib.http.fields import Id, IdText, Reason, WireModel


class PaymentReference(WireModel):
    """An order at WeChat Pay."""

    payment_id: Id = Field(description="支付编号", examples=["3"])


class RefundReference(WireModel):
    """A refund."""

    refund_id: Id = Field(description="退款编号", examples=["2"])


class SettleRefundRequest(RefundReference):
    """The refund that WeChat Pay does not make, and how the patient got the money."""

    reason: Reason = Field(description="如何退给了患者，记入操作日志", examples=["窗口现金退还，收据 T-17"])


class SettledRefund(WireModel):
    """A refund after WeChat Pay was queried."""

    refund_id: IdText = Field(examples=["2"])
    state: RefundState = Field(examples=[RefundState.SUCCESS])
    by_wechat: bool = Field(description="true：微信已退款，无须人工", examples=[False])
