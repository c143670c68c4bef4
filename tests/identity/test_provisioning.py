"""An operator founds a hospital on a stage that knows nobody."""

import uuid
from typing import Any

import pytest
from pydantic import ValidationError

from app import migrate
from chalicelib.adapters import mysql
from chalicelib.identity import internal_keys
from tests.support.client import post
from tests.support.factories import Hospital

LOGIN = "/pati_service/manager_service/login"


def asked(**more: Any) -> dict[str, Any]:
    name = uuid.uuid4().hex
    return {
        "external_id": name,
        "name": "仁和医院",
        "hosts": [f"{name}.example.com"],
        "admin_name": "管理员",
        "admin_phone": "13900000003",
        **more,
    }


def founded(hospital: dict[str, Any]) -> dict[str, str]:
    return dict(migrate({"hospital": hospital}, None))


def sign_in(made: dict[str, str], password: str) -> Any:
    return post(LOGIN, headers={"tenantId": made["tenant_id"]}, phone="13900000003", password=password)


def test_the_first_administrator_signs_in_with_the_password_that_was_told() -> None:
    made = founded(asked())
    answer = sign_in(made, made["admin_password"]).data
    assert (answer["userId"], answer["role"]) == (made["admin_id"], "admin")


def test_its_systems_and_its_pages_are_known() -> None:
    hospital = asked()
    made = founded(hospital)
    assert internal_keys.authenticate(made["internal_key"]) == int(made["tenant_id"])
    body = {"phone": "13900000003", "password": made["admin_password"]}
    assert post(LOGIN, headers={"Host": hospital["hosts"][0]}, **body).status == 200


def test_founding_again_changes_nothing_and_tells_no_secret() -> None:
    hospital = asked()
    made, again = founded(hospital), founded(hospital)
    assert again == {**made, "internal_key": "", "admin_password": ""}
    assert sign_in(made, made["admin_password"]).status == 200


def test_another_internal_key_leaves_the_one_before_alive() -> None:
    hospital = asked()
    first, second = founded(hospital), founded({**hospital, "new_internal_key": True})
    assert internal_keys.authenticate(first["internal_key"]) == internal_keys.authenticate(second["internal_key"])


def test_a_host_of_another_hospital_is_refused_and_nothing_is_made() -> None:
    hosts = asked()["hosts"]
    founded(asked(hosts=hosts))
    thief = asked(hosts=hosts)
    with pytest.raises(mysql.DuplicateKeyError):
        founded(thief)
    sql = "SELECT COUNT(*) FROM tenants WHERE external_id = %(id)s"
    assert mysql.autocommit.fetch_value(sql, id=thief["external_id"].encode()) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"external_id": ""}, {"name": ""}, {"admin_phone": "12"}, {"hosts": ["https://x"]}, {"admin_pasword": "x"}],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        founded(asked(**wrong))


def test_without_a_hospital_the_database_is_migrated(hospital: Hospital) -> None:
    assert hospital.tenant_id
    assert migrate({}, None) == []
