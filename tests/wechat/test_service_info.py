"""wechat/service_info: booking instructions and hotline."""

from functools import partial
from typing import Any

import pytest

from chalicelib.wechat import store
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital
from tests.support.wechat_client import WECHAT_PATH, run_overlapping

pytestmark = pytest.mark.store

PATH = f"{WECHAT_PATH}/service_info"
INSTRUCTIONS, PHONE = "请于就诊前 15 分钟报到。\n节假日除外。", "010-12345678"


def get_service_info(hospital: Hospital) -> dict[str, Any]:
    """Return what a visitor without a token sees."""
    return dict(get(PATH, headers={"tenantId": str(hospital.tenant_id)}).data)


def save(hospital: Hospital, **fields: Any) -> ApiResponse:
    return post(PATH, hospital.admin.token, **fields)


def test_visitor_reads_saved_texts(hospital: Hospital, other_hospital: Hospital) -> None:
    assert get_service_info(hospital) == {"appo_notice": "", "phone": ""}
    assert save(hospital, appo_notice=INSTRUCTIONS, phone=PHONE).data is None
    assert get_service_info(hospital) == {"appo_notice": INSTRUCTIONS, "phone": PHONE}
    assert get_service_info(other_hospital) == {"appo_notice": "", "phone": ""}
    assert get(PATH, hospital.lin.token).data["phone"] == PHONE


def test_omitted_fields_keep_their_values(hospital: Hospital) -> None:
    save(hospital, appo_notice=INSTRUCTIONS, phone=PHONE)
    save(hospital, phone="400-820-8820")
    save(hospital)
    assert get_service_info(hospital) == {"appo_notice": INSTRUCTIONS, "phone": "400-820-8820"}
    save(hospital, appo_notice="")
    assert get_service_info(hospital) == {"appo_notice": "", "phone": "400-820-8820"}


def test_concurrent_saves_of_different_fields_keep_both(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    both = (partial(save, hospital, appo_notice=INSTRUCTIONS), partial(save, hospital, phone=PHONE))
    responses = run_overlapping(monkeypatch, store, "save_service_info", *both)
    assert [one.status for one in responses] == [200, 200]
    assert get_service_info(hospital) == {"appo_notice": INSTRUCTIONS, "phone": PHONE}


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_admins_may_save(hospital: Hospital, kind: str) -> None:
    assert post(PATH, getattr(hospital, kind).token, phone=PHONE).status == 403
    assert post(PATH, headers={"tenantId": str(hospital.tenant_id)}, phone=PHONE).status == 401
    assert get_service_info(hospital)["phone"] == ""


@pytest.mark.usefixtures("hospital", "other_hospital")
def test_request_without_tenant_returns_400() -> None:
    assert get(PATH).status == 400
    assert get(PATH, headers={"tenantId": "x"}).error == "tenantId：租户不存在"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("phone", one) for one in ("电话", "1" * 33, "010\n", "<b>", 12)),
        *(("appo_notice", one) for one in ("a" * 2001, "\x00", 12)),
    ],
)
def test_invalid_field_is_named_and_nothing_changes(hospital: Hospital, field: str, value: Any) -> None:
    response = save(hospital, **{"appo_notice": "new", "phone": "1", field: value})
    assert (response.status, response.error.partition("：")[0]) == (400, field)
    assert get_service_info(hospital) == {"appo_notice": "", "phone": ""}
