"""Requests and responses about exports of lists."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from chalicelib.admin.booking_models import EXAMPLE_TIME
from chalicelib.audit.audit_log import AuditAction
from chalicelib.http.fields import IdText, OptionalId, WireModel
from chalicelib.http.pagination import ListQuery

LISTS = (
    "booking_list 预约，payment_list 支付，refund_list 退款，refund_requests 退款申请，failed_jobs 失败的任务，"
    "audit_log 操作日志，rating_list 评价"
)


class ListName(StrEnum):
    """The lists that can be exported, by the name of their endpoint."""

    BOOKINGS = "booking_list"
    PAYMENTS = "payment_list"
    REFUNDS = "refund_list"
    REFUND_REQUESTS = "refund_requests"
    FAILED_JOBS = "failed_jobs"
    AUDIT_LOG = "audit_log"
    RATINGS = "rating_list"


class AuditExportQuery(ListQuery):
    """Filters of the audit log."""

    user_id: OptionalId = None
    key_id: OptionalId = None
    action: AuditAction | None = None
    subject: str = Field("", max_length=160, pattern=r"^[\x21-\x7e]*$")


class ExportedAuditEntry(WireModel):
    """Who did what to what."""

    entry_id: IdText = Field(title="编号")
    time: str = Field(title="时间")
    actor: str = Field(title="操作人")
    actor_name: str = Field(title="姓名")
    key_id: str = Field(title="内部密钥")
    action: str = Field(title="操作")
    subject: str = Field(title="对象")
    reason: str = Field(title="原因")
    detail: str = Field(title="变更前后")
    address: str = Field(title="IP 地址")


class ExportListRequest(WireModel):
    """The list to export, with its filters."""

    list_name: ListName = Field(description=LISTS, examples=["booking_list"])
    filters: dict[str, Any] = Field(
        default={}, description="该列表接口的筛选条件，不含 before 和 page_size", examples=[{"book_status": "1"}]
    )


class ListExport(WireModel):
    """An export of a list."""

    export_id: IdText = Field(examples=["8"])
    list_name: ListName = Field(examples=[ListName.BOOKINGS])
    request_time: str = Field(examples=[EXAMPLE_TIME])
    status: Literal["pending", "ready", "expired"] = Field(
        description="pending 正在导出，ready 可以下载，expired 已过期并删除", examples=["pending"]
    )
    rows: int = Field(description="行数，不含表头", examples=[0])
    truncated: bool = Field(description="true：行数超过上限，请缩小日期范围", examples=[False])
    url: str = Field(description="CSV 文件，30 分钟内有效；空：不能下载", examples=[""])
    expire_time: str = Field(description="此后文件被删除；空：不能下载", examples=[""])
