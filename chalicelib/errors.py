"""Every refusal there is: numbered, with its HTTP status and a text fit to show to a patient.

Anything else that is raised is a bug, and answers INTERNAL. docs/errors.md is made from this list.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    code: int
    status: int
    text: str


BAD_PARAMETER = Kind(10001, 400, "参数错误")
INTERNAL = Kind(10002, 500, "服务器内部错误，请稍后再试")
NOT_ALLOWED = Kind(10003, 403, "没有权限")
NOT_FOUND = Kind(10004, 404, "内容不存在")
CONFLICT = Kind(10005, 409, "操作冲突，请刷新后再试")
TOO_MANY_REQUESTS = Kind(10006, 429, "操作太频繁，请稍后再试")
UNAVAILABLE = Kind(10007, 503, "服务暂时不可用，请稍后再试")
TOO_LARGE = Kind(10008, 413, "内容过大")
UNSUPPORTED_MEDIA = Kind(10009, 415, "不支持的内容类型")
METHOD_NOT_ALLOWED = Kind(10010, 405, "不支持的请求方法")
TIMED_OUT = Kind(10011, 504, "处理超时，请稍后再试")
TOKEN = Kind(10101, 401, "登录已失效，请重新登录")
BAD_CREDENTIALS = Kind(10102, 401, "手机号或密码错误")
SIGNATURE = Kind(10103, 401, "签名验证失败")
CONVERSATION_TYPE = Kind(90010, 400, "会话类型必须在 0 到 15 之间")
NO_MEMBERS = Kind(90011, 400, "会话成员不能为空")
PROTOCOL = Kind(90013, 400, "不支持的推送协议")

KINDS = [kind for kind in list(globals().values()) if isinstance(kind, Kind)]
BY_STATUS = {kind.status: kind for kind in reversed(KINDS)}


class Refused(Exception):
    """A refusal the caller can act on. retry_after (seconds) becomes the header of that name."""

    def __init__(self, kind: Kind, text: str = "", retry_after: int | None = None) -> None:
        super().__init__(kind, text, retry_after)
        self.kind = kind
        self.text = text or kind.text
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.text


def of_status(status: int) -> Kind:
    """Return the kind that speaks for an HTTP status which somebody else chose (API Gateway, Chalice)."""
    return BY_STATUS.get(status) or (BAD_PARAMETER if status < 500 else INTERNAL)
