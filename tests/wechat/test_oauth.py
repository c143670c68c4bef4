"""wechat/oauth: bind a visitor's openid to their session."""

from functools import partial
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, wechat_api
from chalicelib.identity import internal_keys, tokens
from chalicelib.people.roles import Role
from chalicelib.wechat_account import openids
from devstack.fakes import wechat as fake
from devstack.fakes.wechat import WeChat
from tests.support.booking_client import list_rows
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person
from tests.support.threads import run_in_threads
from tests.support.wechat_client import APP_ID, SITE_URL, WECHAT_PATH, configure, run_overlapping

pytestmark = pytest.mark.store

URL_PATH, CALLBACK_PATH = f"{WECHAT_PATH}/oauth/url", f"{WECHAT_PATH}/oauth/callback"
PAGE = f"{SITE_URL}/book?dept=1"
LIN_OPENID, WANG_OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "oUpF8uMEb4qRXf22hE3X68TekukE"


def request_url(person: Person, **query: Any) -> str:
    return str(get(URL_PATH, person.token, **query).data["url"])


def authorize(url: str, wechat: WeChat, openid: str = LIN_OPENID) -> dict[str, str]:
    """Return the query with which WeChat redirects to the page."""
    return dict(parse_qsl(urlsplit(fake.follow_oauth_redirect(url, wechat, openid)).query))


def submit_callback(person: Person, query: dict[str, str], **fields: Any) -> ApiResponse:
    return get(CALLBACK_PATH, person.token, **{name: query[name] for name in ("code", "state")} | fields)


def bind(person: Person, wechat: WeChat, openid: str = LIN_OPENID) -> None:
    assert submit_callback(person, authorize(request_url(person), wechat, openid)).data == {"open_id": openid}


def find_openid(person: Person, app_id: str = APP_ID) -> str:
    """Return the openid that receives the messages of the user."""
    return openids.find_for_account(mysql.autocommit, person.tenant_id, person.user_id, app_id)


def create_second_session(person: Person) -> Person:
    return person.with_token(tokens.issue(person.tenant_id, person.principal, Role.PATIENT))


def create_session_of_key(hospital: Hospital, person: Person) -> Person:
    """Return a patient with a token that the hospital's internal key has issued."""
    headers = {"X-Internal-Key": hospital.internal_key}
    return person.with_token(str(post("/inner/get_token", headers=headers, session=person.principal, platform=1).data))


def test_authorization_binds_the_openid(configured_hospital: Hospital, lin: Person, wechat: WeChat) -> None:
    url = request_url(lin, redirect_uri=f"{PAGE}#/x")
    parts = urlsplit(url)
    url_query = parse_qs(parts.query)
    assert (f"{parts.scheme}://{parts.netloc}{parts.path}", parts.fragment) == (
        f"{wechat.url}/connect/oauth2/authorize",
        "wechat_redirect",
    )
    assert list(url_query) == ["appid", "redirect_uri", "response_type", "scope", "state"]
    assert (url_query["appid"], url_query["redirect_uri"], url_query["scope"]) == ([APP_ID], [PAGE], ["snsapi_base"])
    assert url_query["state"][0].isalnum()
    assert configured_hospital.tenant_id == lin.tenant_id
    assert submit_callback(lin, authorize(url, wechat)).data == {"open_id": LIN_OPENID}
    assert find_openid(lin) == LIN_OPENID


def test_redirect_uri_defaults_to_auth_url(configured_hospital: Hospital, wechat: WeChat) -> None:
    assert parse_qs(urlsplit(request_url(configured_hospital.lin)).query)["redirect_uri"] == [SITE_URL]
    assert wechat.calls.total() == 0


def test_state_is_valid_once(configured_hospital: Hospital, wechat: WeChat) -> None:
    query = authorize(request_url(configured_hospital.lin), wechat)
    assert submit_callback(configured_hospital.lin, query).status == 200
    for code in (query["code"], wechat.issue_code(APP_ID, WANG_OPENID)):
        response = submit_callback(configured_hospital.lin, query, code=code)
        assert (response.status, response.error.partition("：")[0]) == (400, "state")
    assert find_openid(configured_hospital.lin) == LIN_OPENID


def test_concurrent_callbacks_bind_once(configured_hospital: Hospital, wechat: WeChat) -> None:
    query = authorize(request_url(configured_hospital.lin), wechat)
    assert sorted(
        one.status for one in run_in_threads([partial(submit_callback, configured_hospital.lin, query)] * 2)
    ) == [
        200,
        400,
    ]
    assert wechat.calls["/sns/oauth2/access_token"] == 1


def test_state_is_valid_only_for_its_session(
    configured_hospital: Hospital, other_hospital: Hospital, wechat: WeChat
) -> None:
    """Otherwise an attacker could bind a victim's WeChat to their own account."""
    configure(other_hospital)
    query = authorize(request_url(configured_hospital.lin), wechat)
    without_token = Person(configured_hospital.tenant_id, configured_hospital.lin.user_id, "")
    for person in (configured_hospital.wang, other_hospital.lin, without_token):
        assert submit_callback(person, query).status == 400
        assert find_openid(person) == ""
    assert submit_callback(configured_hospital.lin, query).status == 200


def test_unknown_or_expired_state_is_rejected(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = authorize(request_url(configured_hospital.lin), wechat)
    assert submit_callback(configured_hospital.lin, query, state="0" * 32).status == 400
    later = clock.now() + openids.STATE_LIFETIME + clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    assert submit_callback(configured_hospital.lin, query).status == 400
    assert wechat.calls["/sns/oauth2/access_token"] == 0


def test_state_is_invalid_after_a_change_of_account(configured_hospital: Hospital, wechat: WeChat) -> None:
    query = authorize(request_url(configured_hospital.lin), wechat)
    configure(configured_hospital, app_id="wx0123456789abcdef")
    assert submit_callback(configured_hospital.lin, query).status == 400


def test_state_is_stored_as_a_hash(configured_hospital: Hospital) -> None:
    state = parse_qs(urlsplit(request_url(configured_hospital.lin)).query)["state"][0]
    rows = mysql.autocommit.fetch_all("SELECT * FROM wechat_states")
    assert rows
    assert state not in str(rows)


@pytest.mark.parametrize("code", ["unknown", "used"])
def test_unknown_or_used_code_is_rejected(configured_hospital: Hospital, wechat: WeChat, code: str) -> None:
    wechat.codes["used"] = (APP_ID, LIN_OPENID)
    wechat.used_codes.add("used")
    response = submit_callback(
        configured_hospital.lin, authorize(request_url(configured_hospital.lin), wechat), code=code
    )
    assert (response.status, response.error) == (400, "code：无效或已使用，请重新授权")
    assert find_openid(configured_hospital.lin) == ""


def test_snapshot_page_is_rejected(configured_hospital: Hospital, wechat: WeChat) -> None:
    """WeChat makes up an openid for it, which can neither receive messages nor pay."""
    bind(configured_hospital.lin, wechat)
    wechat.snapshot_openids.add(WANG_OPENID)
    response = submit_callback(
        configured_hospital.lin, authorize(request_url(configured_hospital.lin), wechat, WANG_OPENID)
    )
    assert (response.status, response.error) == (400, "code：当前为网页快照，请点击右下角“使用完整服务”后重新授权")
    assert find_openid(configured_hospital.lin) == LIN_OPENID


def test_expired_code_returns_400(configured_hospital: Hospital, wechat: WeChat) -> None:
    wechat.failures["/sns/oauth2/access_token"] = 42003
    assert (
        submit_callback(configured_hospital.lin, authorize(request_url(configured_hospital.lin), wechat)).status == 400
    )


def test_failure_of_wechat_returns_503_and_binds_nothing(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    wechat.failures["/sns/oauth2/access_token"] = 40125
    assert (
        submit_callback(configured_hospital.lin, authorize(request_url(configured_hospital.lin), wechat)).error
        == "公众号设置的 app_secret 不正确，请医院管理员修改（微信错误码 40125）"
    )
    wechat.failures.clear()
    monkeypatch.setattr(wechat_api, "TIMEOUT_SECONDS", 0.2)
    wechat.accepting.clear()
    assert (
        submit_callback(configured_hospital.lin, authorize(request_url(configured_hospital.lin), wechat)).status == 503
    )
    wechat.accepting.set()
    assert find_openid(configured_hospital.lin) == ""
    bind(configured_hospital.lin, wechat)


def test_callback_may_be_repeated_after_a_failure_of_wechat(configured_hospital: Hospital, wechat: WeChat) -> None:
    query = authorize(request_url(configured_hospital.lin), wechat)
    wechat.failures["/sns/oauth2/access_token"] = 503
    assert submit_callback(configured_hospital.lin, query).status == 503
    wechat.failures.clear()
    assert submit_callback(configured_hospital.lin, query).data == {"open_id": LIN_OPENID}
    assert submit_callback(configured_hospital.lin, query).status == 400


def test_openid_moves_to_the_user_who_bound_it_last(configured_hospital: Hospital, wechat: WeChat) -> None:
    """A phone that changed hands does not receive messages about the previous user's visits."""
    bind(configured_hospital.lin, wechat)
    bind(configured_hospital.wang, wechat, LIN_OPENID)
    assert (find_openid(configured_hospital.lin), find_openid(configured_hospital.wang)) == ("", LIN_OPENID)


def test_concurrent_bindings_of_one_openid_leave_one(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [
        partial(submit_callback, one, authorize(request_url(one), wechat))
        for one in (configured_hospital.lin, configured_hospital.wang)
    ]
    responses = run_overlapping(monkeypatch, openids, "_upsert", first, second)
    assert [one.status for one in responses] == [200, 200]
    assert (find_openid(configured_hospital.lin), find_openid(configured_hospital.wang)) == ("", LIN_OPENID)


def test_messages_go_to_the_newest_openid_of_a_valid_session(configured_hospital: Hospital, wechat: WeChat) -> None:
    phone = create_second_session(configured_hospital.lin)
    bind(configured_hospital.lin, wechat, LIN_OPENID)
    bind(phone, wechat, WANG_OPENID)
    assert find_openid(configured_hospital.lin) == WANG_OPENID
    tokens.revoke_by_hash(tokens.hash_token(phone.token))
    assert find_openid(configured_hospital.lin) == LIN_OPENID
    tokens.revoke_by_hash(tokens.hash_token(configured_hospital.lin.token))
    assert find_openid(configured_hospital.lin) == ""


def test_revocation_of_a_key_ends_the_openids_of_its_sessions(
    configured_hospital: Hospital, lin: Person, wechat: WeChat
) -> None:
    bind(lin, wechat)
    of_key = create_session_of_key(configured_hospital, lin)
    bind(of_key, wechat, WANG_OPENID)
    assert find_openid(lin) == WANG_OPENID
    [key] = internal_keys.list_all(mysql.autocommit, lin.tenant_id)
    internal_keys.revoke(lin.tenant_id, key.key_id, configured_hospital.admin.principal)
    assert find_openid(lin) == LIN_OPENID
    assert [row["openid"].decode() for row in list_rows("wechat_openids", configured_hospital)] == [LIN_OPENID]
    late = (lin.tenant_id, lin.user_id, tokens.hash_token(of_key.token), APP_ID, WANG_OPENID)
    mysql.run_transaction(lambda tx: openids.bind(tx, *late, key_id=key.key_id))  # of a request that had begun before
    assert find_openid(lin) == LIN_OPENID


def test_openid_of_an_expired_session_is_unused(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind(configured_hospital.lin, wechat)
    later = clock.now() + 366 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    assert find_openid(configured_hospital.lin) == ""


def test_openid_is_bound_per_hospital_and_account(
    configured_hospital: Hospital, other_hospital: Hospital, wechat: WeChat
) -> None:
    configure(other_hospital)
    bind(configured_hospital.lin, wechat)
    bind(other_hospital.lin, wechat)
    assert (
        find_openid(configured_hospital.lin),
        find_openid(other_hospital.lin),
        find_openid(configured_hospital.lin, "wx0123456789abcdef"),
    ) == (LIN_OPENID, LIN_OPENID, "")


@pytest.mark.parametrize("path", [URL_PATH, CALLBACK_PATH])
def test_only_patients_are_allowed(configured_hospital: Hospital, path: str) -> None:
    for person in (configured_hospital.chen, configured_hospital.desk, configured_hospital.admin):
        assert get(path, person.token).status == 403
    assert get(path).status == 401


def test_hospital_without_account_returns_404(hospital: Hospital) -> None:
    assert get(URL_PATH, hospital.lin.token).status == 404
    assert get(CALLBACK_PATH, hospital.lin.token, code="a", state="b").status == 404


@pytest.mark.parametrize("page", ["https://evil.example/", "http://h5.renhe.example/", "x", "a" * 2049])
def test_foreign_redirect_uri_is_rejected(configured_hospital: Hospital, page: str) -> None:
    response = get(URL_PATH, configured_hospital.lin.token, redirect_uri=page)
    assert (response.status, response.error.partition("：")[0]) == (400, "redirect_uri")


@pytest.mark.parametrize(
    ("field", "value"),
    [*(("code", one) for one in ("", "a b", "a" * 513)), *(("state", one) for one in ("", "a-b", "é", "a" * 129))],
)
def test_invalid_field_is_named(configured_hospital: Hospital, field: str, value: str) -> None:
    query: dict[str, Any] = {"code": "a", "state": "b", field: value}
    response = get(CALLBACK_PATH, configured_hospital.lin.token, **query)
    assert (response.status, response.error.partition("：")[0]) == (400, field)
