"""Who comes no further than the door: asked with nothing, so whoever may is told what is missing."""

import pytest

from chalicelib.accounts.routes import routes
from chalicelib.identity.callers import PUBLIC
from chalicelib.web import Endpoint
from tests.people import Hospital
from tests.wire import call

CLOSED = [one for one in routes.endpoints if PUBLIC not in one.callers]
each = pytest.mark.parametrize("endpoint", CLOSED, ids=lambda one: one.view.__name__)


def status(endpoint: Endpoint, token: str, **headers: str) -> int:
    body = "{}" if endpoint.method == "POST" else None
    return call(endpoint.method, endpoint.path, token, headers, body=body).status


@each
def test_nobody_enters_without_a_token(endpoint: Endpoint) -> None:
    assert status(endpoint, "") == status(endpoint, "nobody's") == 401


@each
def test_patients_enter_and_nobody_else(endpoint: Endpoint, hospital: Hospital) -> None:
    for person in (hospital.chen, hospital.desk, hospital.admin):
        assert status(endpoint, person.token) == 403
    assert status(endpoint, hospital.lin.token) in (200, 400)


@each
def test_a_token_of_one_hospital_is_refused_by_another(
    endpoint: Endpoint, hospital: Hospital, elsewhere: Hospital
) -> None:
    assert status(endpoint, hospital.lin.token, tenantId=str(elsewhere.tenant_id)) == 403
