"""Who comes no further than the door of each endpoint: asked with nothing, so whoever may is told what is missing."""

import pytest

from chalicelib.booking.routes import routes
from chalicelib.identity.callers import PUBLIC
from chalicelib.web import Endpoint
from tests.people import Hospital, Person
from tests.wire import Answer, call

CLOSED = [one for one in routes.endpoints if PUBLIC not in one.callers]
each = pytest.mark.parametrize("endpoint", CLOSED, ids=lambda one: one.view.__name__)


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
    entered = {kind for kind, person in people(hospital).items() if asked(endpoint, person.token).status != 403}
    assert entered == endpoint.callers


@each
def test_a_token_of_one_hospital_is_refused_by_another(
    endpoint: Endpoint, hospital: Hospital, elsewhere: Hospital
) -> None:
    for person in people(hospital).values():
        assert asked(endpoint, person.token, tenantId=str(elsewhere.tenant_id)).status == 403
