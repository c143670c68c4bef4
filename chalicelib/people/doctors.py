"""Doctors' public profiles: department, title, photo, field of expertise."""

from dataclasses import dataclass
from typing import Any

from chalicelib.adapters.mysql import Tx
from chalicelib.people.roles import Role

TITLE_BY_DUTY_CODE = {"0": "医士", "1": "医师", "2": "主治医师", "3": "副主任医师", "4": "主任医师"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What patients see of a doctor besides the name."""

    dept_id: int | None = None
    duty_code: str = ""  # professional rank 0-4, "" unknown
    title: str = ""  # "" is the title of the rank
    photo_key: str = ""  # S3 key, "" for none
    expert: str = ""
    introduction: str = ""
    sort: int = 0  # position in lists, ascending

    @property
    def display_title(self) -> str:
        """Return the title to show, "" if neither title nor rank is known."""
        return self.title or TITLE_BY_DUTY_CODE.get(self.duty_code, "")


def ensure_profile(tx: Tx, tenant_id: int, user_id: int, duty_code: str = "", dept_id: int | None = None) -> None:
    """Insert a doctor's profile; an existing one is left unchanged."""
    tx.execute(
        """
        INSERT INTO doctors (user_id, tenant_id, dept_id, duty_code, introduction)
        VALUES (%(user_id)s, %(tenant_id)s, %(dept_id)s, %(duty_code)s, '')
        ON DUPLICATE KEY UPDATE user_id = %(user_id)s
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        dept_id=dept_id,
        duty_code=duty_code,
    )


def find_for_update(tx: Tx, tenant_id: int, user_id: int) -> Profile | None:
    """Return the profile of one of the tenant's doctors, locked until the end of the transaction, or None."""
    row = tx.fetch_one(
        """
        SELECT p.dept_id, p.duty_code, p.title, p.photo_key, p.expert, p.introduction, p.sort
        FROM doctors p JOIN staff s ON s.user_id = p.user_id AND s.role = %(doctor)s
        WHERE p.user_id = %(user_id)s AND p.tenant_id = %(tenant_id)s FOR UPDATE
        """,
        doctor=Role.DOCTOR,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return build_profile(row) if row else None


def update(tx: Tx, tenant_id: int, user_id: int, profile: Profile) -> None:
    """Write all fields of a doctor's profile."""
    tx.execute(
        """
        UPDATE doctors
        SET dept_id = %(dept_id)s, duty_code = %(duty_code)s, title = %(title)s, photo_key = %(photo_key)s,
            expert = %(expert)s, introduction = %(introduction)s, sort = %(sort)s
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        dept_id=profile.dept_id,
        duty_code=profile.duty_code,
        title=profile.title,
        photo_key=profile.photo_key.encode(),
        expert=profile.expert,
        introduction=profile.introduction,
        sort=profile.sort,
        user_id=user_id,
        tenant_id=tenant_id,
    )


def build_profile(row: dict[str, Any]) -> Profile:
    """Return the profile of a row that has all of its columns; other columns are ignored."""
    fields = {name: row[name] for name in Profile.__dataclass_fields__}
    return Profile(**{**fields, "photo_key": fields["photo_key"].decode()})
