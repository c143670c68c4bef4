"""Roles of callers and kinds of people."""

from collections.abc import Collection
from enum import StrEnum


class Role(StrEnum):
    """What a caller is. The values are stored with tokens and staff, and shown to clients."""

    PUBLIC = "public"  # a visitor without credentials
    PATIENT = "patient"
    DOCTOR = "doctor"
    SERVICE_STAFF = "service_staff"
    ADMIN = "admin"
    SESSION = "session"  # a user of an external system, known only by a session id
    SERVICE = "service"  # a hospital's own system, authenticated by an internal key
    SCREEN = "screen"  # a screen in a waiting room, authenticated by its device key
    LIMITED = "limited"  # a signed-in patient or member of staff who has to confirm their identity first


STAFF_ROLES = frozenset([Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN])

ROLE_LABELS = {
    Role.PUBLIC: "任何人（无需登录）",
    Role.PATIENT: "患者",
    Role.DOCTOR: "医生",
    Role.SERVICE_STAFF: "客服",
    Role.ADMIN: "管理员",
    Role.SESSION: "外部系统的用户",
    Role.SERVICE: "医院自己的系统（内部密钥）",
    Role.SCREEN: "候诊屏（设备密钥）",
    Role.LIMITED: "尚未完成安全验证的用户",
}
"""Names of the roles for clients, in the order in which they are listed."""


def format_roles(roles: Collection[Role]) -> str:
    """Return the names of roles as a list in a sentence."""
    return "、".join(label for role, label in ROLE_LABELS.items() if role in roles)


class PersonKind(StrEnum):
    """people.kind: which table describes the person, accounts or staff."""

    PATIENT = "patient"
    STAFF = "staff"
