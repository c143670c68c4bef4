"""Staff positions: the title that patients see, and the help desk sessions that may be assigned to the holder."""

from dataclasses import asdict, dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.people import double_submission


@dataclass(frozen=True, slots=True, kw_only=True)
class PostSettings:
    """The fields of a post that an administrator sets."""

    title: str
    dept_id: int | None
    skill: str  # what patients may ask for to reach the holder, "" for nothing in particular
    cap: int  # maximum number of open help desk sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class PostCard:
    """A post with the details of its holder."""

    post_id: int
    user_id: int
    title: str
    name: str
    photo_key: str  # S3 key, "" for none
    department: str  # name, "" for none
    dept_id: int | None
    skill: str
    cap: int
    on_duty: bool  # False also while the holder is disabled


def find_holder_id(tx: Tx, tenant_id: int, post_id: int) -> int | None:
    """Return the user_id of the holder of one of the tenant's posts, or None."""
    user_id: int | None = tx.fetch_value(
        "SELECT user_id FROM posts WHERE post_id = %(post_id)s AND tenant_id = %(tenant_id)s",
        post_id=post_id,
        tenant_id=tenant_id,
    )
    return user_id


def create(tx: Tx, tenant_id: int, user_id: int, settings: PostSettings, changed_by: int) -> int:
    """Insert a post and return its post_id.

    Raises:
        mysql.DuplicateKeyError: key "holder" if the member of staff has a post.
    """
    return tx.insert(
        """
        INSERT INTO posts (tenant_id, user_id, title, dept_id, skill, cap, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(user_id)s, %(title)s, %(dept_id)s, %(skill)s, %(cap)s, %(changed_by)s, %(now)s)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        **asdict(settings),
        changed_by=changed_by,
        now=clock.now(),
    )


def find_double_submission(tx: Tx, tenant_id: int, user_id: int, settings: PostSettings, changed_by: int) -> int | None:
    """Return the post that an equal request of the same person has just created for a member of staff, or None."""
    row = tx.fetch_one(
        """
        SELECT post_id, title, dept_id, skill, cap FROM posts
        WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s AND changed_by = %(changed_by)s
          AND changed_at > %(since)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        changed_by=changed_by,
        since=clock.now() - double_submission.WINDOW,
    )
    if row is None:
        return None
    post_id = int(row.pop("post_id"))
    return post_id if PostSettings(**row) == settings else None


def update(tx: Tx, tenant_id: int, post_id: int, settings: PostSettings, changed_by: int) -> bool:
    """Write the settings of a post; return False if the tenant has no such post."""
    return bool(
        tx.execute(
            """
            UPDATE posts
            SET title = %(title)s, dept_id = %(dept_id)s, skill = %(skill)s, cap = %(cap)s,
                changed_by = %(changed_by)s, changed_at = %(now)s
            WHERE post_id = %(post_id)s AND tenant_id = %(tenant_id)s
            """,
            post_id=post_id,
            tenant_id=tenant_id,
            **asdict(settings),
            changed_by=changed_by,
            now=clock.now(),
        )
    )


def set_on_duty(tx: Tx, tenant_id: int, post_id: int, on_duty: bool, changed_by: int) -> bool:
    """Start or end duty; return False if the tenant has no such post. Starting duty resets the idle time."""
    return bool(
        tx.execute(
            """
            UPDATE posts
            SET last_activity_at = IF(%(on_duty)s AND NOT on_duty, %(now)s, last_activity_at), on_duty = %(on_duty)s,
                changed_by = %(changed_by)s, changed_at = %(now)s
            WHERE post_id = %(post_id)s AND tenant_id = %(tenant_id)s
            """,
            post_id=post_id,
            tenant_id=tenant_id,
            on_duty=on_duty,
            changed_by=changed_by,
            now=clock.now(),
        )
    )


def update_last_activity(tx: Tx, tenant_id: int, user_id: int) -> None:
    """Record that a help desk session of a holder starts or ends."""
    tx.execute(
        "UPDATE posts SET last_activity_at = %(now)s WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s",
        tenant_id=tenant_id,
        user_id=user_id,
        now=clock.now(),
    )


_SELECT_CARD_SQL = """
    SELECT p.post_id, p.user_id, p.title, s.name, COALESCE(d.photo_key, '') AS photo_key,
           COALESCE(e.name, '') AS department, p.dept_id, p.skill, p.cap,
           p.on_duty AND s.disabled_at IS NULL AS on_duty
    FROM posts p
    JOIN staff s ON s.user_id = p.user_id
    LEFT JOIN doctors d ON d.user_id = p.user_id
    LEFT JOIN departments e ON e.dept_id = p.dept_id AND e.tenant_id = p.tenant_id
"""


def find_card(tx: Tx, tenant_id: int, post_id: int) -> PostCard | None:
    """Return a post with its holder's details; None if there is no such post or its holder is disabled."""
    row = tx.fetch_one(
        f"{_SELECT_CARD_SQL} WHERE p.post_id = %(post_id)s AND p.tenant_id = %(tenant_id)s AND s.disabled_at IS NULL",
        post_id=post_id,
        tenant_id=tenant_id,
    )
    return _build_card(row) if row else None


def find_card_by_user(tx: Tx, tenant_id: int, user_id: int) -> PostCard | None:
    """Return the post that a member of staff holds, also if disabled, or None."""
    row = tx.fetch_one(
        f"{_SELECT_CARD_SQL} WHERE p.user_id = %(user_id)s AND p.tenant_id = %(tenant_id)s",
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return _build_card(row) if row else None


def list_all(tx: Tx, tenant_id: int) -> list[PostCard]:
    """Return all posts of the tenant in the order of their creation."""
    rows = tx.fetch_all(f"{_SELECT_CARD_SQL} WHERE p.tenant_id = %(tenant_id)s ORDER BY p.post_id", tenant_id=tenant_id)
    return [_build_card(row) for row in rows]


def _build_card(row: Row) -> PostCard:
    return PostCard(**{**row, "photo_key": row["photo_key"].decode(), "on_duty": bool(row["on_duty"])})
