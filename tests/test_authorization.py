"""Who comes no further than the door of each endpoint: asked with nothing, so whoever may is told what is missing."""

import pytest

from chalicelib.accounts.routes import routes as accounts
from chalicelib.booking.routes import routes as booking
from chalicelib.http.routing import Endpoint, OptionalTenantCaller
from chalicelib.identity.callers import Role
from chalicelib.inbox.routes import routes as inbox
from chalicelib.payment.routes import routes as payment
from chalicelib.staff.routes import routes as staff
from chalicelib.wechat.routes import routes as wechat
from tests.support.client import Answer, call
from tests.support.factories import Hospital, Person

ENDPOINTS = [one for routes in (accounts, staff, booking, payment, wechat, inbox) for one in routes.endpoints]
OPEN = [one for one in ENDPOINTS if Role.PUBLIC in one.callers and one.parameters["caller"] != OptionalTenantCaller]
CLOSED = [one for one in ENDPOINTS if Role.PUBLIC not in one.callers]


def named(endpoint: Endpoint) -> str:
    return endpoint.view.__name__


each = pytest.mark.parametrize("endpoint", CLOSED, ids=named)
each_open = pytest.mark.parametrize("endpoint", OPEN, ids=named)


def asked(endpoint: Endpoint, token: str = "", **headers: str) -> Answer:
    return call(endpoint.method, endpoint.path, token, headers, body="{}" if endpoint.method == "POST" else None)


def people(hospital: Hospital) -> dict[str, Person]:
    return {
        "patient": hospital.lin,
        "doctor": hospital.chen,
        "service_staff": hospital.desk,
        "admin": hospital.admin,
    }


@each
def test_nobody_enters_without_a_token(endpoint: Endpoint) -> None:
    for token in ("", "nobody's"):
        answer = asked(endpoint, token)
        assert (answer.status, answer.code) == (401, 10101)


@each
def test_each_kind_of_person_enters_where_the_route_says(endpoint: Endpoint, hospital: Hospital) -> None:
    statuses = {kind: asked(endpoint, person.token).status for kind, person in people(hospital).items()}
    assert {kind for kind, status in statuses.items() if status in (200, 400, 404)} == endpoint.callers - {Role.SERVICE}
    assert {statuses[kind] for kind in statuses.keys() - endpoint.callers} <= {403}


@each
def test_a_token_of_one_hospital_is_refused_by_another(
    endpoint: Endpoint, hospital: Hospital, other_hospital: Hospital
) -> None:
    for person in people(hospital).values():
        assert asked(endpoint, person.token, tenantId=str(other_hospital.tenant_id)).status == 403


@each_open
def test_a_visitor_is_somewhere(endpoint: Endpoint, hospital: Hospital, other_hospital: Hospital) -> None:
    assert asked(endpoint, "nobody's", tenantId=str(hospital.tenant_id)).status in (200, 400)
    for headers in ({}, {"tenantId": "0"}, {"tenantId": "x"}):
        answer = asked(endpoint, **headers)
        assert (answer.status, answer.error.partition("：")[0]) == (400, "tenantId")
    assert asked(endpoint, hospital.lin.token, tenantId=str(other_hospital.tenant_id)).status == 403
