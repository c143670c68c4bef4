"""wechat/oauth: how a session learns who its visitor is at WeChat."""

from functools import partial
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, wechat_api
from chalicelib.identity import tokens
from chalicelib.wechat_account import openids
from devstack.fakes import wechat as fake
from devstack.fakes.wechat import WeChat
from tests.support.client import Answer, get
from tests.support.factories import Hospital, Person
from tests.support.threads import run_in_threads
from tests.support.wechat_client import APP_ID, SITE_URL, WECHAT_PATH, configure, run_overlapping

pytestmark = pytest.mark.store

URL, CALLBACK = f"{WECHAT_PATH}/oauth/url", f"{WECHAT_PATH}/oauth/callback"
PAGE = f"{SITE_URL}/book?dept=1"
LINS, WANGS = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "oUpF8uMEb4qRXf22hE3X68TekukE"


def begin(person: Person, **query: Any) -> str:
    return str(get(URL, person.token, **query).data["url"])


def returned(url: str, wechat: WeChat, openid: str = LINS) -> dict[str, str]:
    """What WeChat gives to the page when somebody has been there."""
    return dict(parse_qsl(urlsplit(fake.follow_oauth_redirect(url, wechat, openid)).query))


def finish(person: Person, told: dict[str, str], **fields: Any) -> Answer:
    return get(CALLBACK, person.token, **{name: told[name] for name in ("code", "state")} | fields)


def bind(person: Person, wechat: WeChat, openid: str = LINS) -> None:
    assert finish(person, returned(begin(person), wechat, openid)).data == {"open_id": openid}


def bound(person: Person, app_id: str = APP_ID) -> str:
    """The openid that messages to the account go to."""
    return openids.find_for_account(mysql.autocommit, person.tenant_id, person.user_id, app_id)


def second_session(person: Person) -> Person:
    return person.with_token(tokens.issue(person.tenant_id, person.principal, "patient"))


def test_a_page_is_sent_to_wechat_and_back(configured_hospital: Hospital, lin: Person, wechat: WeChat) -> None:
    url = begin(lin, redirect_uri=f"{PAGE}#/x")
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    assert (f"{parts.scheme}://{parts.netloc}{parts.path}", parts.fragment) == (
        f"{wechat.url}/connect/oauth2/authorize",
        "wechat_redirect",
    )
    assert list(query) == ["appid", "redirect_uri", "response_type", "scope", "state"]
    assert (query["appid"], query["redirect_uri"], query["scope"]) == ([APP_ID], [PAGE], ["snsapi_base"])
    assert query["state"][0].isalnum()
    assert configured_hospital.tenant_id == lin.tenant_id
    assert finish(lin, returned(url, wechat)).data == {"open_id": LINS}
    assert bound(lin) == LINS


def test_without_a_page_it_comes_back_to_the_first(configured_hospital: Hospital, wechat: WeChat) -> None:
    assert parse_qs(urlsplit(begin(configured_hospital.lin)).query)["redirect_uri"] == [SITE_URL]
    assert wechat.calls.total() == 0


def test_a_state_is_good_once(configured_hospital: Hospital, wechat: WeChat) -> None:
    told = returned(begin(configured_hospital.lin), wechat)
    assert finish(configured_hospital.lin, told).status == 200
    for code in (told["code"], wechat.issue_code(APP_ID, WANGS)):
        answer = finish(configured_hospital.lin, told, code=code)
        assert (answer.status, answer.error.partition("：")[0]) == (400, "state")
    assert bound(configured_hospital.lin) == LINS


def test_of_two_who_hand_it_over_at_once_one_is_known(configured_hospital: Hospital, wechat: WeChat) -> None:
    told = returned(begin(configured_hospital.lin), wechat)
    assert sorted(one.status for one in run_in_threads([partial(finish, configured_hospital.lin, told)] * 2)) == [
        200,
        400,
    ]
    assert wechat.calls["/sns/oauth2/access_token"] == 1


def test_a_state_is_good_for_the_session_that_began(
    configured_hospital: Hospital, other_hospital: Hospital, wechat: WeChat
) -> None:
    """Else somebody could send another to WeChat, and have that one's WeChat in their own account."""
    configure(other_hospital)
    told = returned(begin(configured_hospital.lin), wechat)
    again = Person(configured_hospital.tenant_id, configured_hospital.lin.user_id, "")
    for person in (configured_hospital.wang, other_hospital.lin, again):
        assert finish(person, told).status == 400
        assert bound(person) == ""
    assert finish(configured_hospital.lin, told).status == 200


def test_a_state_that_nobody_gave_out_or_that_is_old_is_none(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = returned(begin(configured_hospital.lin), wechat)
    assert finish(configured_hospital.lin, told, state="0" * 32).status == 400
    later = clock.now() + openids.STATE_LIFETIME + clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    assert finish(configured_hospital.lin, told).status == 400
    assert wechat.calls["/sns/oauth2/access_token"] == 0


def test_a_state_is_not_good_for_another_account_of_the_hospital(configured_hospital: Hospital, wechat: WeChat) -> None:
    told = returned(begin(configured_hospital.lin), wechat)
    configure(configured_hospital, app_id="wx0123456789abcdef")
    assert finish(configured_hospital.lin, told).status == 400


def test_the_database_holds_no_state(configured_hospital: Hospital) -> None:
    state = parse_qs(urlsplit(begin(configured_hospital.lin)).query)["state"][0]
    kept = mysql.autocommit.fetch_all("SELECT * FROM wechat_states")
    assert kept
    assert state not in str(kept)


@pytest.mark.parametrize("code", ["nobodys", "used"])
def test_a_code_that_wechat_does_not_know_is_refused(configured_hospital: Hospital, wechat: WeChat, code: str) -> None:
    wechat.codes["used"] = (APP_ID, LINS)
    wechat.used_codes.add("used")
    answer = finish(configured_hospital.lin, returned(begin(configured_hospital.lin), wechat), code=code)
    assert (answer.status, answer.error) == (400, "code：无效或已使用，请重新授权")
    assert bound(configured_hospital.lin) == ""


def test_a_page_that_is_only_looked_at_knows_nobody(configured_hospital: Hospital, wechat: WeChat) -> None:
    """WeChat makes up an openid for it: what is sent there reaches nobody, and it can pay for nothing."""
    bind(configured_hospital.lin, wechat)
    wechat.snapshot_openids.add(WANGS)
    answer = finish(configured_hospital.lin, returned(begin(configured_hospital.lin), wechat, WANGS))
    assert (answer.status, answer.error) == (400, "code：当前为网页快照，请点击右下角“使用完整服务”后重新授权")
    assert bound(configured_hospital.lin) == LINS


def test_a_code_that_is_too_old_is_the_callers_fault(configured_hospital: Hospital, wechat: WeChat) -> None:
    wechat.failures["/sns/oauth2/access_token"] = 42003
    assert finish(configured_hospital.lin, returned(begin(configured_hospital.lin), wechat)).status == 400


def test_a_wechat_that_fails_is_503_and_binds_nothing(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    wechat.failures["/sns/oauth2/access_token"] = 40125
    assert (
        finish(configured_hospital.lin, returned(begin(configured_hospital.lin), wechat)).error
        == "微信服务暂时不可用（微信错误码 40125）"
    )
    wechat.failures.clear()
    monkeypatch.setattr(wechat_api, "TIMEOUT_SECONDS", 0.2)
    wechat.accepting.clear()
    assert finish(configured_hospital.lin, returned(begin(configured_hospital.lin), wechat)).status == 503
    wechat.accepting.set()
    assert bound(configured_hospital.lin) == ""
    bind(configured_hospital.lin, wechat)


def test_a_wechat_belongs_to_who_used_it_last(configured_hospital: Hospital, wechat: WeChat) -> None:
    """A telephone that changed hands tells nobody of the other's visits."""
    bind(configured_hospital.lin, wechat)
    bind(configured_hospital.wang, wechat, LINS)
    assert (bound(configured_hospital.lin), bound(configured_hospital.wang)) == ("", LINS)


def test_two_accounts_that_bind_one_wechat_at_once_are_one(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [
        partial(finish, one, returned(begin(one), wechat))
        for one in (configured_hospital.lin, configured_hospital.wang)
    ]
    answers = run_overlapping(monkeypatch, openids, "_upsert", first, second)
    assert [one.status for one in answers] == [200, 200]
    assert (bound(configured_hospital.lin), bound(configured_hospital.wang)) == ("", LINS)


def test_an_account_is_told_at_its_newest_wechat_that_is_signed_in(
    configured_hospital: Hospital, wechat: WeChat
) -> None:
    phone = second_session(configured_hospital.lin)
    bind(configured_hospital.lin, wechat, LINS)
    bind(phone, wechat, WANGS)
    assert bound(configured_hospital.lin) == WANGS
    tokens.revoke_by_hash(tokens.hash_token(phone.token))
    assert bound(configured_hospital.lin) == LINS
    tokens.revoke_by_hash(tokens.hash_token(configured_hospital.lin.token))
    assert bound(configured_hospital.lin) == ""


def test_a_session_that_has_run_out_is_not_told_of_anything(
    configured_hospital: Hospital, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind(configured_hospital.lin, wechat)
    later = clock.now() + 366 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    assert bound(configured_hospital.lin) == ""


def test_each_hospital_knows_its_own(configured_hospital: Hospital, other_hospital: Hospital, wechat: WeChat) -> None:
    configure(other_hospital)
    bind(configured_hospital.lin, wechat)
    bind(other_hospital.lin, wechat)
    assert (
        bound(configured_hospital.lin),
        bound(other_hospital.lin),
        bound(configured_hospital.lin, "wx0123456789abcdef"),
    ) == (LINS, LINS, "")


@pytest.mark.parametrize("path", [URL, CALLBACK])
def test_only_patients_ask(configured_hospital: Hospital, path: str) -> None:
    for person in (configured_hospital.chen, configured_hospital.desk, configured_hospital.admin):
        assert get(path, person.token).status == 403
    assert get(path).status == 401


def test_a_hospital_without_an_account_sends_nobody(hospital: Hospital) -> None:
    assert get(URL, hospital.lin.token).status == 404
    assert get(CALLBACK, hospital.lin.token, code="a", state="b").status == 404


@pytest.mark.parametrize("page", ["https://evil.example/", "http://h5.renhe.example/", "x", "a" * 2049])
def test_nobody_is_sent_back_to_another_page(configured_hospital: Hospital, page: str) -> None:
    answer = get(URL, configured_hospital.lin.token, redirect_uri=page)
    assert (answer.status, answer.error.partition("：")[0]) == (400, "redirect_uri")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [*(("code", one) for one in ("", "a b", "a" * 513)), *(("state", one) for one in ("", "a-b", "é", "a" * 129))],
)
def test_a_bad_field_is_named(configured_hospital: Hospital, field: str, wrong: str) -> None:
    query: dict[str, Any] = {"code": "a", "state": "b", field: wrong}
    answer = get(CALLBACK, configured_hospital.lin.token, **query)
    assert (answer.status, answer.error.partition("：")[0]) == (400, field)
