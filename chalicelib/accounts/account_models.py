"""Requests about an account as a whole: closing it, changing its phone, confirming its owner."""

from pydantic import Field

from chalicelib.accounts.models import EnteredPassword, VerificationCode
from chalicelib.http.fields import Id, Phone, Reason, WireModel
from chalicelib.http.identity_fields import ID_TYPE_DESCRIPTION, IdNumberText, IdTypeText


class CloseAccountRequest(WireModel):
    """What proves that the owner closes the account: the password, or a code."""

    password: EnteredPassword | None = Field(None, description="密码；或以 verCode 代替", examples=["Demo-12345"])
    verCode: VerificationCode | None = Field(
        None, description="close_account/code 发送的验证码，6 位数字", examples=["042917"]
    )


class PhoneCodeRequest(WireModel):
    """The phone to which a code is sent."""

    phone: Phone | None = Field(None, description="新手机号；空：发送到现在的手机号", examples=["13800000088"])


class ChangePhoneRequest(WireModel):
    """The new phone, and the codes that were sent to both."""

    oldCode: VerificationCode
    phone: Phone = Field(description="新手机号", examples=["13800000088"])
    newCode: VerificationCode


class ConfirmIdentityRequest(WireModel):
    """The document of a member of the account."""

    idType: IdTypeText = Field("", description=f"{ID_TYPE_DESCRIPTION}；空：01", examples=["01"])
    IDNo: IdNumberText = Field(min_length=1, examples=["11010519900517002X"])


class AccountReference(WireModel):
    """An account, and why the front desk changes it."""

    user_id: Id = Field(examples=["1"])
    reason: Reason = Field(description="记入审计日志", examples=["本人持身份证到前台办理"])


class ChangeAccountPhoneRequest(AccountReference):
    """The new phone of an account."""

    phone: Phone = Field(examples=["13800000088"])
