"""Responses that API Gateway itself sends: errors and CORS preflights, in the format of the application's responses."""

from collections.abc import Iterable
from typing import Any

from chalicelib.http import routing

Json = dict[str, Any]

REQUEST_ID_EXPRESSION = "context.requestId"  # the id that the functions log and return too
RETRY_AFTER_SECONDS = 1

# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
# No route requires a signature, an API key or an authorizer, so API Gateway reports a missing or an invalid one only if
# the path or the method does not exist.
STATUSES = {
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "INVALID_SIGNATURE": 404,
    "EXPIRED_TOKEN": 404,
    "RESOURCE_NOT_FOUND": 404,
    "BAD_REQUEST_PARAMETERS": 400,
    "BAD_REQUEST_BODY": 400,
    "UNAUTHORIZED": 401,
    "ACCESS_DENIED": 403,
    "INVALID_API_KEY": 403,
    "WAF_FILTERED": 403,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "THROTTLED": 429,
    "QUOTA_EXCEEDED": 429,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "INTEGRATION_FAILURE": 503,
    "INTEGRATION_TIMEOUT": 504,
}

# Other types keep the status that API Gateway chooses: a status here would apply to each of them. The only other 4XX is
# a 403 (IncompleteSignatureException: an Authorization header at a path that does not exist).
DEFAULT_STATUSES = {"DEFAULT_4XX": 403, "DEFAULT_5XX": 500}


def build_gateway_responses() -> Json:
    """Return the document's x-amazon-apigateway-gateway-responses."""
    named = {kind: {"statusCode": status, **_build_response(status)} for kind, status in STATUSES.items()}
    return {**named, **{kind: _build_response(status) for kind, status in DEFAULT_STATUSES.items()}}


def build_preflights(paths: Iterable[str]) -> Json:
    """Return the header X-Request-Id for the OPTIONS operations, which Chalice generates without it."""
    parameters = {"method.response.header.X-Request-Id": REQUEST_ID_EXPRESSION}
    options = {
        "responses": {"200": {"headers": {"X-Request-Id": {"type": "string"}}}},
        "x-amazon-apigateway-integration": {"responses": {"default": {"responseParameters": parameters}}},
    }
    return {path: {"options": options} for path in paths}


def _build_response(status: int) -> Json:
    headers, body = routing.build_gateway_error(status)
    if status in (429, 503):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    constants = {f"gatewayresponse.header.{name}": f"'{value}'" for name, value in headers.items()}
    return {
        "responseParameters": {**constants, "gatewayresponse.header.X-Request-Id": REQUEST_ID_EXPRESSION},
        "responseTemplates": {"application/json": body},
    }
