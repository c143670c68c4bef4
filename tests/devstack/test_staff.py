"""bin/staff creates the first administrator of a hospital."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.identity import second_factor, totp
from devstack.cli import staff
from tests.support.client import post
from tests.support.factories import PASSWORD, Hospital
from tests.support.staff_client import STAFF_PATH


def test_printed_password_signs_an_administrator_in(hospital: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    phone, tenant = "13900000009", str(hospital.tenant_id)
    assert staff.main(["--phone", phone, "--name", "赵院长", "--tenant", tenant]) == 0
    password = capsys.readouterr().out.split()[-1]
    user = post(f"{STAFF_PATH}/login", headers={"tenantId": tenant}, phone=phone, password=password).data
    assert (user["role"], user["name"]) == ("admin", "赵院长")


@pytest.mark.parametrize(("phone", "tenant"), [("13900000004", ""), ("139", ""), ("13900000009", "0")])
@pytest.mark.usefixtures("everyone")
def test_invalid_person_is_reported_and_not_created(
    hospital: Hospital, capsys: pytest.CaptureFixture[str], phone: str, tenant: str
) -> None:
    assert hospital.admin.phone == "13900000004"  # the account exists
    assert staff.main(["--phone", phone, "--name", "赵院长", "--tenant", tenant or str(hospital.tenant_id)]) == 1
    assert capsys.readouterr().err.startswith("bin/staff: ")


def test_second_factor_is_reset(hospital: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    admin, tenant = hospital.admin, str(hospital.tenant_id)
    sealed = second_factor.seal(hospital.tenant_id, admin.user_id, totp.generate_secret())
    set_factor = "UPDATE staff SET totp_sealed = %(sealed)s WHERE user_id = %(user_id)s"
    mysql.autocommit.execute(set_factor, sealed=sealed, user_id=admin.user_id)
    credentials = {"phone": admin.phone, "password": PASSWORD}
    assert post(f"{STAFF_PATH}/login", headers={"tenantId": tenant}, **credentials).code == 10107
    assert staff.main(["--phone", admin.phone, "--reset-second-factor", "--tenant", tenant]) == 0
    assert str(admin.user_id) in capsys.readouterr().out
    assert post(f"{STAFF_PATH}/login", headers={"tenantId": tenant}, **credentials).status == 200
    assert staff.main(["--phone", "13999999999", "--reset-second-factor", "--tenant", tenant]) == 1
