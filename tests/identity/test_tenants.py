"""Which hospital a visitor without a token is in."""

import uuid
from collections.abc import Callable

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import tenants
from tests.support.client import Answer, call
from tests.support.factories import Hospital, Person
from tests.support.fast_passwords import fast_hashes

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes", "everyone")

PATH = "/pati_service/manager_service/login"
WORDS = '{"phone": "13900000001", "password": "Demo-12345"}'


def sign_in(**headers: str) -> Answer:
    return call("POST", PATH, headers=headers, body=WORDS)


@pytest.fixture
def everyone(hospital: Hospital, other_hospital: Hospital) -> list[Person]:
    return [*hospital.everyone(), *other_hospital.everyone()]


@pytest.fixture
def register() -> Callable[[Hospital], str]:
    """Give a hospital a host of its own."""

    def registered(hospital: Hospital) -> str:
        host = f"{uuid.uuid4()}.example.com"
        sql = "INSERT INTO tenant_hosts (host, tenant_id) VALUES (%(host)s, %(tenant_id)s)"
        mysql.autocommit.execute(sql, host=host.encode(), tenant_id=hospital.tenant_id)
        return host

    return registered


def test_a_visitor_names_the_hospital(hospital: Hospital, other_hospital: Hospital) -> None:
    assert sign_in(tenantId=str(hospital.tenant_id)).data["userId"] == str(hospital.chen.user_id)
    assert sign_in(tenantid=str(other_hospital.tenant_id)).data["userId"] == str(other_hospital.chen.user_id)


def test_the_host_names_the_hospital(hospital: Hospital, register: Callable[[Hospital], str]) -> None:
    host = register(hospital)
    for spelled in (host, host.upper(), f"{host}:8000"):
        assert sign_in(Host=spelled).data["userId"] == str(hospital.chen.user_id)


def test_the_header_rules_over_the_host(
    hospital: Hospital, other_hospital: Hospital, register: Callable[[Hospital], str]
) -> None:
    answer = sign_in(Host=register(hospital), tenantId=str(other_hospital.tenant_id))
    assert answer.data["userId"] == str(other_hospital.chen.user_id)


@pytest.mark.usefixtures("other_hospital", "hospital")
def test_where_nothing_tells_the_visitor_must() -> None:
    answer = sign_in(Host="unknown.example.com")
    assert (answer.status, answer.code, answer.error) == (400, 10001, "tenantId：必填")


def test_the_only_hospital_there_is_needs_no_name(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "_find_only_tenant", lambda _: hospital.tenant_id)
    assert sign_in(Host="unknown.example.com").data["userId"] == str(hospital.chen.user_id)
    assert sign_in(tenantId="999999999999").status == 400


def test_the_only_hospital_is_the_only_row() -> None:
    class Tenants(mysql.Tx):
        """A table of `count` tenants."""

        def __init__(self, count: int) -> None:
            self.count = count

        def fetch_all(self, sql: str, **params: object) -> list[mysql.Row]:  # noqa: ARG002  # mysql.Tx's signature
            return [{"tenant_id": n} for n in range(1, 1 + self.count)]

    assert [tenants._find_only_tenant(Tenants(count)) for count in range(3)] == [None, 1, None]


@pytest.mark.parametrize("named", ["0", "999999999999", "9" * 30, "-1", "1.0", "一", "²", "x", " ", "1 OR 1=1"])
def test_a_hospital_that_is_not_there_is_refused_by_name(named: str) -> None:
    answer = sign_in(tenantId=named)
    assert (answer.status, answer.code, answer.error) == (400, 10001, "tenantId：租户不存在")


@pytest.mark.parametrize("host", ["", ":", "[::1]:8000", "医院.example.com", "\ud800"])
@pytest.mark.usefixtures("hospital", "other_hospital")
def test_an_odd_host_is_nobodys(host: str) -> None:
    assert sign_in(Host=host).status == 400
