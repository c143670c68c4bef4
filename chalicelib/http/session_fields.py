"""Fields of the requests and responses about a person's own sessions, shared by the groups."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field

from chalicelib import clock
from chalicelib.http.fields import WireModel, empty_to_none
from chalicelib.identity.sessions import OpenSession

EXAMPLE_DEVICE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) MicroMessenger/8.0.50"
SessionReference = Annotated[str, Field(pattern="^[0-9a-f]{16}$", examples=["8afdbf4008c03f22"])]


class ListedSession(WireModel):
    """A session in the list of a person's own sessions."""

    session_id: str = Field(examples=["8afdbf4008c03f22"])
    device: str = Field(description="登录时的 User-Agent；空：由医院自己的系统登录", examples=[EXAMPLE_DEVICE])
    address: str = Field(description="登录时的 IP 地址", examples=["203.0.113.7"])
    create_time: str = Field(description="登录时间", examples=["2026-01-05 09:30:00"])
    last_use_time: str = Field(
        description="最近一次使用，患者精确到小时，员工精确到分钟", examples=["2026-01-05 10:02:00"]
    )
    current: bool = Field(description="是否为本次请求所用的会话", examples=[True])


class EndSessionRequest(WireModel):
    """The session to end."""

    session_id: Annotated[SessionReference | None, BeforeValidator(empty_to_none)] = Field(
        None,
        description="sessions 给出的 session_id；空：结束除本次请求所用之外的所有会话",
        examples=["", "8afdbf4008c03f22"],
    )


def build_list(sessions: Sequence[OpenSession]) -> list[ListedSession]:
    """Return sessions as both groups list them."""
    return [
        ListedSession(
            session_id=one.session_id,
            device=one.device,
            address=one.address,
            create_time=clock.format_wire_time(one.created_at),
            last_use_time=clock.format_wire_time(one.last_used_at),
            current=one.is_current,
        )
        for one in sessions
    ]
