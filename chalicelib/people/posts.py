"""Posts of the staff: under what title a patient meets them, and whether and for how many the help desk has them."""

from dataclasses import asdict, dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx


def find_holder_id(tx: Tx, tenant_id: int, post_id: int) -> int | None:
    """Return the user_id of who holds one of the tenant's posts."""
    found: int | None = tx.fetch_value(
        "SELECT user_id FROM posts WHERE post_id = %(post_id)s AND tenant_id = %(tenant_id)s",
        post_id=post_id,
        tenant_id=tenant_id,
    )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PostSettings:
    """What an admin sets of a post."""

    title: str
    dept_id: int | None
    skill: str  # what patients ask the desk for, "" nothing in particular
    cap: int  # open sessions of the desk at once


def create(tx: Tx, tenant_id: int, user_id: int, about: PostSettings, by: int) -> int:
    """Return the new post_id. Raises mysql.DuplicateKeyError("holder") where they hold one already."""
    return tx.insert(
        """
        INSERT INTO posts (tenant_id, user_id, title, dept_id, skill, cap, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(user_id)s, %(title)s, %(dept_id)s, %(skill)s, %(cap)s, %(by)s, %(now)s)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        **asdict(about),
        by=by,
        now=clock.now(),
    )


def update(tx: Tx, tenant_id: int, post_id: int, about: PostSettings, by: int) -> bool:
    """False where the tenant has no such post."""
    return bool(
        tx.execute(
            """
            UPDATE posts
            SET title = %(title)s, dept_id = %(dept_id)s, skill = %(skill)s, cap = %(cap)s, changed_by = %(by)s,
                changed_at = %(now)s
            WHERE post_id = %(post_id)s AND tenant_id = %(tenant_id)s
            """,
            post_id=post_id,
            tenant_id=tenant_id,
            **asdict(about),
            by=by,
            now=clock.now(),
        )
    )


def set_on_duty(tx: Tx, tenant_id: int, post_id: int, on_duty: bool, by: int) -> bool:
    """False where the tenant has no such post. Who comes on duty is idle from then on."""
    return bool(
        tx.execute(
            """
            UPDATE posts
            SET idle_since = IF(%(on_duty)s AND NOT on_duty, %(now)s, idle_since), on_duty = %(on_duty)s,
                changed_by = %(by)s, changed_at = %(now)s
            WHERE post_id = %(post_id)s AND tenant_id = %(tenant_id)s
            """,
            post_id=post_id,
            tenant_id=tenant_id,
            on_duty=on_duty,
            by=by,
            now=clock.now(),
        )
    )


def mark_idle(tx: Tx, tenant_id: int, user_id: int) -> None:
    """A session of the desk was begun or ended with them: from now on they are idle."""
    tx.execute(
        "UPDATE posts SET idle_since = %(now)s WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s",
        tenant_id=tenant_id,
        user_id=user_id,
        now=clock.now(),
    )


SELECT_CARD_SQL = """
    SELECT p.post_id, p.user_id, p.title, s.name, COALESCE(d.photo_key, '') AS photo_key,
           COALESCE(e.name, '') AS department, p.dept_id, p.skill, p.cap,
           p.on_duty AND s.disabled_at IS NULL AS on_duty
    FROM posts p
    JOIN staff s ON s.user_id = p.user_id
    LEFT JOIN doctors d ON d.user_id = p.user_id
    LEFT JOIN departments e ON e.dept_id = p.dept_id AND e.tenant_id = p.tenant_id
"""


def find_card(tx: Tx, tenant_id: int, post_id: int) -> Row | None:
    """Return what a post shows: post_id, user_id, title, name, photo_key, department, on_duty, and dept_id, skill and
    cap; None also where its holder was locked out."""
    return tx.fetch_one(
        f"{SELECT_CARD_SQL} WHERE p.post_id = %(post_id)s AND p.tenant_id = %(tenant_id)s AND s.disabled_at IS NULL",
        post_id=post_id,
        tenant_id=tenant_id,
    )


def find_card_by_user(tx: Tx, tenant_id: int, user_id: int) -> Row | None:
    """Return the same of the post that a member of staff holds."""
    return tx.fetch_one(
        f"{SELECT_CARD_SQL} WHERE p.user_id = %(user_id)s AND p.tenant_id = %(tenant_id)s",
        user_id=user_id,
        tenant_id=tenant_id,
    )


def list_all(tx: Tx, tenant_id: int) -> list[Row]:
    """Return the same of all posts, the first made first."""
    return tx.fetch_all(f"{SELECT_CARD_SQL} WHERE p.tenant_id = %(tenant_id)s ORDER BY p.post_id", tenant_id=tenant_id)
