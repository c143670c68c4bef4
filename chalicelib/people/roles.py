"""Roles of callers and kinds of people."""

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


class PersonKind(StrEnum):
    """people.kind: which table describes the person, accounts or staff."""

    PATIENT = "patient"
    STAFF = "staff"
