"""Requests and responses about refunds that an admin or the front desk requests."""

from enum import StrEnum

from pydantic import Field

from chalicelib.admin.booking_models import EXAMPLE_TIME
from chalicelib.billing.money import YuanAmount
from chalicelib.http.fields import Id, IdText, OptionalId, Reason, WireModel
from chalicelib.http.pagination import ListQuery

REQUEST_STATES = "pending 等待另一人批准，done 已提交退款，rejected 已驳回"


class RequestState(StrEnum):
    """refund_requests.state."""

    PENDING = "pending"  # waits for a second person
    DONE = "done"  # approved, or small enough to need no approval: the refund is under way
    REJECTED = "rejected"


class RefundRequest(WireModel):
    """What is to be refunded of a booking's payment, and why. The booking stays."""

    book_id: Id = Field(description="预约", examples=["12"])
    amount: YuanAmount = Field(
        description="退款金额（元），大于 0", examples=[5.0], json_schema_extra={"exclusiveMinimum": 0}
    )
    reason: Reason = Field(description="退款原因，记入操作日志", examples=["检查未做"])


class RefundRequestReference(WireModel):
    """A request for a refund."""

    request_id: Id = Field(description="退款申请", examples=["4"])


class RejectRefundRequest(RefundRequestReference):
    """The request to reject, and why."""

    reason: Reason = Field(description="驳回的原因", examples=["金额有误"])


class RefundRequestListQuery(ListQuery):
    """Filters of the list of requests for refunds."""

    state: RequestState | None = Field(None, description=f"{REQUEST_STATES}；空：全部", examples=[""])
    book_id: OptionalId = Field(None, description="预约", examples=[""])


class ListedRefundRequest(WireModel):
    """A request for a refund, and who decided about it."""

    request_id: IdText = Field(title="申请编号", examples=["4"])
    book_id: IdText = Field(title="预约编号", examples=["12"])
    amount: float = Field(title="金额（元）", examples=[5.0])
    reason: str = Field(title="原因", examples=["检查未做"])
    state: RequestState = Field(title="状态", description=REQUEST_STATES, examples=[RequestState.PENDING])
    requested_by: str = Field(title="申请人", examples=["7"])
    requested_by_name: str = Field(title="申请人姓名", examples=["客服小张"])
    request_time: str = Field(title="申请时间", examples=[EXAMPLE_TIME])
    decided_by: str = Field(title="批准或驳回人", description="空：未决定，或无须批准", examples=[""])
    decided_by_name: str = Field(title="批准或驳回人姓名", examples=[""])
    decide_time: str = Field(title="决定时间", examples=[""])
    reject_reason: str = Field(title="驳回原因", examples=[""])


class RefundRules(WireModel):
    """Above which amount a refund needs a second person."""

    approval_above: YuanAmount = Field(
        description="退款金额超过此数（元）须另一名管理员批准；0：每一笔都须批准", examples=[200.0]
    )
