"""Requests and responses about notifications: the call list, and the SMS templates of a hospital."""

import builtins
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chalicelib.booking.jobs.notified_bookings import VariableName
from chalicelib.booking.reservations import notifications
from chalicelib.booking.reservations.models import STATUS_DESCRIPTION
from chalicelib.http.fields import (
    Boolean,
    Date,
    Id,
    IdText,
    OptionalId,
    PageSize,
    WireModel,
    build_enum_schema,
    parse_choice,
)

TYPE_DESCRIPTION = "1102 停诊，1108 医院改期，1110 候补到号，1120 替诊，1121 停诊改约待确认，1122 停诊改约逾期取消"
FAILURE_DESCRIPTION = (
    "no_account 无账号，no_phone 账号无可用手机号，no_template 未配置短信，quota 当日限额已用完，rejected 短信被拒，"
    "not_sent 短信服务不可用（仍在重试），uncertain 短信是否送达不明"
)
TIME_EXAMPLE = "2036-01-06 18:00:00"


class CallListQuery(WireModel):
    """A page of the call list."""

    date: Date | None = Field(None, description="就诊日", examples=["2036-01-07"])
    dept_id: OptionalId = Field(None, examples=["1"])
    called: Boolean = Field(False, description="true：已致电的", examples=["false"])
    after: OptionalId = Field(None, description="上一页的 next", examples=[""])
    page_size: PageSize = Field(20, examples=[20])


class CallListEntry(WireModel):
    """A patient whom the front desk is to call, and what to say."""

    notification_id: IdText = Field(examples=["31"])
    type: int = Field(description=TYPE_DESCRIPTION, examples=[1102])
    text: str = Field(
        description="要告知患者的内容", examples=["因停诊，您的预约已取消：林小雨，2036-01-07 09:00，内科。"]
    )
    failure: str = Field(description=FAILURE_DESCRIPTION, examples=["no_account"])
    name: str = Field(examples=["林小雨"])
    phone: str = Field(description="账号的，没有则为档案的；空：都没有", examples=["13800000001"])
    pati_id: IdText = Field(examples=["1"])
    book_id: IdText = Field(examples=["1024"])
    book_code: str = Field(examples=["20360107482913"])
    bookStatus: int = Field(description=STATUS_DESCRIPTION, examples=[1])
    date: str = Field(examples=["2036-01-07"])
    time: str = Field(examples=["09:00"])
    deptName: str = Field(examples=["内科"])
    doctorName: str = Field(description="空：普通门诊", examples=["陈医生"])
    since: str = Field(description="通知产生的时间", examples=[TIME_EXAMPLE])
    called_by: str = Field(description="致电的工作人员；空：尚未致电", examples=[""])
    called_at: str = Field(description="空：尚未致电", examples=[""])


class CallList(WireModel):
    """A page of the call list."""

    list: builtins.list[CallListEntry]
    next: str = Field(description="下一页的 after；空：没有更多", examples=[""])


class MarkCalledRequest(WireModel):
    """A patient who was called."""

    notification_id: Id = Field(examples=["31"])


class CalledPatient(WireModel):
    """Who called the patient first, and when."""

    called_by: str = Field(examples=["前台小李"])
    called_at: str = Field(examples=[TIME_EXAMPLE])


_EVENT_TYPES = sorted(notifications.MUST_ARRIVE)
SmsEventType = Annotated[
    Literal[1102, 1108, 1110, 1120, 1121, 1122], BeforeValidator(parse_choice), build_enum_schema(*_EVENT_TYPES)
]
SignName = Annotated[str, Field(max_length=32, pattern=r"^[^\x00-\x1f\x7f【】\[\]]*$", examples=["仁和医院"])]
SmsTemplateId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_]{0,64}$", examples=["SMS_480000001"])]


class SmsTemplate(WireModel):
    """The SMS template of an event."""

    type: int = Field(description=TYPE_DESCRIPTION, examples=[1102])
    sign_name: str = Field(examples=["仁和医院"])
    template_id: str = Field(examples=["SMS_480000001"])
    variables: list[str] = Field(examples=[["patient", "time", "dept"]])


class SaveSmsTemplateRequest(WireModel):
    """The SMS template of an event, as the provider has approved it."""

    type: SmsEventType = Field(description=TYPE_DESCRIPTION, examples=[1102])
    sign_name: SignName = Field("", description="签名，不含【】；template_id 非空时必填")
    template_id: SmsTemplateId = Field(description="空：不再用短信通知这一事件")
    variables: Annotated[list[VariableName], Field(max_length=10)] = Field(
        default_factory=list,
        description="模板变量，按模板中的顺序：hospital 医院，patient 患者（只留姓），time 就诊时间，dept 科室，"
        "doctor 医生，area 候诊地点，before 原时间，until 确认期限，reason 原因。每个值最长 35 字",
        examples=[["patient", "time", "dept"]],
    )
