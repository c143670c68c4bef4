"""The tenant of a request without a token."""

import uuid
from collections.abc import Callable

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import tenants
from tests.support.client import ApiResponse, call, get
from tests.support.factories import Hospital, Person
from tests.support.fast_passwords import fast_hashes

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes", "everyone")

PATH = "/pati_service/manager_service/login"
CREDENTIALS = '{"phone": "13900000001", "password": "Demo-12345"}'


def sign_in(**headers: str) -> ApiResponse:
    return call("POST", PATH, headers=headers, body=CREDENTIALS)


@pytest.fixture
def everyone(hospital: Hospital, other_hospital: Hospital) -> list[Person]:
    return [*hospital.everyone(), *other_hospital.everyone()]


@pytest.fixture
def add_host() -> Callable[[Hospital], str]:
    """Return a function that assigns a new host to a hospital."""

    def add_new_host(hospital: Hospital) -> str:
        host = f"{uuid.uuid4()}.example.com"
        sql = "INSERT INTO tenant_hosts (host, tenant_id) VALUES (%(host)s, %(tenant_id)s)"
        mysql.autocommit.execute(sql, host=host.encode(), tenant_id=hospital.tenant_id)
        return host

    return add_new_host


def test_header_names_the_hospital(hospital: Hospital, other_hospital: Hospital) -> None:
    assert sign_in(tenantId=str(hospital.tenant_id)).data["userId"] == str(hospital.chen.user_id)
    assert sign_in(tenantid=str(other_hospital.tenant_id)).data["userId"] == str(other_hospital.chen.user_id)


def test_host_names_the_hospital(hospital: Hospital, add_host: Callable[[Hospital], str]) -> None:
    host = add_host(hospital)
    for spelling in (host, host.upper(), f"{host}:8000"):
        assert sign_in(Host=spelling).data["userId"] == str(hospital.chen.user_id)


def test_header_takes_precedence_over_the_host(
    hospital: Hospital, other_hospital: Hospital, add_host: Callable[[Hospital], str]
) -> None:
    response = sign_in(Host=add_host(hospital), tenantId=str(other_hospital.tenant_id))
    assert response.data["userId"] == str(other_hospital.chen.user_id)


@pytest.mark.usefixtures("other_hospital", "hospital")
def test_unknown_hospital_is_a_bad_request() -> None:
    response = sign_in(Host="unknown.example.com")
    assert (response.status, response.code, response.error) == (400, 10001, tenants.MISSING_TENANT_TEXT)


@pytest.mark.usefixtures("other_hospital")
def test_hospital_may_be_named_in_the_query(hospital: Hospital, other_hospital: Hospital) -> None:
    path = "/pati_service/tenant_service/depts"

    def list_departments(named: int, **headers: str) -> ApiResponse:
        return get(path, "", {"Host": "unknown.example.com", **headers}, tenantId=named)

    assert list_departments(hospital.tenant_id).status == 200
    assert list_departments(hospital.tenant_id, tenantId=str(hospital.tenant_id)).status == 200
    assert list_departments(hospital.tenant_id, token=hospital.lin.token).status == 200
    assert list_departments(999_999_999).error == "tenantId：租户不存在"
    conflicting = list_departments(other_hospital.tenant_id, tenantId=str(hospital.tenant_id))
    assert (conflicting.status, conflicting.error) == (403, "租户前后不一致")
    foreign = list_departments(other_hospital.tenant_id, token=hospital.lin.token)
    assert (foreign.status, foreign.error) == (403, "租户与登录身份不符")


def test_only_hospital_need_not_be_named(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "_find_only_tenant", lambda _: hospital.tenant_id)
    assert sign_in(Host="unknown.example.com").data["userId"] == str(hospital.chen.user_id)
    assert sign_in(tenantId="999999999999").status == 400


def test_only_tenant_is_found_if_there_is_one() -> None:
    class Tenants(mysql.Tx):
        """A table of `count` tenants."""

        def __init__(self, count: int) -> None:
            self.count = count

        def fetch_all(self, sql: str, **params: object) -> list[mysql.Row]:  # noqa: ARG002  # mysql.Tx's signature
            return [{"tenant_id": n} for n in range(1, 1 + self.count)]

    assert [tenants._find_only_tenant(Tenants(count)) for count in range(3)] == [None, 1, None]


@pytest.mark.parametrize("named", ["999999999999", "9" * 30, "-1", "1.0", "一", "²", "x", "1 OR 1=1"])
def test_nonexistent_tenant_id_is_a_bad_request(named: str) -> None:
    response = sign_in(tenantId=named)
    assert (response.status, response.code, response.error) == (400, 10001, "tenantId：租户不存在")


@pytest.mark.parametrize("empty", ["", " ", "0", "null", "undefined"])
@pytest.mark.usefixtures("hospital", "other_hospital")
def test_empty_tenant_id_is_missing(empty: str) -> None:
    assert sign_in(tenantId=empty).error == "tenantId：必填，放在请求头或查询参数 tenantId 中均可"


@pytest.mark.parametrize("host", ["", ":", "[::1]:8000", "医院.example.com", "\ud800"])
@pytest.mark.usefixtures("hospital", "other_hospital")
def test_malformed_host_belongs_to_no_hospital(host: str) -> None:
    assert sign_in(Host=host).status == 400
