"""What doctors show to patients: department, title, photo, what they are good at."""

from dataclasses import dataclass
from typing import Any

from chalicelib.adapters.mysql import Tx

TITLE_BY_DUTY_CODE = {"0": "医士", "1": "医师", "2": "主治医师", "3": "副主任医师", "4": "主任医师"}  # by duty_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    dept_id: int | None = None
    duty_code: str = ""  # 0-4, "" unknown
    title: str = ""  # "" is the duty's own
    photo_key: str = ""
    expert: str = ""
    introduction: str = ""
    sort: int = 0  # the smallest comes first

    @property
    def display_title(self) -> str:
        return self.title or TITLE_BY_DUTY_CODE.get(self.duty_code, "")


def ensure_profile(tx: Tx, tenant_id: int, user_id: int, duty_code: str = "", dept_id: int | None = None) -> None:
    """Give a doctor an empty profile; one that is there stays as it is."""
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
    """Return the profile of one of the tenant's doctors, to be changed in this transaction."""
    row = tx.fetch_one(
        """
        SELECT p.dept_id, p.duty_code, p.title, p.photo_key, p.expert, p.introduction, p.sort
        FROM doctors p JOIN staff s ON s.user_id = p.user_id AND s.role = 'doctor'
        WHERE p.user_id = %(user_id)s AND p.tenant_id = %(tenant_id)s FOR UPDATE
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return build_profile(row) if row else None


def update(tx: Tx, tenant_id: int, user_id: int, changed: Profile) -> None:
    tx.execute(
        """
        UPDATE doctors
        SET dept_id = %(dept_id)s, duty_code = %(duty_code)s, title = %(title)s, photo_key = %(photo_key)s,
            expert = %(expert)s, introduction = %(introduction)s, sort = %(sort)s
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        dept_id=changed.dept_id,
        duty_code=changed.duty_code,
        title=changed.title,
        photo_key=changed.photo_key.encode(),
        expert=changed.expert,
        introduction=changed.introduction,
        sort=changed.sort,
        user_id=user_id,
        tenant_id=tenant_id,
    )


def build_profile(row: dict[str, Any]) -> Profile:
    """Return the profile in a row that has every column of one, whatever else it has."""
    fields = {name: row[name] for name in Profile.__dataclass_fields__}
    return Profile(**{**fields, "photo_key": fields["photo_key"].decode()})
