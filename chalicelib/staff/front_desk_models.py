"""Requests and responses with which the front desk verifies, merges and splits patient files."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chalicelib.http.fields import (
    Gender,
    Id,
    IdText,
    OptionalContactPhone,
    OptionalReason,
    Reason,
    SafeInt,
    WireModel,
    empty_to_none,
)
from chalicelib.http.identity_fields import (
    COUNTRY_DESCRIPTION,
    PROTOCOL_TYPE_DESCRIPTION,
    CountryText,
    IdNumberText,
    IdTypeText,
)
from chalicelib.people.patient_status import PatientStatus, VerificationMethod

STATUS_DESCRIPTION = "declared 未核验，verified 已核验，temporary 临时（无名氏），merged 已合并到其他档案"
HOW_DESCRIPTION = (
    "phone 账号手机号与档案一致，code 短信验证码，card 就诊卡号，front_desk 前台核对证件，registration 取号时核对证件"
)
RELATION_DESCRIPTION = "1 本人，2 配偶，3 父母，4 子女，5 其他亲属，9 其他"


class VerifyPatientRequest(WireModel):
    """A file whose document is in hand."""

    pati_id: Id = Field(examples=["1"])
    pati_id_type: IdTypeText = Field("", description=f"{PROTOCOL_TYPE_DESCRIPTION}；空：99", examples=["99"])
    pati_id_number: IdNumberText = Field("", description="空：核对的是档案已登记的证件", examples=[""])
    pati_id_country: CountryText = Field("", description=COUNTRY_DESCRIPTION, examples=[""])
    pati_phone: OptionalContactPhone = Field(
        "", description="当面确认的手机号；空：不变，首次核验时档案原有手机号视为未确认", examples=[""]
    )
    reason: OptionalReason = Field(None, examples=["首次就诊"])


class FileBinding(WireModel):
    """A member of an account with the file."""

    member_id: IdText = Field(examples=["1"])
    user_id: IdText = Field(examples=["1"])
    name: str = Field(description="账号填写的姓名", examples=["林小雨"])
    phone: str = Field(description="账号的手机号", examples=["138****0001"])
    relation: int = Field(description=f"账号填写的关系：{RELATION_DESCRIPTION}", examples=[1])
    bind_time: str = Field(examples=["2026-01-05 09:30:00"])
    is_owner: bool = Field(description="账号手机号与已核验档案的手机号一致", examples=[True])


class VerifyPatientResponse(WireModel):
    """The verified file. Ask the patient whether the bound accounts are theirs, and unbind the others."""

    pati_id: IdText = Field(description="并入已有档案时为该档案", examples=["1"])
    card_no: str = Field(description="就诊卡号，印在就诊卡上", examples=["048153726190"])
    merge_id: str = Field(description="并入已有档案的合并记录；空：未合并", examples=[""])
    bindings: list[FileBinding]


class MergePatientsRequest(WireModel):
    """Two files of one person."""

    source: Id = Field(description="被合并的档案", examples=["2"])
    target: Id = Field(description="保留的档案", examples=["1"])
    reason: Reason = Field(examples=["同一患者重复建档，已核对证件"])


class MergePatientsResponse(WireModel):
    """The merge."""

    merge_id: IdText = Field(examples=["1"])
    pati_id: IdText = Field(description="保留的档案", examples=["1"])
    conflicts: list[str] = Field(description="与该患者其他预约冲突的预约，请与患者确认", examples=[[]])


class SplitPatientsRequest(WireModel):
    """A merge to be undone."""

    merge_id: Id = Field(examples=["1"])
    reason: Reason = Field(examples=["误合并，经核对不是同一人"])


class SplitPatientsResponse(WireModel):
    """The two files."""

    source: IdText = Field(description="恢复的档案", examples=["2"])
    target: IdText = Field(description="合并时保留的档案", examples=["1"])


class PatientMerge(WireModel):
    """A merge in which a file was source or target."""

    merge_id: IdText = Field(examples=["1"])
    source: IdText = Field(description="被合并的档案", examples=["2"])
    target: IdText = Field(description="保留的档案", examples=["1"])
    how: VerificationMethod = Field(description=HOW_DESCRIPTION, examples=["front_desk"])
    merge_by: str = Field(description="合并的人；空：系统", examples=["客服小李"])
    merge_time: str = Field(examples=["2026-01-05 09:30:00"])
    split_by: str = Field(description="拆分的员工；空：未拆分", examples=[""])
    split_time: str = Field(description="空：未拆分", examples=[""])


class DuplicateCandidate(WireModel):
    """Another file that may be of the same person."""

    pati_id: IdText = Field(examples=["2"])
    pati_name: str = Field(examples=["林小雨"])
    pati_gender: int = Field(examples=[2])
    pati_birthday: str = Field(examples=["1990-05-17"])
    pati_phone: str = Field(examples=["138****0001"])
    pati_create_time: str = Field(examples=["2026-01-05 09:30:00"])
    status: PatientStatus = Field(description=STATUS_DESCRIPTION, examples=["declared"])
    same: list[Literal["identity", "name_and_birthday", "phone"]] = Field(
        description="identity 证件相同，name_and_birthday 姓名和出生日期相同，phone 手机号相同", examples=[["identity"]]
    )


class UnbindMemberRequest(WireModel):
    """A member of an account that has a file it should not have."""

    member_id: Id = Field(examples=["1"])
    reason: Reason = Field(examples=["患者本人要求解除"])


BirthYear = Annotated[
    Annotated[SafeInt, Field(ge=1900, le=2100)] | None,
    BeforeValidator(empty_to_none),
]


class TemporaryPatientRequest(WireModel):
    """A person in an emergency who is not identified."""

    gender: Gender = Field(description="0 未知，1 男，2 女，9 未说明", examples=["1"])
    birth_year: BirthYear = Field(None, description="估计的出生年份；空：未知", examples=[1970])
    description: Annotated[str, Field(min_length=2, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        description="体貌特征、发现地点等", examples=["约 50 岁男性，东门外昏迷，120 送诊"]
    )


class TemporaryPatientResponse(WireModel):
    """The temporary file."""

    pati_id: IdText = Field(examples=["3"])
    pati_name: str = Field(examples=["无名氏3"])


class ReplaceCardRequest(WireModel):
    """A verified file whose visit card is lost."""

    pati_id: Id = Field(examples=["1"])
    reason: Reason = Field(examples=["就诊卡遗失"])


class ReplaceCardResponse(WireModel):
    """The number of the new card."""

    card_no: str = Field(description="原卡号不再有效", examples=["048153726190"])
