"""Requests and responses of privacy notices and consents."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chalicelib.http.fields import VISIBLE_TEXT_PATTERN, Boolean, WireModel, parse_int

EXAMPLE_NOTICE = "我们收集您的姓名、证件号码、手机号和健康信息，仅用于为您预约、问诊和缴费。"
PURPOSE_DESCRIPTION = "notice 隐私政策，health_data 处理健康信息，minors 处理未满十四周岁未成年人的信息"
PurposeName = Literal["notice", "health_data", "minors"]
NoticeVersion = Annotated[int, BeforeValidator(parse_int), Field(ge=1, lt=2**31)]


class PrivacyNotice(WireModel):
    """The current version of a hospital's privacy notice."""

    version: int = Field(description="0：医院尚未发布", examples=[1])
    text: str = Field(examples=[EXAMPLE_NOTICE])
    requires_consent: bool = Field(description="对此前版本的同意是否须重新作出", examples=[True])
    published_at: str = Field(description="空：医院尚未发布", examples=["2026-01-05 09:30:00"])


class PublishNoticeRequest(WireModel):
    """The next version of the privacy notice."""

    text: str = Field(
        description="全文", min_length=1, max_length=20_000, pattern=VISIBLE_TEXT_PATTERN, examples=[EXAMPLE_NOTICE]
    )
    keep_consents: Boolean = Field(
        False, description="true：对此前版本的同意继续有效，用于只改错别字的版本", examples=[False]
    )


class GiveConsentRequest(WireModel):
    """Consents to the current version of the privacy notice."""

    version: NoticeVersion = Field(description="所同意的版本，须是当前版本", examples=[1])
    purposes: list[PurposeName] = Field(
        description=PURPOSE_DESCRIPTION, min_length=1, max_length=10, examples=[["notice", "health_data"]]
    )


class WithdrawConsentRequest(WireModel):
    """The purpose for which consents are withdrawn."""

    purpose: PurposeName = Field(description=PURPOSE_DESCRIPTION, examples=["minors"])


class Consent(WireModel):
    """A consent that was given."""

    purpose: str = Field(description=PURPOSE_DESCRIPTION, examples=["notice"])
    version: int = Field(examples=[1])
    given_at: str = Field(examples=["2026-01-05 09:30:00"])
    withdrawn_at: str = Field(description="空：没有撤回", examples=[""])


class Consents(WireModel):
    """The consents of an account."""

    required_version: int = Field(description="须同意此版或更新的版本；0：不须同意", examples=[1])
    missing: list[str] = Field(
        description="尚缺的同意。缺少时不能添加就诊人、预约和发起咨询；minors 只在有未满十四周岁的就诊人时需要",
        examples=[["minors"]],
    )
    consents: list[Consent] = Field(description="作出过的同意，新的在前")
