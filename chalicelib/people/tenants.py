"""Tenants: the hospitals that one deployment serves."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError

MISSING_TENANT_TEXT = "tenantId：必填，放在请求头或查询参数 tenantId 中均可"


def get_for_visitor(named: str, host: str) -> int:
    """Return the tenant of a request without a token: the named one, else that of the host, else the only one.

    Args:
        named: the header or query parameter tenantId, "" if there is none.
        host: the Host header, with or without a port.

    Raises:
        ApiError: 400 if that determines no tenant.
    """
    tx = mysql.autocommit
    tenant_id = _find_by_id_text(tx, named) if named else find_by_host(tx, host) or _find_only_tenant(tx)
    if tenant_id is None:
        raise ApiError(errors.BAD_PARAMETER, "tenantId：租户不存在" if named else MISSING_TENANT_TEXT)
    return tenant_id


def create(tx: Tx, name: str, external_id: str | None = None) -> int:
    """Insert a tenant and return its tenant_id.

    Args:
        external_id: the identifier used by the hospital's own systems (entId).

    Raises:
        mysql.DuplicateKeyError: key "external_id" if another tenant has it.
    """
    return tx.insert(
        "INSERT INTO tenants (name, external_id, created_at) VALUES (%(name)s, %(external_id)s, %(now)s)",
        name=name,
        external_id=external_id.encode() if external_id else None,
        now=clock.now(),
    )


def add_host(tx: Tx, tenant_id: int, host: str) -> None:
    """Assign a host name to a tenant: requests to it that have no token belong to the tenant.

    Raises:
        mysql.DuplicateKeyError: key "PRIMARY" if the host belongs to another tenant.
    """
    owner = tx.fetch_value("SELECT tenant_id FROM tenant_hosts WHERE host = %(host)s", host=host.encode())
    if owner != tenant_id:
        tx.execute(
            "INSERT INTO tenant_hosts (host, tenant_id) VALUES (%(host)s, %(tenant_id)s)",
            host=host.encode(),
            tenant_id=tenant_id,
        )


def get_name(tx: Tx, tenant_id: int) -> str:
    """Return the name of a tenant, which must exist."""
    return str(tx.fetch_value("SELECT name FROM tenants WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id))


def do_keys_act_for_staff(tx: Tx, tenant_id: int) -> bool:
    """Return whether the internal keys of a tenant may act for its doctors and service staff."""
    sql = "SELECT keys_act_for_staff FROM tenants WHERE tenant_id = %(tenant_id)s"
    return bool(tx.fetch_value(sql, tenant_id=tenant_id))


def set_keys_act_for_staff(tx: Tx, tenant_id: int, allowed: bool) -> bool:
    """Store whether internal keys may act for doctors and service staff; return whether that is a change."""
    changed = tx.execute(
        """
        UPDATE tenants SET keys_act_for_staff = %(allowed)s
        WHERE tenant_id = %(tenant_id)s AND keys_act_for_staff <> %(allowed)s
        """,
        tenant_id=tenant_id,
        allowed=allowed,
    )
    return changed == 1


def find_by_external_id(tx: Tx, external_id: str) -> int | None:
    """Return the tenant_id for an identifier used by a hospital's own systems, or None."""
    tenant_id: int | None = tx.fetch_value(
        "SELECT tenant_id FROM tenants WHERE external_id = %(external_id)s", external_id=external_id.encode()
    )
    return tenant_id


def find_by_host(tx: Tx, host: str) -> int | None:
    """Return the tenant_id of a host, given with or without a port, or None."""
    name = host.partition(":")[0].lower().encode("utf-8", "replace")
    tenant_id: int | None = tx.fetch_value("SELECT tenant_id FROM tenant_hosts WHERE host = %(name)s", name=name)
    return tenant_id


def _find_by_id_text(tx: Tx, text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) < 17):
        return None
    tenant_id: int | None = tx.fetch_value(
        "SELECT tenant_id FROM tenants WHERE tenant_id = %(tenant_id)s", tenant_id=int(text)
    )
    return tenant_id


def _find_only_tenant(tx: Tx) -> int | None:
    rows = tx.fetch_all("SELECT tenant_id FROM tenants ORDER BY tenant_id LIMIT 2")
    return rows[0]["tenant_id"] if len(rows) == 1 else None
