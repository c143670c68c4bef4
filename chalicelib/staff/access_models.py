"""Requests and responses about second factors, internal keys and the audit log."""

from typing import Any

from pydantic import Field

from chalicelib.audit.audit_log import AuditAction
from chalicelib.http.fields import Boolean, Date, Id, IdText, OptionalId, PageSize, WireModel
from chalicelib.staff.models import OneTimeCode, OptionalOneTimeCode

EXAMPLE_URL = (
    "otpauth://totp/%E4%BB%81%E5%92%8C%E5%8C%BB%E9%99%A2:%E9%99%88%E5%8C%BB%E7%94%9F"
    "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=%E4%BB%81%E5%92%8C%E5%8C%BB%E9%99%A2&algorithm=SHA1&digits=6&period=30"
)
ACTOR_DESCRIPTION = "user:12 为员工或患者账号；空：医院自己的系统、运维人员或后台任务"
SUBJECT_DESCRIPTION = "被操作的对象，如 user:12、patient:7、key:3；call_with_key 为接口路径"


class NewSecondFactorRequest(WireModel):
    """The password again, and a code of the secret in force, if there is one."""

    password: str = Field(min_length=1, max_length=72, examples=["Demo-12345"])
    otp: OptionalOneTimeCode = Field(None, description="更换时：现用的动态验证码", examples=["", "287082"])


class NewSecondFactor(WireModel):
    """A new secret for an authenticator app."""

    secret: str = Field(description="手工录入用，Base32", examples=["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"])
    url: str = Field(description="生成二维码，供验证器应用扫描", examples=[EXAMPLE_URL])


class ConfirmSecondFactorRequest(WireModel):
    """The first code of a new secret."""

    otp: OneTimeCode


class InternalKey(WireModel):
    """An internal key, without the key itself, which is not stored."""

    key_id: IdText = Field(examples=["3"])
    create_time: str = Field(examples=["2026-01-05 09:30:00"])
    revoke_time: str = Field(description="空：有效", examples=[""])


class InternalKeys(WireModel):
    """The hospital's internal keys and for whom they may act."""

    act_for_staff: bool = Field(description="内部密钥能否代表医生和客服；管理员从不", examples=[False])
    list: list[InternalKey]


class InternalKeySettings(WireModel):
    """For whom internal keys may act."""

    act_for_staff: Boolean = Field(description="内部密钥能否代表医生和客服", examples=[False])


class InternalKeyReference(WireModel):
    """An internal key."""

    key_id: Id = Field(examples=["3"])


class AuditLogQuery(WireModel):
    """Filters of the audit log, and where the page begins."""

    user_id: OptionalId = Field(None, description="操作人", examples=["4"])
    key_id: OptionalId = Field(None, description="所用的内部密钥", examples=[""])
    action: AuditAction | None = Field(None, description="操作，空：全部", examples=[""])
    subject: str = Field("", description=SUBJECT_DESCRIPTION, max_length=160, pattern=r"^[\x21-\x7e]*$", examples=[""])
    from_date: Date | None = Field(None, description="从这一天起", examples=["2026-01-01"])
    to_date: Date | None = Field(None, description="到这一天为止", examples=["2036-12-31"])
    before: OptionalId = Field(None, description="上一页最后一条的 entry_id；空：从最新的开始", examples=[""])
    page_size: PageSize = Field(20, examples=[20])


class AuditLogEntry(WireModel):
    """Who did what to what."""

    entry_id: IdText = Field(examples=["17"])
    time: str = Field(examples=["2026-01-05 09:30:00"])
    actor: str = Field(description=ACTOR_DESCRIPTION, examples=["user:4"])
    actor_name: str = Field(description="员工的姓名；其他为空", examples=["管理员"])
    key_id: str = Field(description="所用的内部密钥；空：没有", examples=[""])
    action: str = Field(examples=["change_staff"])
    subject: str = Field(description=SUBJECT_DESCRIPTION, examples=["user:12"])
    reason: str = Field(examples=[""])
    address: str = Field(description="请求的 IP 地址；空：后台任务", examples=["203.0.113.7"])
    detail: dict[str, Any] = Field(description="与操作有关的编号和状态", examples=[{"change": "disabled"}])


class AuditLogPage(WireModel):
    """A page of the audit log, the newest entry first."""

    list: list[AuditLogEntry]
    has_more: bool = Field(description="是否还有更早的记录", examples=[False])
