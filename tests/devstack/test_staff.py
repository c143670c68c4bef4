"""bin/staff creates the first administrator of a hospital."""

import pytest

from devstack.cli import staff
from tests.support.client import post
from tests.support.factories import Hospital
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
