"""A hospital's beginning: its tenant, the hosts of its pages, its internal key and its first administrator.

Nobody can sign in before that, so it is no endpoint: whoever operates the deployment invokes a function with it.
"""

import secrets
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.identity import internal_keys, passwords
from chalicelib.people import staff, tenants


class HospitalSpec(BaseModel):
    """What an operator says of it. external_id is what its own systems call it (entId), and names it when repeated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    external_id: str = Field(pattern=r"^[\x21-\x7e]{1,64}$")
    name: str = Field(min_length=1, max_length=64)
    hosts: list[Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,255}$")]] = []
    admin_name: str = Field(min_length=1, max_length=64)
    admin_phone: str = Field(pattern=r"^1[3-9][0-9]{9}$")
    new_internal_key: bool = False  # also where there is one; of the older ones the newest stays alive


class ProvisionedHospital(BaseModel):
    """internal_key and admin_password are told once, when they are made; "" for what was there before."""

    tenant_id: str
    internal_key: str
    admin_id: str
    admin_password: str


def provision_hospital(hospital: HospitalSpec) -> ProvisionedHospital:
    """Make what is not there yet. Raises mysql.DuplicateKeyError("PRIMARY") for a host that another hospital has."""
    password = secrets.token_urlsafe(12)
    hashed = passwords.hash_password(password)
    tenant_id, admin_id, new = mysql.run_transaction(lambda tx: _get_or_create_tenant(tx, hospital, hashed))
    wanted = hospital.new_internal_key or not internal_keys.has_live_key(mysql.autocommit, tenant_id)
    return ProvisionedHospital(
        tenant_id=str(tenant_id),
        internal_key=internal_keys.issue(tenant_id) if wanted else "",
        admin_id=str(admin_id),
        admin_password=password if new else "",
    )


def _get_or_create_tenant(tx: Tx, hospital: HospitalSpec, password_hash: bytes) -> tuple[int, int, bool]:
    tenant_id = tenants.find_by_external_id(tx, hospital.external_id)
    tenant_id = tenant_id or tenants.create(tx, hospital.name, hospital.external_id)
    for host in hospital.hosts:
        tenants.add_host(tx, tenant_id, host)
    admin = staff.find_by_phone(tx, tenant_id, hospital.admin_phone)
    if admin:
        return tenant_id, admin.user_id, False
    made = staff.create(tx, tenant_id, "admin", hospital.admin_phone, hospital.admin_name, password_hash)
    return tenant_id, made, True
