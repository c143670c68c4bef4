"""A hospital's WeChat official account (公众号): who it is at WeChat, and where its pages are."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError

TABLE = "bas_tenant_wechat_mp"
BOOK_PATH, PERSONAL_PATH, CHAT_PATH = "/book", "/personal", "/chat"  # where the pages are below auth_url


@dataclass(frozen=True, slots=True)
class OfficialAccount:
    tenant_id: int
    app_id: str
    secret: str = field(repr=False)
    auth_url: str  # as an admin wrote it
    changed_at: int  # another secret is another account to whatever was kept of it

    @property
    def base_url(self) -> str:
        """The URL that the addresses of the hospital's pages begin with."""
        return build_base_url(self.auth_url)


def find(tenant_id: int) -> OfficialAccount | None:
    """Return a hospital's account, None where it has none."""
    row = find_row(mysql.autocommit, tenant_id)
    if row is None:
        return None
    secret = field_encryption.decrypt(tenant_id, TABLE, tenant_id, row["secret_sealed"])
    return OfficialAccount(tenant_id, row["app_id"], secret, row["auth_url"], row["changed_at"])


def require(tenant_id: int) -> OfficialAccount:
    """Return a hospital's account. ApiError 404 where it has none."""
    account = find(tenant_id)
    if account is None:
        raise ApiError(errors.NOT_FOUND, "微信公众号尚未配置")
    return account


def find_row(tx: Tx, tenant_id: int, to_change: bool = False) -> Row | None:
    """Return app_id, secret_sealed, auth_url and changed_at; locked until the commit where asked for."""
    return tx.fetch_one(
        f"""
        SELECT app_id, secret_sealed, auth_url, changed_at FROM bas_tenant_wechat_mp
        WHERE tenant_id = %(tenant_id)s {"FOR UPDATE" if to_change else ""}
        """,
        tenant_id=tenant_id,
    )


def save(tx: Tx, tenant_id: int, app_id: str, secret_sealed: bytes, auth_url: str, by: int, now: int) -> None:
    tx.execute(
        """
        INSERT INTO bas_tenant_wechat_mp (tenant_id, app_id, secret_sealed, auth_url, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(app_id)s, %(secret_sealed)s, %(auth_url)s, %(by)s, %(now)s)
        ON DUPLICATE KEY UPDATE app_id = %(app_id)s, secret_sealed = %(secret_sealed)s, auth_url = %(auth_url)s,
            changed_by = %(by)s, changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        app_id=app_id,
        secret_sealed=secret_sealed,
        auth_url=auth_url,
        by=by,
        now=now,
    )


def build_base_url(auth_url: str) -> str:
    """Return an auth_url as the beginning of an address: with its scheme, and without a slash at its end."""
    return f"https://{auth_url.removeprefix('https://').rstrip('/')}"


def parse_host(auth_url: str) -> str:
    """Return the domain of an auth_url, in lower case."""
    return urlsplit(build_base_url(auth_url)).hostname or ""
