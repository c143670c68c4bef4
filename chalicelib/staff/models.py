"""Requests and responses of staff sign-in and of bar codes."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from chalicelib.http.fields import Id, IdText, Phone, StaffPassword, WireModel, empty_to_none

OneTimeCode = Annotated[str, Field(pattern="^[0-9]{6}$", examples=["287082"])]
OptionalOneTimeCode = Annotated[OneTimeCode | None, BeforeValidator(empty_to_none)]


class StaffSignInRequest(WireModel):
    """The credentials of a member of staff."""

    phone: Phone
    password: str = Field(min_length=1, max_length=72, examples=["Demo-12345"])
    otp: OptionalOneTimeCode = Field(None, description="动态验证码；未启用则不填", examples=["", "287082"])


class ChangeStaffPasswordRequest(WireModel):
    """A password change by the old password."""

    oldPassword: str = Field(min_length=1, max_length=72, examples=["Demo-12345"])
    newPassword: StaffPassword


class StaffSignInResponse(WireModel):
    """The member of staff and a new token."""

    userId: IdText = Field(examples=["3"])
    token: str
    role: str = Field(examples=["doctor"])
    name: str = Field(examples=["陈医生"])
    must_set_up_second_factor: bool = Field(
        description="true：须先启用动态验证码（second_factor），此前其他接口返回 10104", examples=[False]
    )


class MemberQuery(WireModel):
    """A member of an account."""

    member_id: Id = Field(examples=["1"])


class BarCodeLink(WireModel):
    """A link to a bar code."""

    url: str = Field(
        description="接在接口地址之后，作为 <img> 的 src；30 分钟内有效，只显示这一张条形码",
        examples=["/pati_service/wechat/bar_code?ticket=1.7.1767578400.8afdbf40…"],
    )


class BarCodeTicket(WireModel):
    """The ticket of a link to a bar code."""

    ticket: str = Field(
        pattern=r"^[1-9][0-9]{0,14}\.[1-9][0-9]{0,14}\.[0-9]{1,12}\.[0-9a-f]{64}$",
        description="bar_code_link 给出的 url 中的 ticket",
        examples=["1.7.1767578400.8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"],
    )
