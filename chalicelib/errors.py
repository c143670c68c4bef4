"""All errors that the API returns: number, HTTP status and a Chinese text that may be shown to patients.

An exception other than ApiError is a bug and is returned as INTERNAL. docs/errors.md is generated from this list.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ErrorKind:
    """One error number of the API."""

    code: int
    status: int
    text: str


BAD_PARAMETER = ErrorKind(10001, 400, "参数错误")
INTERNAL = ErrorKind(10002, 500, "服务器内部错误，请稍后再试")
NOT_ALLOWED = ErrorKind(10003, 403, "没有权限")
NOT_FOUND = ErrorKind(10004, 404, "内容不存在")
CONFLICT = ErrorKind(10005, 409, "操作冲突，请刷新后再试")
TOO_MANY_REQUESTS = ErrorKind(10006, 429, "操作太频繁，请稍后再试")
UNAVAILABLE = ErrorKind(10007, 503, "服务暂时不可用，请稍后再试")
TOO_LARGE = ErrorKind(10008, 413, "内容过大")
UNSUPPORTED_MEDIA = ErrorKind(
    10009, 415, "不支持的内容类型，请用 application/json 或 application/x-www-form-urlencoded"
)
METHOD_NOT_ALLOWED = ErrorKind(10010, 405, "不支持的请求方法")
TIMED_OUT = ErrorKind(10011, 504, "处理超时，请稍后再试")
RATE_LIMITED = ErrorKind(10012, 429, "请求太频繁，请稍后再试")
INVALID_TOKEN = ErrorKind(10101, 401, "登录已失效，请重新登录")
BAD_CREDENTIALS = ErrorKind(10102, 401, "手机号或密码错误")
INVALID_SIGNATURE = ErrorKind(10103, 401, "签名验证失败")
SECOND_FACTOR_REQUIRED = ErrorKind(10107, 401, "请输入动态验证码")
CAPTCHA_REQUIRED = ErrorKind(10108, 403, "请先完成图形验证")
VERIFICATION_REQUIRED = ErrorKind(10104, 403, "请先完成安全验证")
CONSENT_REQUIRED = ErrorKind(10106, 403, "请先阅读并同意隐私政策")
REASON_REQUIRED = ErrorKind(10105, 403, "该患者不在您的接诊范围内，请填写查阅原因")
INVALID_CONVERSATION_TYPE = ErrorKind(90010, 400, "会话类型必须在 0 到 15 之间")
NO_PARTICIPANTS = ErrorKind(90011, 400, "会话成员不能为空")
UNSUPPORTED_PROTOCOL = ErrorKind(90013, 400, "不支持的推送协议，protoc 只能是 poll、sse、ws")

KINDS = [kind for kind in list(globals().values()) if isinstance(kind, ErrorKind)]
KIND_BY_STATUS = {kind.status: kind for kind in reversed(KINDS)}


class ApiError(Exception):
    """An error response.

    Attributes:
        text: shown to the user; the text of the kind unless given.
        retry_after: seconds, sent as the Retry-After header.
        data: added to the response by an endpoint whose document names fields of a failure; None for no data.
    """

    def __init__(self, kind: ErrorKind, text: str = "", retry_after: int | None = None, data: Any = None) -> None:
        super().__init__(kind, text, retry_after, data)
        self.kind = kind
        self.text = text or kind.text
        self.retry_after = retry_after
        self.data = data

    def __str__(self) -> str:
        return self.text


def get_kind_by_status(status: int) -> ErrorKind:
    """Return the error kind for an HTTP status that API Gateway or Chalice has chosen."""
    return KIND_BY_STATUS.get(status) or (BAD_PARAMETER if status < 500 else INTERNAL)
