"""wechat/templates: list the templates that the account has at WeChat."""

import pytest

from devstack.fakes.wechat import WeChat
from devstack.fakes.wechat_endpoints import REGISTERED_TEMPLATE_ID, TEMPLATES
from tests.support.client import get
from tests.support.factories import Hospital
from tests.support.wechat_client import APP_ID, WECHAT_PATH

PATH = f"{WECHAT_PATH}/templates"
LIST_PATH, TOKEN_PATH = "/cgi-bin/template/get_all_private_template", "/cgi-bin/stable_token"


def test_templates_at_wechat_are_listed(configured_hospital: Hospital) -> None:
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


def test_old_template_has_industries(configured_hospital: Hospital) -> None:
    found = {one["templateId"]: one for one in get(PATH, configured_hospital.admin.token).data["templateList"]}
    old = found[REGISTERED_TEMPLATE_ID]
    assert (old["primaryIndustry"], old["deputyIndustry"]) == ("医疗护理", "保健与卫生")


def test_account_without_templates_returns_an_empty_list(configured_hospital: Hospital, wechat: WeChat) -> None:
    wechat.templates.clear()
    assert get(PATH, configured_hospital.admin.token).data == {"templateList": []}


def test_hospital_without_account_returns_404(hospital: Hospital, wechat: WeChat) -> None:
    assert get(PATH, hospital.admin.token).status == 404
    assert wechat.calls.total() == 0


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_admins_are_allowed(configured_hospital: Hospital, kind: str) -> None:
    assert get(PATH, getattr(configured_hospital, kind).token).status == 403
    assert get(PATH).status == 401


def test_expired_token_is_replaced_once(configured_hospital: Hospital, wechat: WeChat) -> None:
    get(PATH, configured_hospital.admin.token)
    wechat.expire_tokens()
    assert get(PATH, configured_hospital.admin.token).status == 200
    assert (wechat.calls[TOKEN_PATH], wechat.calls[LIST_PATH]) == (2, 3)


def test_reissued_invalid_token_is_refreshed(configured_hospital: Hospital, wechat: WeChat) -> None:
    """Without force_refresh WeChat would issue the same token again."""
    get(PATH, configured_hospital.admin.token)
    before = wechat.tokens[APP_ID]
    wechat.invalid_tokens.add(before)
    assert get(PATH, configured_hospital.admin.token).status == 200
    assert wechat.tokens[APP_ID] != before
    assert wechat.calls[TOKEN_PATH] == 3


@pytest.mark.parametrize("number", [40001, 42001, 40014, 45009, -1])
def test_repeated_rejection_returns_503(configured_hospital: Hospital, wechat: WeChat, number: int) -> None:
    wechat.failures[LIST_PATH] = number
    response = get(PATH, configured_hospital.admin.token)
    assert (response.status, response.error) == (503, f"微信服务暂时不可用（微信错误码 {number}）")
    assert wechat.calls[LIST_PATH] == (2 if number in (40001, 42001, 40014) else 1)
