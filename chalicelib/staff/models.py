"""Requests and responses of staff sign-in and of bar codes."""

from pydantic import Field

from chalicelib.http.fields import Id, IdText, Phone, WireModel


class StaffSignInRequest(WireModel):
    """The credentials of a member of staff."""

    phone: Phone
    password: str = Field(min_length=1, max_length=72, examples=["Demo-12345"])


class StaffSignInResponse(WireModel):
    """The member of staff and a new token."""

    userId: IdText = Field(examples=["3"])
    token: str
    role: str = Field(examples=["doctor"])
    name: str = Field(examples=["陈医生"])


class MemberQuery(WireModel):
    """A member of an account."""

    member_id: Id = Field(examples=["1"])
