"""Provisioning of a hospital by the operator of a deployment."""

import uuid
from typing import Any

import pytest
from pydantic import ValidationError

from app import migrate
from chalicelib.adapters import mysql
from chalicelib.identity import internal_keys, second_factor, totp
from tests.support.client import post
from tests.support.factories import Hospital

LOGIN = "/pati_service/manager_service/login"


def build_spec(**fields: Any) -> dict[str, Any]:
    name = uuid.uuid4().hex
    return {
        "external_id": name,
        "name": "仁和医院",
        "hosts": [f"{name}.example.com"],
        "admin_name": "管理员",
        "admin_phone": "13900000003",
        **fields,
    }


def provision(hospital: dict[str, Any]) -> dict[str, str]:
    return dict(migrate({"hospital": hospital}, None))


def sign_in(provisioned: dict[str, str], password: str) -> Any:
    return post(LOGIN, headers={"tenantId": provisioned["tenant_id"]}, phone="13900000003", password=password)


def test_first_administrator_signs_in_with_the_returned_password() -> None:
    provisioned = provision(build_spec())
    data = sign_in(provisioned, provisioned["admin_password"]).data
    assert (data["userId"], data["role"]) == (provisioned["admin_id"], "admin")


def test_internal_key_and_host_belong_to_the_tenant() -> None:
    hospital = build_spec()
    provisioned = provision(hospital)
    assert internal_keys.authenticate(provisioned["internal_key"]).tenant_id == int(provisioned["tenant_id"])
    body = {"phone": "13900000003", "password": provisioned["admin_password"]}
    assert post(LOGIN, headers={"Host": hospital["hosts"][0]}, **body).status == 200


def test_repeated_provisioning_changes_nothing_and_returns_no_secret() -> None:
    hospital = build_spec()
    provisioned, again = provision(hospital), provision(hospital)
    assert again == {**provisioned, "internal_key": "", "admin_password": ""}
    assert sign_in(provisioned, provisioned["admin_password"]).status == 200


def test_new_internal_key_leaves_the_old_one_valid() -> None:
    hospital = build_spec()
    first, second = provision(hospital), provision({**hospital, "new_internal_key": True})
    keys = [internal_keys.authenticate(one["internal_key"]) for one in (first, second)]
    assert len({key.tenant_id for key in keys}) == 1


def test_host_of_another_hospital_is_rejected_and_nothing_created() -> None:
    hosts = build_spec()["hosts"]
    provision(build_spec(hosts=hosts))
    conflicting = build_spec(hosts=hosts)
    with pytest.raises(mysql.DuplicateKeyError):
        provision(conflicting)
    sql = "SELECT COUNT(*) FROM tenants WHERE external_id = %(id)s"
    assert mysql.autocommit.fetch_value(sql, id=conflicting["external_id"].encode()) == 0


@pytest.mark.parametrize(
    "invalid_field",
    [{"external_id": ""}, {"name": ""}, {"admin_phone": "12"}, {"hosts": ["https://x"]}, {"admin_pasword": "x"}],
)
def test_invalid_specification_is_rejected(invalid_field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        provision(build_spec(**invalid_field))


def test_event_without_hospital_only_migrates(hospital: Hospital) -> None:
    assert hospital.tenant_id
    assert migrate({}, None) == []


def test_operator_resets_the_second_factor_of_the_last_administrator() -> None:
    hospital = build_spec()
    provisioned = provision(hospital)
    tenant_id, admin_id = int(provisioned["tenant_id"]), int(provisioned["admin_id"])
    sealed = second_factor.seal(tenant_id, admin_id, totp.generate_secret())
    set_factor = "UPDATE staff SET totp_sealed = %(sealed)s WHERE user_id = %(user_id)s"
    mysql.autocommit.execute(set_factor, sealed=sealed, user_id=admin_id)
    assert sign_in(provisioned, provisioned["admin_password"]).code == 10107
    request = {"external_id": hospital["external_id"], "phone": hospital["admin_phone"]}
    assert migrate({"second_factor_reset": request}, None) == {"user_id": str(admin_id)}
    assert sign_in(provisioned, provisioned["admin_password"]).status == 200
    actor, reason = mysql.autocommit.fetch_all(
        "SELECT actor, reason FROM audit_log WHERE tenant_id = %(id)s AND action = 'reset_second_factor'", id=tenant_id
    )[0].values()
    assert (actor, reason) == (b"", "operator")


@pytest.mark.parametrize("wrong", [{"phone": "13999999999"}, {"external_id": "unknown"}])
def test_unknown_staff_or_hospital_is_reported(wrong: dict[str, str]) -> None:
    hospital = build_spec()
    provision(hospital)
    request = {"external_id": hospital["external_id"], "phone": hospital["admin_phone"], **wrong}
    with pytest.raises(LookupError, match="no such"):
        migrate({"second_factor_reset": request}, None)
