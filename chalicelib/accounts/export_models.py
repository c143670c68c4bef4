"""Responses about exports of an account's own data."""

from typing import Literal

from pydantic import Field

from chalicelib.http.fields import IdText, WireModel


class RequestedExport(WireModel):
    """An export that was requested today."""

    export_id: IdText = Field(examples=["1"])
    requested_at: str = Field(examples=["2026-01-05 09:30:00"])


class AccountExport(WireModel):
    """The latest export of an account."""

    status: Literal["none", "pending", "ready", "expired"] = Field(
        description="none 没有申请过，pending 正在导出，ready 可以下载，expired 已过期并删除", examples=["ready"]
    )
    url: str = Field(
        description="30 分钟内有效；空：不能下载",
        examples=["https://zhenxun-files.s3.cn-northwest-1.amazonaws.com.cn/1/exports/pY0ZQ3bqj1cX.json?X-Amz-…"],
    )
    expires_at: str = Field(description="此后文件被删除；空：不能下载", examples=["2026-01-06 09:30:12"])
