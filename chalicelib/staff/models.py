from pydantic import Field

from chalicelib.http.fields import Id, IdText, Phone, WireModel


class StaffSignIn(WireModel):
    phone: Phone
    password: str = Field(min_length=1, max_length=72, examples=["Demo-12345"])


class SignedInStaff(WireModel):
    userId: IdText = Field(examples=["3"])
    token: str
    role: str = Field(examples=["doctor"])
    name: str = Field(examples=["陈医生"])


class MemberQuery(WireModel):
    member_id: Id = Field(examples=["1"])
