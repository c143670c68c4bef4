"""API Gateway's own responses have the format of ours."""

import json

from chalicelib import errors
from chalicelib.http import routing
from tests.bundle.conftest import Package
from tests.support.cloudformation import Template, find_operations

# All types: docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
KINDS = {
    *("ACCESS_DENIED", "API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE"),
    *("BAD_REQUEST_PARAMETERS", "BAD_REQUEST_BODY", "DEFAULT_4XX", "DEFAULT_5XX", "EXPIRED_TOKEN"),
    *("INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "INVALID_API_KEY", "INVALID_SIGNATURE"),
    *("MISSING_AUTHENTICATION_TOKEN", "QUOTA_EXCEEDED", "REQUEST_TOO_LARGE", "RESOURCE_NOT_FOUND", "THROTTLED"),
    *("UNAUTHORIZED", "UNSUPPORTED_MEDIA_TYPE", "WAF_FILTERED"),
}


def get_responses(package: Package) -> Template:
    body = package.template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    return dict(body["x-amazon-apigateway-gateway-responses"])


def get_headers(response: Template, prefix: str) -> dict[str, str]:
    parameters = response["responseParameters"]
    assert all(name.startswith(prefix) for name in parameters)
    return {name.removeprefix(prefix): value for name, value in parameters.items()}


def test_responses_have_an_envelope_with_the_code_of_their_status(package: Package) -> None:
    assert set(get_responses(package)) == KINDS
    kinds = {kind.code: kind for kind in errors.KINDS}
    for name, response in get_responses(package).items():
        (text,) = response["responseTemplates"].values()
        envelope = json.loads(text)
        kind = kinds[envelope["code"]]
        common = {"code": kind.code, "error": kind.text}
        messagecenters = {"error_code": kind.code, "error_msg": kind.text, "data": None, "count": 0}
        assert envelope == {**common, **messagecenters}, "the path is unknown, so both sets of fields are present"
        assert response.get("statusCode") == (None if name.startswith("DEFAULT_") else kind.status)
        assert not set("$#") & set(text), "API Gateway would put something else there"


def test_responses_have_our_headers(package: Package) -> None:
    ours = {name: f"'{value}'" for name, value in routing.DEFAULT_HEADERS.items()}
    for response in get_responses(package).values():
        theirs = get_headers(response, "gatewayresponse.header.")
        theirs.pop("Retry-After", None)
        assert theirs == {**ours, "X-Request-Id": "context.requestId"}


def test_unknown_routes_are_404_and_throttling_has_retry_after(package: Package) -> None:
    status = {name: response.get("statusCode") for name, response in get_responses(package).items()}
    assert status["MISSING_AUTHENTICATION_TOKEN"] == status["RESOURCE_NOT_FOUND"] == status["INVALID_SIGNATURE"] == 404
    assert (status["REQUEST_TOO_LARGE"], status["UNSUPPORTED_MEDIA_TYPE"], status["INTEGRATION_TIMEOUT"]) == (
        413,
        415,
        504,
    )
    later = {
        name
        for name, one in get_responses(package).items()
        if "gatewayresponse.header.Retry-After" in one["responseParameters"]
    }
    assert later == {"THROTTLED", "QUOTA_EXCEEDED", "INTEGRATION_FAILURE"}


def test_preflight_has_the_headers_of_the_response(package: Package) -> None:
    served: dict[str, set[str]] = {}
    for path, method in find_operations(package.template):
        served.setdefault(path, set()).add(method)
    ours = {name: f"'{value}'" for name, value in routing.CORS.get_access_control_headers().items()}
    for path, methods in served.items():
        preflight = find_operations(package.template)[path, "OPTIONS"]
        integration = preflight["x-amazon-apigateway-integration"]
        assert (integration["type"], integration["contentHandling"]) == ("mock", "CONVERT_TO_TEXT")
        response = get_headers(integration["responses"]["default"], "method.response.header.")
        assert set(preflight["responses"]["200"]["headers"]) == set(response), "API Gateway drops what is not declared"
        assert set(response.pop("Access-Control-Allow-Methods").strip("'").split(",")) == methods
        assert response == {**ours, "X-Request-Id": "context.requestId"}
