"""What a hospital tells who books, and the files that WeChat looks for, in MySQL. Nothing is decided here."""

from chalicelib.adapters.mysql import Row, Tx


def find_service_info(tx: Tx, tenant_id: int) -> Row | None:
    """Return appo_notice and phone."""
    return tx.fetch_one(
        "SELECT appo_notice, phone FROM service_info WHERE tenant_id = %(tenant_id)s",
        tenant_id=tenant_id,
    )


def save_service_info(tx: Tx, tenant_id: int, appo_notice: str, phone: str, by: int, now: int) -> None:
    tx.execute(
        """
        INSERT INTO service_info (tenant_id, appo_notice, phone, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(appo_notice)s, %(phone)s, %(by)s, %(now)s)
        ON DUPLICATE KEY UPDATE appo_notice = %(appo_notice)s, phone = %(phone)s, changed_by = %(by)s,
            changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        appo_notice=appo_notice,
        phone=phone,
        by=by,
        now=now,
    )


def save_file(tx: Tx, tenant_id: int, file_name: str, content: bytes, by: int, now: int) -> None:
    tx.execute(
        """
        INSERT INTO bas_tenant_wechat_webauth (tenant_id, file_name, content, uploaded_by, uploaded_at)
        VALUES (%(tenant_id)s, %(file_name)s, %(content)s, %(by)s, %(now)s)
        ON DUPLICATE KEY UPDATE content = %(content)s, uploaded_by = %(by)s, uploaded_at = %(now)s
        """,
        tenant_id=tenant_id,
        file_name=file_name,
        content=content,
        by=by,
        now=now,
    )


def find_newest_file(tx: Tx, tenant_id: int) -> Row | None:
    """Return file_name and content of what was uploaded last."""
    return tx.fetch_one(
        """
        SELECT file_name, content FROM bas_tenant_wechat_webauth
        WHERE tenant_id = %(tenant_id)s ORDER BY uploaded_at DESC, file_name LIMIT 1
        """,
        tenant_id=tenant_id,
    )


def find_file(tx: Tx, tenant_id: int, file_name: str) -> bytes | None:
    found: bytes | None = tx.fetch_value(
        """
        SELECT content FROM bas_tenant_wechat_webauth
        WHERE tenant_id = %(tenant_id)s AND file_name = %(file_name)s
        """,
        tenant_id=tenant_id,
        file_name=file_name,
    )
    return found
