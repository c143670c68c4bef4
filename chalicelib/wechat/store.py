"""MySQL statements for the hospital's service information and domain verification files."""

from dataclasses import dataclass

from chalicelib.adapters.mysql import Tx


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """What a hospital publishes for everybody who books."""

    appo_notice: str
    phone: str


@dataclass(frozen=True, slots=True)
class AuthFile:
    """A domain verification file."""

    file_name: str
    content: bytes


def find_service_info(tx: Tx, tenant_id: int) -> ServiceInfo | None:
    """Return a hospital's service information, None if it was never saved."""
    row = tx.fetch_one(
        "SELECT appo_notice, phone FROM service_info WHERE tenant_id = %(tenant_id)s",
        tenant_id=tenant_id,
    )
    return ServiceInfo(**row) if row else None


def save_service_info(tx: Tx, tenant_id: int, appo_notice: str, phone: str, changed_by: int, now: int) -> None:
    """Insert or replace a hospital's service information."""
    tx.execute(
        """
        INSERT INTO service_info (tenant_id, appo_notice, phone, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(appo_notice)s, %(phone)s, %(changed_by)s, %(now)s)
        ON DUPLICATE KEY UPDATE appo_notice = %(appo_notice)s, phone = %(phone)s, changed_by = %(changed_by)s,
            changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        appo_notice=appo_notice,
        phone=phone,
        changed_by=changed_by,
        now=now,
    )


def save_file(tx: Tx, tenant_id: int, file_name: str, content: bytes, uploaded_by: int, now: int) -> None:
    """Insert or replace a domain verification file."""
    tx.execute(
        """
        INSERT INTO bas_tenant_wechat_webauth (tenant_id, file_name, content, uploaded_by, uploaded_at)
        VALUES (%(tenant_id)s, %(file_name)s, %(content)s, %(uploaded_by)s, %(now)s)
        ON DUPLICATE KEY UPDATE content = %(content)s, uploaded_by = %(uploaded_by)s, uploaded_at = %(now)s
        """,
        tenant_id=tenant_id,
        file_name=file_name,
        content=content,
        uploaded_by=uploaded_by,
        now=now,
    )


def find_newest_file(tx: Tx, tenant_id: int) -> AuthFile | None:
    """Return the file that was uploaded last."""
    row = tx.fetch_one(
        """
        SELECT file_name, content FROM bas_tenant_wechat_webauth
        WHERE tenant_id = %(tenant_id)s ORDER BY uploaded_at DESC, file_name LIMIT 1
        """,
        tenant_id=tenant_id,
    )
    return AuthFile(**row) if row else None


def find_file(tx: Tx, tenant_id: int, file_name: str) -> bytes | None:
    """Return the content of a file."""
    content: bytes | None = tx.fetch_value(
        """
        SELECT content FROM bas_tenant_wechat_webauth
        WHERE tenant_id = %(tenant_id)s AND file_name = %(file_name)s
        """,
        tenant_id=tenant_id,
        file_name=file_name,
    )
    return content
