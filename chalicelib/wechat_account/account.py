"""The configuration of a hospital's WeChat official account (公众号) and the addresses of its pages."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError

TABLE = "bas_tenant_wechat_mp"
BOOK_PATH, PERSONAL_PATH, CHAT_PATH = "/book", "/personal", "/chat"  # paths of the hospital's pages below auth_url


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account as it is stored, with its secret encrypted."""

    app_id: str
    secret_sealed: bytes = field(repr=False)
    auth_url: str  # as the admin entered it
    changed_at: int


@dataclass(frozen=True, slots=True)
class OfficialAccount:
    """An account with its secret."""

    tenant_id: int
    app_id: str
    secret: str = field(repr=False)
    auth_url: str  # as the admin entered it
    changed_at: int  # part of cache keys: a new configuration does not use values cached under the old one

    @property
    def base_url(self) -> str:
        """The beginning of the addresses of the hospital's pages."""
        return build_base_url(self.auth_url)


def find(tenant_id: int) -> OfficialAccount | None:
    """Return a hospital's account, None if it is not set up."""
    stored = find_stored(mysql.autocommit, tenant_id)
    if stored is None:
        return None
    secret = field_encryption.decrypt(tenant_id, TABLE, tenant_id, stored.secret_sealed)
    return OfficialAccount(tenant_id, stored.app_id, secret, stored.auth_url, stored.changed_at)


def require(tenant_id: int) -> OfficialAccount:
    """Return a hospital's account.

    Raises:
        ApiError: 404 if it is not set up.
    """
    account = find(tenant_id)
    if account is None:
        raise ApiError(errors.NOT_FOUND, "微信公众号尚未配置")
    return account


def find_stored(tx: Tx, tenant_id: int, for_update: bool = False) -> StoredAccount | None:
    """Return a hospital's account without decrypting its secret, None if it is not set up.

    Args:
        for_update: lock the row until the commit.
    """
    row = tx.fetch_one(
        f"""
        SELECT app_id, secret_sealed, auth_url, changed_at FROM bas_tenant_wechat_mp
        WHERE tenant_id = %(tenant_id)s {"FOR UPDATE" if for_update else ""}
        """,
        tenant_id=tenant_id,
    )
    return StoredAccount(**row) if row else None


def save(tx: Tx, tenant_id: int, app_id: str, secret_sealed: bytes, auth_url: str, changed_by: int, now: int) -> None:
    """Insert or replace a hospital's account.

    Args:
        secret_sealed: the secret, encrypted for TABLE and the tenant's id.
        changed_by: user_id of the admin.
    """
    tx.execute(
        """
        INSERT INTO bas_tenant_wechat_mp (tenant_id, app_id, secret_sealed, auth_url, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(app_id)s, %(secret_sealed)s, %(auth_url)s, %(changed_by)s, %(now)s)
        ON DUPLICATE KEY UPDATE app_id = %(app_id)s, secret_sealed = %(secret_sealed)s, auth_url = %(auth_url)s,
            changed_by = %(changed_by)s, changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        app_id=app_id,
        secret_sealed=secret_sealed,
        auth_url=auth_url,
        changed_by=changed_by,
        now=now,
    )


def build_base_url(auth_url: str) -> str:
    """Return an auth_url with its scheme and without a trailing slash."""
    return f"https://{auth_url.removeprefix('https://').rstrip('/')}"


def parse_host(auth_url: str) -> str:
    """Return the domain of an auth_url in lower case."""
    return urlsplit(build_base_url(auth_url)).hostname or ""
