"""Tenants: the hospitals this bundle serves side by side."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError


def get_for_visitor(named: str, host: str) -> int:
    """Return the tenant of somebody without a token: the one named, else the host's, else the only one there is.

    ApiError 400 where that leaves it open.
    """
    tenant_id = mysql.run_autocommit(
        lambda tx: _find_by_id_text(tx, named) if named else find_by_host(tx, host) or _find_only_tenant(tx)
    )
    if tenant_id is None:
        raise ApiError(errors.BAD_PARAMETER, "tenantId：租户不存在" if named else "tenantId：必填")
    return tenant_id


def create(tx: Tx, name: str, external_id: str | None = None) -> int:
    return tx.insert(
        "INSERT INTO tenants (name, external_id, created_at) VALUES (%(name)s, %(external_id)s, %(now)s)",
        name=name,
        external_id=external_id.encode() if external_id else None,
        now=clock.now(),
    )


def add_host(tx: Tx, tenant_id: int, host: str) -> None:
    """Have visitors of this host belong to the tenant. Raises mysql.DuplicateKeyError("PRIMARY") where it is
    another's."""
    owner = tx.fetch_value("SELECT tenant_id FROM tenant_hosts WHERE host = %(host)s", host=host.encode())
    if owner != tenant_id:
        tx.execute(
            "INSERT INTO tenant_hosts (host, tenant_id) VALUES (%(host)s, %(tenant_id)s)",
            host=host.encode(),
            tenant_id=tenant_id,
        )


def get_name(tx: Tx, tenant_id: int) -> str:
    return str(tx.fetch_value("SELECT name FROM tenants WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id))


def find_by_external_id(tx: Tx, external_id: str) -> int | None:
    """Return the tenant that a hospital's own systems call so."""
    found: int | None = tx.fetch_value(
        "SELECT tenant_id FROM tenants WHERE external_id = %(external_id)s", external_id=external_id.encode()
    )
    return found


def find_by_host(tx: Tx, host: str) -> int | None:
    """Return the tenant that a host (with or without its port) belongs to."""
    name = host.partition(":")[0].lower().encode("utf-8", "replace")
    found: int | None = tx.fetch_value("SELECT tenant_id FROM tenant_hosts WHERE host = %(name)s", name=name)
    return found


def _find_by_id_text(tx: Tx, named: str) -> int | None:
    if not (named.isascii() and named.isdigit() and len(named) < 17):
        return None
    found: int | None = tx.fetch_value("SELECT tenant_id FROM tenants WHERE tenant_id = %(id)s", id=int(named))
    return found


def _find_only_tenant(tx: Tx) -> int | None:
    rows = tx.fetch_all("SELECT tenant_id FROM tenants ORDER BY tenant_id LIMIT 2")
    return rows[0]["tenant_id"] if len(rows) == 1 else None
