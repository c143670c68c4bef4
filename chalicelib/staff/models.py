"""Requests and responses of staff sign-in and of bar codes."""

from pydantic import Field

from chalicelib.http.fields import Id, IdText, Phone, StaffPassword, WireModel


class StaffSignInRequest(WireModel):
    """The credentials of a member of staff."""

    phone: Phone
    password: str = Field(min_length=1, max_length=72, examples=["Demo-12345"])


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
