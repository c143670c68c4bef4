"""Requests and responses of verifying members, and of the accounts that are bound to a file."""

from typing import Annotated

from pydantic import AliasChoices, Field

from chalicelib.http.fields import Id, IdText, WireModel

MEMBER_ID_ALIASES = AliasChoices("memberId", "member_id")


class VerifiedMember(WireModel):
    """A member of the account."""

    memberId: Id = Field(validation_alias=MEMBER_ID_ALIASES, examples=["1"])


class VerifyMemberRequest(VerifiedMember):
    """A code, or the number of a visit card; one of the two is required."""

    verCode: Annotated[str, Field(pattern="^([0-9]{6})?$")] = Field(
        "", description="发到医院档案预留手机号的验证码", examples=["", "483920"]
    )
    cardNo: Annotated[str, Field(pattern="^([0-9]{12})?$")] = Field(
        "", description="就诊卡号", examples=["204857193046"]
    )


class VerifyMemberResponse(WireModel):
    """The verified member."""

    memberId: IdText = Field(description="该档案在本账号的就诊人", examples=["1"])


class FileBinding(WireModel):
    """Another account whose member has the file of the caller."""

    bindingId: IdText = Field(examples=["2"])
    phone: str = Field(description="账号的手机号", examples=["138****0002"])
    name: str = Field(description="对方填写的姓名", examples=["林小雨"])
    relation: int = Field(
        description="对方填写的关系：1 本人，2 配偶，3 父母，4 子女，5 其他亲属，9 其他", examples=[4]
    )
    bindTime: str = Field(examples=["2026-01-05 09:30:00"])


class RemoveBindingRequest(VerifiedMember):
    """A binding to remove from the file of the caller's member."""

    bindingId: Id = Field(validation_alias=AliasChoices("bindingId", "binding_id"), examples=["2"])
