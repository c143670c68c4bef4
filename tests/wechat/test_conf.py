"""wechat/conf and wechat/menu_url: the configuration of the official account."""

from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.crypto import field_encryption
from chalicelib.people import tenants
from chalicelib.wechat_account import account
from tests.support.booking_client import list_rows
from tests.support.client import get, post
from tests.support.factories import Hospital
from tests.support.threads import run_in_threads
from tests.support.wechat_client import (
    APP_ID,
    CONF_FIELDS,
    SECRET,
    SITE_URL,
    WECHAT_PATH,
    configure,
    get_conf,
    run_overlapping,
)

pytestmark = pytest.mark.store

MASKED_SECRET = f"********{SECRET[-4:]}"


def get_stored_secret(hospital: Hospital) -> str:
    return account.require(hospital.tenant_id).secret


def test_all_fields_are_empty_before_configuration(hospital: Hospital) -> None:
    assert get_conf(hospital.admin) == {"app_id": "", "app_secret": "", "auth_url": ""}
    urls = get(f"{WECHAT_PATH}/menu_url", hospital.admin.token).data
    assert urls == {"book_url": "", "personal_center_url": "", "chat_url": ""}


def test_saved_secret_is_shown_masked(hospital: Hospital) -> None:
    assert configure(hospital).data is None
    assert get_conf(hospital.admin) == {"app_id": APP_ID, "app_secret": MASKED_SECRET, "auth_url": SITE_URL}
    assert get_stored_secret(hospital) == SECRET


def test_secret_is_stored_encrypted(hospital: Hospital, other_hospital: Hospital) -> None:
    configure(hospital)
    [row] = list_rows("bas_tenant_wechat_mp", hospital)
    assert SECRET.encode() not in row["secret_sealed"]
    with pytest.raises(field_encryption.DecryptionError):
        field_encryption.decrypt(
            other_hospital.tenant_id, account.TABLE, other_hospital.tenant_id, row["secret_sealed"]
        )


def test_masked_secret_keeps_the_stored_one(hospital: Hospital) -> None:
    configure(hospital)
    assert configure(hospital, app_secret=MASKED_SECRET, auth_url="https://new.renhe.example").status == 200
    assert (get_stored_secret(hospital), get_conf(hospital.admin)["auth_url"]) == (SECRET, "https://new.renhe.example")


def test_new_secret_replaces_the_old_one(hospital: Hospital) -> None:
    configure(hospital)
    configure(hospital, app_secret="short")
    assert (get_stored_secret(hospital), get_conf(hospital.admin)["app_secret"]) == ("short", "********")


def test_masked_secret_without_a_stored_one_is_rejected(hospital: Hospital) -> None:
    response = configure(hospital, app_secret="********")
    assert (response.status, response.error) == (400, "app_secret：必填")
    assert list_rows("bas_tenant_wechat_mp", hospital) == []


def test_saving_twice_keeps_one_row(hospital: Hospital) -> None:
    configure(hospital)
    configure(hospital)
    assert len(list_rows("bas_tenant_wechat_mp", hospital)) == 1
    assert get_stored_secret(hospital) == SECRET


def test_concurrent_saves_do_not_mix_configurations(hospital: Hospital) -> None:
    both = [{"app_id": f"wx000000000000000{n}", "app_secret": f"secret-number-{n}-of-2"} for n in (1, 2)]
    assert [one.status for one in run_in_threads([partial(configure, hospital, **one) for one in both])] == [200, 200]
    found = account.require(hospital.tenant_id)
    assert {"app_id": found.app_id, "app_secret": found.secret} in both


def test_concurrent_masked_save_does_not_restore_the_old_secret(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(hospital)
    change_secret = partial(configure, hospital, app_secret="another-secret-of-theirs")
    keep_secret = partial(configure, hospital, app_secret=MASKED_SECRET, auth_url="https://new.renhe.example")
    assert [one.status for one in run_overlapping(monkeypatch, account, "save", change_secret, keep_secret)] == [
        200,
        200,
    ]
    assert (get_stored_secret(hospital), get_conf(hospital.admin)["auth_url"]) == (
        "another-secret-of-theirs",
        "https://new.renhe.example",
    )


def test_configuration_belongs_to_one_hospital(hospital: Hospital, other_hospital: Hospital) -> None:
    configure(hospital)
    assert get_conf(other_hospital.admin)["app_id"] == ""
    configure(other_hospital, app_id="wx0123456789abcdef", auth_url="https://h5.elsewhere.example")
    assert get_conf(hospital.admin)["app_id"] == APP_ID


def test_domain_of_another_hospital_is_rejected(hospital: Hospital, other_hospital: Hospital) -> None:
    host = f"h5-{other_hospital.tenant_id}.example"
    mysql.run_transaction(lambda tx: tenants.add_host(tx, other_hospital.tenant_id, host))
    response = configure(hospital, auth_url=f"https://{host.upper()}/h5")
    assert (response.status, response.error) == (409, "auth_url：该域名属于其他租户")
    assert list_rows("bas_tenant_wechat_mp", hospital) == []
    assert configure(other_hospital, auth_url=f"https://{host}").status == 200


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_admins_are_allowed(hospital: Hospital, kind: str) -> None:
    person = getattr(hospital, kind)
    assert get(f"{WECHAT_PATH}/conf", person.token).status == 403
    assert post(f"{WECHAT_PATH}/conf", person.token, **CONF_FIELDS).status == 403
    assert get(f"{WECHAT_PATH}/menu_url", person.token).status == 403
    assert post(f"{WECHAT_PATH}/conf", **CONF_FIELDS).status == 401


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("app_id", one) for one in ("", "wx", "d930ea5d5a258f4f", "wx d930ea5d5a258", "wx" + "a" * 31, 12, None)),
        *(("app_secret", one) for one in ("", " ", "a b", "a*b", "***", "秘密", "a" * 129, 12, None)),
        *(("app_secret", one) for one in ("****abcde", "****a*b", "********cdef0123")),
        *(("auth_url", one) for one in ("", "http://h5.renhe.example", "javascript:alert(1)", "h5", "https://", None)),
        *(("auth_url", f"https://h5.renhe.example{one}") for one in ("?a=1", "#/", ":8443", "/a b", "/\n", "\n")),
        *(("auth_url", one) for one in ("https://a@h5.renhe.example", "https://-a.example", "https://医院.example")),
        ("auth_url", f"https://{'a' * 60}.example/{'b' * 200}"),
    ],
)
def test_invalid_field_is_named_and_nothing_changes(hospital: Hospital, field: str, value: Any) -> None:
    configure(hospital)
    response = configure(hospital, **{field: value})
    assert (response.status, response.error.partition("：")[0]) == (400, field)
    missing = {name: conf_value for name, conf_value in CONF_FIELDS.items() if name != field}
    assert post(f"{WECHAT_PATH}/conf", hospital.admin.token, **missing).error == f"{field}：必填"
    assert (get_stored_secret(hospital), get_conf(hospital.admin)["auth_url"]) == (SECRET, SITE_URL)


@pytest.mark.parametrize("auth_url", [SITE_URL, f"{SITE_URL}/", "h5.renhe.example"])
def test_menu_urls_lead_to_the_pages(hospital: Hospital, auth_url: str) -> None:
    configure(hospital, auth_url=auth_url)
    assert get_conf(hospital.admin)["auth_url"] == auth_url
    assert get(f"{WECHAT_PATH}/menu_url", hospital.admin.token).data == {
        "book_url": f"{SITE_URL}/book",
        "personal_center_url": f"{SITE_URL}/personal",
        "chat_url": f"{SITE_URL}/chat",
    }
