"""wechat/service_info: what everybody who books is told."""

from functools import partial
from typing import Any

import pytest

from chalicelib.wechat import store
from tests.support.client import Answer, get, post
from tests.support.factories import Hospital
from tests.support.wechat_client import WECHAT_PATH, run_overlapping

pytestmark = pytest.mark.store

PATH = f"{WECHAT_PATH}/service_info"
NOTICE, PHONE = "请于就诊前 15 分钟报到。\n节假日除外。", "010-12345678"


def shown(hospital: Hospital) -> dict[str, Any]:
    """As a visitor without a token sees it."""
    return dict(get(PATH, headers={"tenantId": str(hospital.tenant_id)}).data)


def save(hospital: Hospital, **fields: Any) -> Answer:
    return post(PATH, hospital.admin.token, **fields)


def test_a_visitor_reads_what_an_admin_wrote(hospital: Hospital, other_hospital: Hospital) -> None:
    assert shown(hospital) == {"appo_notice": "", "phone": ""}
    assert save(hospital, appo_notice=NOTICE, phone=PHONE).data is None
    assert shown(hospital) == {"appo_notice": NOTICE, "phone": PHONE}
    assert shown(other_hospital) == {"appo_notice": "", "phone": ""}
    assert get(PATH, hospital.lin.token).data["phone"] == PHONE


def test_what_is_left_out_stays(hospital: Hospital) -> None:
    save(hospital, appo_notice=NOTICE, phone=PHONE)
    save(hospital, phone="400-820-8820")
    save(hospital)
    assert shown(hospital) == {"appo_notice": NOTICE, "phone": "400-820-8820"}
    save(hospital, appo_notice="")
    assert shown(hospital) == {"appo_notice": "", "phone": "400-820-8820"}


def test_two_who_save_different_fields_at_once_keep_both(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    both = (partial(save, hospital, appo_notice=NOTICE), partial(save, hospital, phone=PHONE))
    answers = run_overlapping(monkeypatch, store, "save_service_info", *both)
    assert [one.status for one in answers] == [200, 200]
    assert shown(hospital) == {"appo_notice": NOTICE, "phone": PHONE}


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_an_admin_may_change_it(hospital: Hospital, kind: str) -> None:
    assert post(PATH, getattr(hospital, kind).token, phone=PHONE).status == 403
    assert post(PATH, headers={"tenantId": str(hospital.tenant_id)}, phone=PHONE).status == 401
    assert shown(hospital)["phone"] == ""


@pytest.mark.usefixtures("hospital", "other_hospital")
def test_who_comes_from_nowhere_is_asked_where() -> None:
    assert get(PATH).status == 400
    assert get(PATH, headers={"tenantId": "x"}).error == "tenantId：租户不存在"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *(("phone", one) for one in ("电话", "1" * 33, "010\n", "<b>", 12)),
        *(("appo_notice", one) for one in ("a" * 2001, "\x00", 12)),
    ],
)
def test_a_bad_field_is_named_and_changes_nothing(hospital: Hospital, field: str, wrong: Any) -> None:
    answer = save(hospital, **{"appo_notice": "new", "phone": "1", field: wrong})
    assert (answer.status, answer.error.partition("：")[0]) == (400, field)
    assert shown(hospital) == {"appo_notice": "", "phone": ""}
