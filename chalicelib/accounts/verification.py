"""Verification of members: binding a self-declared file to the verified file of the same person."""

from typing import Any


def verify_by_phone(tenant_id: int, payload: dict[str, Any]) -> None:
    """Handle Job.VERIFY_MEMBER of the member payload["member_id"], whom an account has added."""
