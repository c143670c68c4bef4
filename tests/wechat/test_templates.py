"""wechat/templates: the templates that the account has at WeChat."""

import pytest

from devstack.fakes.wechat import WeChat
from devstack.fakes.wechat_endpoints import REGISTERED_TEMPLATE_ID, TEMPLATES
from tests.support.client import get
from tests.support.factories import Hospital
from tests.support.wechat_client import APP_ID, WECHAT_PATH

PATH = f"{WECHAT_PATH}/templates"
LIST, TOKEN = "/cgi-bin/template/get_all_private_template", "/cgi-bin/stable_token"


def test_an_admin_sees_what_wechat_has(configured_hospital: Hospital) -> None:
    found = get(PATH, configured_hospital.admin.token).data["templateList"]
    assert [one["templateId"] for one in found] == list(TEMPLATES)
    assert found[0] == {
        "templateId": next(iter(TEMPLATES)),
        "title": "通知",
        "primaryIndustry": "",
        "deputyIndustry": "",
        "content": next(iter(TEMPLATES.values())),
        "example": "",
    }


def test_a_template_from_before_there_were_categories_has_industries(configured_hospital: Hospital) -> None:
    found = {one["templateId"]: one for one in get(PATH, configured_hospital.admin.token).data["templateList"]}
    old = found[REGISTERED_TEMPLATE_ID]
    assert (old["primaryIndustry"], old["deputyIndustry"]) == ("医疗护理", "保健与卫生")


def test_an_account_may_have_none(configured_hospital: Hospital, wechat: WeChat) -> None:
    wechat.templates.clear()
    assert get(PATH, configured_hospital.admin.token).data == {"templateList": []}


def test_there_is_nothing_without_an_account(hospital: Hospital, wechat: WeChat) -> None:
    assert get(PATH, hospital.admin.token).status == 404
    assert wechat.calls.total() == 0


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_an_admin_may(configured_hospital: Hospital, kind: str) -> None:
    assert get(PATH, getattr(configured_hospital, kind).token).status == 403
    assert get(PATH).status == 401


def test_a_token_that_wechat_does_not_know_is_replaced_once(configured_hospital: Hospital, wechat: WeChat) -> None:
    get(PATH, configured_hospital.admin.token)
    wechat.expire_tokens()
    assert get(PATH, configured_hospital.admin.token).status == 200
    assert (wechat.calls[TOKEN], wechat.calls[LIST]) == (2, 3)


def test_a_token_that_wechat_gives_out_and_does_not_know_is_made_anew(
    configured_hospital: Hospital, wechat: WeChat
) -> None:
    """As after a forced refresh elsewhere: asked kindly, WeChat would give the same one."""
    get(PATH, configured_hospital.admin.token)
    before = wechat.tokens[APP_ID]
    wechat.invalid_tokens.add(before)
    assert get(PATH, configured_hospital.admin.token).status == 200
    assert wechat.tokens[APP_ID] != before
    assert wechat.calls[TOKEN] == 3


@pytest.mark.parametrize("number", [40001, 42001, 40014, 48001, 45009, -1])
def test_a_wechat_that_goes_on_refusing_is_503(configured_hospital: Hospital, wechat: WeChat, number: int) -> None:
    wechat.failures[LIST] = number
    answer = get(PATH, configured_hospital.admin.token)
    assert (answer.status, answer.error) == (503, f"微信服务暂时不可用（微信错误码 {number}）")
    assert wechat.calls[LIST] == (2 if number in (40001, 42001, 40014) else 1)
