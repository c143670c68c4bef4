"""Requests and responses of accounts and their members."""

from datetime import date
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from chalicelib.http.fields import (
    NAME_PATTERN,
    VISIBLE_ASCII_PATTERN,
    Birthday,
    ContactPhone,
    Gender,
    Id,
    IdText,
    Name,
    Password,
    Phone,
    WireModel,
    empty_to_none,
)
from chalicelib.http.file_fields import FileHints, FormUsage
from chalicelib.http.identity_fields import (
    COUNTRY_DESCRIPTION,
    ID_TYPE_DESCRIPTION,
    CountryText,
    GuardianFields,
    IdNumberText,
    IdTypeText,
)
from chalicelib.identity.captchas import Captcha

EXAMPLE_TOKEN = "tD6Dr3MrkIFOSLbrVoBbNnHWG9Y6wfP7PMzzzslcqVM"
GENDER_DESCRIPTION = "0 未知，1 男，2 女，9 未说明"
EXAMPLE_BAR_CODE = "iVBORw0KGgo…"

VerificationCode = Annotated[str, Field(pattern="^[0-9]{6}$", examples=["042917"])]
EnteredPassword = Annotated[str, Field(min_length=1, max_length=72, examples=["Demo-12345"])]
CaptchaTicket = Annotated[str, Field(max_length=2048, pattern=VISIBLE_ASCII_PATTERN)]
CaptchaRandstr = Annotated[str, Field(max_length=128, pattern=VISIBLE_ASCII_PATTERN)]
NameOrEmpty = Annotated[
    Name | None,
    BeforeValidator(lambda value: None if value == "" else value),
    WithJsonSchema({"type": ["string", "null"], "maxLength": 64, "pattern": f"^$|{NAME_PATTERN}"}),
]
BirthdayOrEmpty = Annotated[
    Birthday | None,
    BeforeValidator(empty_to_none),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date"}, {"enum": [None, "", 0, "0", "null", "undefined"]}]}
    ),
]


class PhoneQuery(WireModel):
    """The phone of an account."""

    phone: Phone


class CodeQuery(PhoneQuery):
    """A phone, and the captcha that error 10108 requires."""

    captchaTicket: Annotated[CaptchaTicket | None, BeforeValidator(empty_to_none)] = Field(
        None, description="ticket of Tencent's script"
    )
    captchaRandstr: Annotated[CaptchaRandstr | None, BeforeValidator(empty_to_none)] = Field(
        None, description="randstr of Tencent's script"
    )

    def get_captcha(self) -> Captcha | None:
        """Return the captcha, None if one of its fields is missing."""
        if not self.captchaTicket or not self.captchaRandstr:
            return None
        return Captcha(self.captchaTicket, self.captchaRandstr)


class VerifyCodeRequest(PhoneQuery):
    """A phone and the code that was sent to it."""

    verCode: VerificationCode


class SignUpRequest(VerifyCodeRequest):
    """A new account: phone, code and password."""

    password: Password


class ResetPasswordRequest(VerifyCodeRequest):
    """A password reset by code."""

    newPassword: Password


class SignInRequest(PhoneQuery):
    """The credentials of an account."""

    password: EnteredPassword


class ChangePasswordRequest(WireModel):
    """A password change by the old password."""

    oldPassword: EnteredPassword
    newPassword: Password


class SignInResponse(WireModel):
    """The account and a new token."""

    userId: IdText = Field(examples=["1"])
    token: str = Field(examples=[EXAMPLE_TOKEN])


class AddMemberRequest(WireModel):
    """A person whom the account books for."""

    name: Name = Field(examples=["林小雨"])
    gender: Gender = Field(description=GENDER_DESCRIPTION, examples=[2])
    birthday: Birthday = Field(examples=["1990-05-17"])
    IDNo: IdNumberText = Field(
        description="证件号码；其中的出生日期和性别须一致。14 岁以下尚无证件的儿童可为空",
        examples=["11010519900517002X"],
    )
    phone: ContactPhone
    idType: IdTypeText = Field("", description=f"{ID_TYPE_DESCRIPTION}；空：01", examples=["01"])
    idCountry: CountryText = Field("", description=COUNTRY_DESCRIPTION, examples=[""])
    guardian: GuardianFields | None = Field(None, description="监护人：14 岁以下必填")


class AddMemberResponse(WireModel):
    """The id of the new or existing member."""

    memberId: IdText = Field(examples=["1"])


class Member(WireModel):
    """A member of an account."""

    memberId: IdText = Field(examples=["1"])
    bindPatiId: str = Field(description="空：尚未建档", examples=["7"])
    name: str = Field(examples=["林小雨"])
    gender: int = Field(description=GENDER_DESCRIPTION, examples=[2])
    age: str = Field(examples=["36岁"])
    IDNo: str = Field(examples=["11010519900517002X"])
    phone: str = Field(examples=["13800000001"])
    defaultMember: bool = Field(examples=[True])
    patiImg: str = Field(description="患者号条形码，Base64 的 PNG；空：尚未建档", examples=[EXAMPLE_BAR_CODE])
    idType: str = Field(description=f"{ID_TYPE_DESCRIPTION}；空：没有证件", examples=["01"])
    idCountry: str = Field(description=COUNTRY_DESCRIPTION, examples=[""])
    verified: bool = Field(description="是否已核验身份", examples=[True])
    hasGuardian: bool = Field(description="是否有监护人", examples=[False])


class RemoveMemberRequest(WireModel):
    """The member to remove."""

    memberId: Id = Field(examples=["1"])


class MyInfo(WireModel):
    """The profile of an account."""

    phone: str = Field(examples=["13800000001"])
    avatar: str = Field(description="30 分钟内有效；空：没有", examples=[""])
    name: str = Field(examples=["林小雨"])
    gender: int = Field(description=GENDER_DESCRIPTION, examples=[2])
    birthday: date | None = Field(description="null：未填", examples=["1990-05-17"])
    age: str = Field(examples=["36岁"])
    pati_img: str = Field(description="默认就诊人的患者号条形码；空：尚未建档", examples=[EXAMPLE_BAR_CODE])
    pati_id: str = Field(examples=["7"])


class SaveMyInfoRequest(WireModel):
    """The new profile. A name or birthday that is empty, as in the profile of a new account, stays as it is."""

    name: NameOrEmpty = Field(description="空：不变", examples=["林小雨"])
    gender: Gender = Field(description=GENDER_DESCRIPTION, examples=[2])
    birthday: BirthdayOrEmpty = Field(description="空：不变", examples=["1990-05-17"])


class PictureFormRequest(FileHints):
    """The picture that will be uploaded."""


class PictureForm(WireModel):
    """A form that uploads the picture to S3."""

    url: str = Field(examples=["https://zhenxun-files.s3.cn-northwest-1.amazonaws.com.cn/"])
    file_id: int = Field(examples=[17])
    OSS_access_key_id: str = Field(examples=["AKIAIOSFODNN7EXAMPLE"])
    policy: str = Field(examples=["eyJleHBpcmF0aW9uIjogIjIwMjYtMDEtMDVUMDE6NDU6MDBaIn0="])
    signature: str = Field(examples=["8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"])
    key: str = Field(examples=["uploads/1/pY0ZQ3bqj1cXw7uT2mLkVn9d.jpg"])
    fields: dict[str, str] = Field(
        description="完整的表单：原样提交所有字段，最后加上 file；15 分钟内有效",
        examples=[{"key": "uploads/1/pY0ZQ3bqj1cXw7uT2mLkVn9d.jpg", "Content-Type": "image/jpeg"}],
    )
    usage: FormUsage
