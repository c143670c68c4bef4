"""The list of patients' ratings of messages, for admins."""

from pydantic import Field

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.admin.booking_models import EXAMPLE_TIME
from chalicelib.http import pagination
from chalicelib.http.fields import IdText, OptionalId, WireModel
from chalicelib.http.pagination import ListPage, ListQuery, Position
from chalicelib.identity import session_names
from chalicelib.messaging import ids


class RatingListQuery(ListQuery):
    """Filters of the list of ratings."""

    user_id: OptionalId = Field(None, description="评价者的用户编号", examples=[""])


class ListedRating(WireModel):
    """A rating of a message."""

    rating_id: IdText = Field(title="评价编号", examples=["6"])
    msg_id: str = Field(title="消息编号", examples=["EDCZL-SY32-243Y-VWQ"])
    session_id: str = Field(title="会话", examples=["87ba7679-b682-47e7-8499-0385dda22b66"])
    rating: int = Field(title="评价", description="1 有帮助，-1 没有帮助", examples=[1])
    user_id: IdText = Field(title="评价者", examples=["1"])
    sender_id: str = Field(title="消息的发送者", description="0 为医院的通知", examples=["3"])
    sender_name: str = Field(title="发送者姓名", description="员工的姓名；其他为空", examples=["陈医生"])
    rate_time: str = Field(title="评价时间", examples=[EXAMPLE_TIME])


def list_ratings(tenant_id: int, query: RatingListQuery) -> ListPage[ListedRating]:
    """Return a page of the hospital's ratings, the newest first. Ratings that were taken back are gone."""
    bounds = query.bounds
    rows = mysql.autocommit.fetch_all(
        f"""
        SELECT r.rating_id, r.user_id, r.rating, r.at, m.tick, m.tag, m.sender, c.public_id,
          COALESCE((SELECT s.name FROM staff s WHERE m.sender LIKE 'user:%%'
            AND s.user_id = CAST(SUBSTRING(m.sender, 6) AS UNSIGNED) AND s.tenant_id = m.tenant_id), '') AS sender_name
        FROM ratings r FORCE INDEX (by_time)
        STRAIGHT_JOIN messages m ON m.conversation_id = r.conversation_id AND m.seq = r.seq
        STRAIGHT_JOIN conversations c ON c.conversation_id = r.conversation_id
        WHERE r.tenant_id = %(tenant_id)s AND r.at >= %(since)s AND r.at < %(until)s
          {"AND r.user_id = %(user_id)s" if query.user_id else ""}
          {pagination.build_condition("r.at", "r.rating_id", bounds)}
        ORDER BY r.at DESC, r.rating_id DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        since=query.since,
        until=query.until,
        user_id=query.user_id,
        **pagination.build_params(bounds),
    )
    return pagination.build_page(rows, bounds, lambda row: Position(row["at"], row["rating_id"]), _build)


def _build(row: Row) -> ListedRating:
    return ListedRating(
        rating_id=str(row["rating_id"]),
        msg_id=ids.encode(row["tick"], row["tag"]),
        session_id=row["public_id"].decode(),
        rating=row["rating"],
        user_id=str(row["user_id"]),
        sender_id=session_names.format_principal(row["sender"].decode()),
        sender_name=row["sender_name"],
        rate_time=clock.format_wire_time(row["at"]),
    )
