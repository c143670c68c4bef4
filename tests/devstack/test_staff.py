"""bin/staff gives a hospital its first administrator."""

import pytest

from devstack.cli import staff
from tests.support.client import post
from tests.support.factories import Hospital
from tests.support.staff_client import STAFF_PATH


def test_the_password_that_is_printed_signs_an_admin_in(hospital: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    phone, tenant = "13900000009", str(hospital.tenant_id)
    assert staff.main(["--phone", phone, "--name", "赵院长", "--tenant", tenant]) == 0
    password = capsys.readouterr().out.split()[-1]
    signed_in = post(f"{STAFF_PATH}/login", headers={"tenantId": tenant}, phone=phone, password=password).data
    assert (signed_in["role"], signed_in["name"]) == ("admin", "赵院长")


@pytest.mark.parametrize(("phone", "tenant"), [("13900000004", ""), ("139", ""), ("13900000009", "0")])
@pytest.mark.usefixtures("everyone")
def test_what_cannot_be_made_is_said_and_makes_nobody(
    hospital: Hospital, capsys: pytest.CaptureFixture[str], phone: str, tenant: str
) -> None:
    assert hospital.admin.phone == "13900000004"  # the account exists
    assert staff.main(["--phone", phone, "--name", "赵院长", "--tenant", tenant or str(hospital.tenant_id)]) == 1
    assert capsys.readouterr().err.startswith("bin/staff: ")
