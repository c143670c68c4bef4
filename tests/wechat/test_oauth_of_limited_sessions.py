"""A limited session is confirmed by the WeChat identity that its account had before."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.identity import tokens
from devstack.fakes.wechat import WeChat
from tests.support.account_client import get_account, limit, list_audit
from tests.support.accounts_client import MEMBERS
from tests.support.client import get
from tests.support.factories import Hospital, Person
from tests.wechat.test_oauth import (
    LIN_OPENID,
    WANG_OPENID,
    authorize,
    bind,
    create_session_of_key,
    find_openid,
    request_url,
    submit_callback,
)

pytestmark = pytest.mark.store


@pytest.fixture
def limited(configured_hospital: Hospital, wechat: WeChat) -> Person:
    """A limited session of Lin's account, to which her WeChat was bound before."""
    lin = configured_hospital.lin
    bind(lin, wechat)
    limit(lin)
    token = tokens.issue_in_transaction(mysql.autocommit, lin.tenant_id, lin.principal, lin.role, is_limited=True)
    return lin.with_token(token)


def test_the_same_openid_lifts_the_limit(configured_hospital: Hospital, limited: Person, wechat: WeChat) -> None:
    assert get(MEMBERS, limited.token).code == 10104
    bind(limited, wechat)
    assert get(MEMBERS, limited.token).status == 200
    assert get_account(limited)["identity_locked_at"] is None
    assert list_audit(configured_hospital) == [("confirm_account", limited.principal, limited.principal, "")]
    assert find_openid(limited) == LIN_OPENID


def test_another_openid_is_rejected_and_not_bound(limited: Person, wechat: WeChat) -> None:
    for _ in range(2):  # the first attempt does not make the second one known
        response = submit_callback(limited, authorize(request_url(limited), wechat, WANG_OPENID))
        assert (response.status, response.code) == (403, 10104)
        assert response.error == "该微信没有绑定过此账号，请用就诊人的证件号码确认，或到医院前台办理"
    assert get(MEMBERS, limited.token).code == 10104
    assert find_openid(limited) == LIN_OPENID


def test_openid_of_another_account_is_rejected(configured_hospital: Hospital, limited: Person, wechat: WeChat) -> None:
    bind(configured_hospital.wang, wechat, WANG_OPENID)
    assert submit_callback(limited, authorize(request_url(limited), wechat, WANG_OPENID)).status == 403
    assert find_openid(configured_hospital.wang) == WANG_OPENID


def test_openid_that_was_bound_after_the_limit_does_not_count(limited: Person, wechat: WeChat) -> None:
    """A session that was open then, such as one of the hospital's system, may have bound it."""
    bind(limited.with_token(tokens.issue(limited.tenant_id, limited.principal, limited.role)), wechat, WANG_OPENID)
    assert submit_callback(limited, authorize(request_url(limited), wechat, WANG_OPENID)).status == 403


def test_openid_that_the_session_of_a_key_has_bound_does_not_count(
    configured_hospital: Hospital, lin: Person, wechat: WeChat
) -> None:
    """Whoever has the key can begin such a session: it proves nothing about the account."""
    of_key = create_session_of_key(configured_hospital, lin)
    bind(of_key, wechat)
    limit(lin)
    token = tokens.issue_in_transaction(mysql.autocommit, lin.tenant_id, lin.principal, lin.role, is_limited=True)
    assert submit_callback(lin.with_token(token), authorize(request_url(lin.with_token(token)), wechat)).status == 403
