"""Requests and responses of the list of bookings."""

from pydantic import Field

from chalicelib.billing.bookings import BookingOrigin, BookingStatus, CancellationReason
from chalicelib.http.fields import IdText, OptionalId, WireModel
from chalicelib.http.pagination import ListQuery

EXAMPLE_TIME = "2026-01-05 09:30:00"


class BookingListQuery(ListQuery):
    """Filters of the list of bookings. The days are those of the visits."""

    book_status: BookingStatus | None = Field(
        None, description="0 已预约，1 已取消，2 已取号，3 爽约；空：全部", examples=[""]
    )
    cancel_reason: CancellationReason | None = Field(None, description="取消原因；空：全部", examples=[""])
    dept_id: OptionalId = Field(None, description="科室", examples=[""])
    doctor_id: OptionalId = Field(None, description="医生", examples=[""])
    pati_id: OptionalId = Field(None, description="患者档案", examples=[""])


class ListedBooking(WireModel):
    """A booking of any state."""

    book_id: IdText = Field(title="预约编号", examples=["12"])
    book_code: str = Field(title="预约码", examples=["20360107123456"])
    date: str = Field(title="就诊日期", examples=["2036-01-07"])
    time: str = Field(title="就诊时间", examples=["08:30"])
    serial_no: int = Field(title="序号", examples=[1])
    dept_name: str = Field(title="科室", examples=["呼吸内科"])
    doctor_name: str = Field(title="医生", description="普通门诊为空", examples=["陈医生"])
    pati_id: IdText = Field(title="患者档案", examples=["9"])
    pati_name: str = Field(title="患者", examples=["林小雨"])
    book_status: BookingStatus = Field(
        title="状态", description="0 已预约，1 已取消，2 已取号，3 爽约", examples=[BookingStatus.CANCELLED]
    )
    cancel_reason: str = Field(
        title="取消原因",
        description="patient 患者，stopped 停诊，unpaid 超时未支付，lapsed 候补未确认，desk 窗口；未取消为空",
        examples=["patient"],
    )
    change_time: str = Field(title="最后变更", description="取消、取号的时间", examples=[EXAMPLE_TIME])
    changed_by: str = Field(title="变更人", description="用户编号；空：后台任务", examples=["7"])
    bookfee: float = Field(title="挂号费（元）", examples=[12.5])
    visi_charge: int = Field(title="支付", description="1 未支付，2 已支付", examples=[2])
    refund: float = Field(title="应退（元）", description="已退和将退的金额之和", examples=[12.5])
    origin: BookingOrigin = Field(
        title="来源", description="patient 患者，desk 窗口，additional 加号，waitlist 候补", examples=["patient"]
    )
    create_time: str = Field(title="预约时间", examples=[EXAMPLE_TIME])
