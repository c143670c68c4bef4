"""What operators do: create a tenant with the host names of its pages, an internal key and its first administrator.

This is not an endpoint, because no administrator can sign in before: the operator of the deployment invokes a function.
The same function lets the last administrator in again who has lost the app of their second factor.
"""

import secrets
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.identity import internal_keys, passwords, second_factor
from chalicelib.people import phones, staff, tenants
from chalicelib.people.roles import Role


class HospitalSpec(BaseModel):
    """The operator's specification of a hospital.

    external_id is the identifier used by the hospital's own systems (entId). Repeating a specification with the same
    external_id changes the same tenant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    external_id: str = Field(pattern=r"^[\x21-\x7e]{1,64}$")
    name: str = Field(min_length=1, max_length=64)
    hosts: list[Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,255}$")]] = []
    admin_name: str = Field(min_length=1, max_length=64)
    admin_phone: str = Field(pattern=r"^1[3-9][0-9]{9}$")
    new_internal_key: bool = False  # issue a key even if there is one; the newest other key stays valid


class SecondFactorReset(BaseModel):
    """A member of staff who has lost the app of their second factor, and whom no other administrator can help."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    external_id: str = Field(pattern=r"^[\x21-\x7e]{1,64}$")  # of the hospital
    phone: str = Field(pattern=r"^1[3-9][0-9]{9}$")


class ProvisionedHospital(BaseModel):
    """The result. internal_key and admin_password are returned only when they are created, later as ""."""

    tenant_id: str
    internal_key: str
    admin_id: str
    admin_password: str


def provision_hospital(hospital: HospitalSpec) -> ProvisionedHospital:
    """Create whatever does not exist yet.

    Raises:
        mysql.DuplicateKeyError: key "PRIMARY" if a host belongs to another tenant.
    """
    field_encryption.preload_keys()
    password = secrets.token_urlsafe(12)
    password_hash = passwords.hash_password(password)
    tenant_id, admin_id, is_new_admin = mysql.run_transaction(
        lambda tx: _get_or_create_tenant(tx, hospital, password_hash)
    )
    needs_key = hospital.new_internal_key or not internal_keys.has_valid_key(mysql.autocommit, tenant_id)
    return ProvisionedHospital(
        tenant_id=str(tenant_id),
        internal_key=internal_keys.issue(tenant_id) if needs_key else "",
        admin_id=str(admin_id),
        admin_password=password if is_new_admin else "",
    )


def _get_or_create_tenant(tx: Tx, hospital: HospitalSpec, password_hash: bytes) -> tuple[int, int, bool]:
    """Return tenant_id, the administrator's user_id, and whether the administrator was created now."""
    tenant_id = tenants.find_by_external_id(tx, hospital.external_id)
    tenant_id = tenant_id or tenants.create(tx, hospital.name, hospital.external_id)
    for host in hospital.hosts:
        tenants.add_host(tx, tenant_id, host)
    admin = staff.find_by_phone(tx, tenant_id, phones.compute_blind_index(tenant_id, hospital.admin_phone))
    if admin:
        return tenant_id, admin.user_id, False
    admin_id = staff.create(tx, tenant_id, Role.ADMIN, hospital.admin_phone, hospital.admin_name, password_hash)
    return tenant_id, admin_id, True


def reset_second_factor_of(request: SecondFactorReset) -> str:
    """Do the same as `reset_second_factor` for a hospital that is named by its external_id."""
    tenant_id = tenants.find_by_external_id(mysql.autocommit, request.external_id)
    if tenant_id is None:
        raise LookupError("no such hospital")
    return reset_second_factor(tenant_id, request.phone)


def reset_second_factor(tenant_id: int, phone: str) -> str:
    """Remove the second factor of a member of staff, end their sessions, and return their user_id.

    Raises:
        LookupError: the hospital has no such member of staff, or they are disabled.
    """
    member = staff.find_by_phone(mysql.autocommit, tenant_id, phones.compute_blind_index(tenant_id, phone))
    if member is None:
        raise LookupError("no such member of staff")
    second_factor.reset(tenant_id, member.user_id, actor="", reason="operator")
    return str(member.user_id)
