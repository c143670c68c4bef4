"""Requests and responses of the screens in waiting rooms."""

from typing import Annotated

from pydantic import Field

from chalicelib.booking.queues.models import CODE_DESCRIPTION, EXAMPLE_CODE
from chalicelib.booking.reservations.models import EXAMPLE_DATETIME
from chalicelib.booking.schedules.models import HALF_DESCRIPTION, Area
from chalicelib.http.fields import Id, IdText, Name, WireModel

AREA_DESCRIPTION = "候诊地点，与排班的一致；空：整个科室"


class CreateScreenRequest(WireModel):
    """Request of create_screen."""

    name: Name = Field(examples=["二层 A 区东墙"])
    dept_id: Id = Field(examples=["1"])
    area: Area = Field("", description=AREA_DESCRIPTION, examples=["门诊楼二层 A 区"])


class CreatedScreen(WireModel):
    """A screen with its device key, which is not shown again."""

    screen_id: IdText = Field(examples=["4"])
    key: str = Field(description="设备密钥，只显示这一次；屏幕用请求头 token 携带", examples=["8rUq…"])


class ScreenId(WireModel):
    """A request that names a screen."""

    screen_id: Id = Field(examples=["4"])


class ListedScreen(WireModel):
    """A screen in the list, without its key, which is not stored."""

    screen_id: IdText = Field(examples=["4"])
    name: str = Field(examples=["二层 A 区东墙"])
    dept_id: IdText = Field(examples=["1"])
    dept_name: str = Field(examples=["呼吸内科"])
    area: str = Field(description=AREA_DESCRIPTION, examples=["门诊楼二层 A 区"])
    created_time: str = Field(examples=[EXAMPLE_DATETIME])
    revoked_time: str | None = Field(description="null：有效", examples=[None])


class ShownPatient(WireModel):
    """A patient on a screen."""

    serial_no: int = Field(description="就诊序号", examples=[3])
    name: str = Field(description="只显示第一个字", examples=["林*"])
    returning: bool = Field(description="true：回诊", examples=[False])


class CalledPatient(ShownPatient):
    """The patient who is called."""

    call: int = Field(description="第几次叫号；变大时应再次播报", examples=[1])
    called_time: str = Field(examples=[EXAMPLE_DATETIME])


class ShownQueue(WireModel):
    """The queue of a half-day on a screen."""

    doctor_name: str = Field(description="空：普通门诊", examples=["陈医生"])
    half: str = Field(description=HALF_DESCRIPTION, examples=["AM"])
    area: str = Field(examples=["门诊楼二层 A 区"])
    called: CalledPatient | None = Field(description="正在叫号；null：没有")
    waiting: Annotated[list[ShownPatient], Field(description="接下来的患者，至多 10 位")]
    waiting_count: int = Field(description="等候人数", examples=[6])


class Screen(WireModel):
    """What a screen shows."""

    dept_name: str = Field(examples=["呼吸内科"])
    checkin_code: str = Field(description=f"{CODE_DESCRIPTION}；空：未启用", examples=[EXAMPLE_CODE])
    time: str = Field(description="服务器时间", examples=[EXAMPLE_DATETIME])
    queues: list[ShownQueue]
