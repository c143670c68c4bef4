"""Insert ids of the demo data, and credentials of its users, into the examples of the OpenAPI document."""

from typing import Any

from apidocs import endpoints
from chalicelib.identity import tokens
from chalicelib.identity.callers import Role

Json = dict[str, Any]

# The callers whose credentials an example has: the first of these whom the endpoint allows.
CALLERS = (Role.PATIENT, Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN, Role.SERVICE, Role.SCREEN)
# Only an administrator may withdraw a message that is older than two minutes.
CALLER_BY_PATH = {"/message/withdrawMessage": Role.ADMIN}
CREDENTIAL_TEXT = "演示用户的凭据；换成别的用户：改这里，或点 Authorize"


def insert_demo_values(document: Json, demo: Json) -> Json:
    """Change the document, so that its examples can be executed, and return it. Issues tokens that are valid now.

    Args:
        demo: the content of .local/demo.json.
    """
    values, credentials = demo.get("examples", {}), _issue_credentials(demo)
    for one in endpoints.iter_endpoints():
        method, path = one.endpoint.method.lower(), one.endpoint.path
        operation = document["paths"].get(path, {}).get(method)
        if operation is None:  # the file is older than the code
            continue
        own = values.get(path, {})
        known = {**values.get("", {}), **own, "token": credentials[Role.PATIENT]["token"]}
        for parameter in operation["parameters"]:
            _insert_value(parameter, known)
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if isinstance(body.get("example"), dict):
            inserted = {name: known.get(name, value) for name, value in body["example"].items()}
            body["example"] = {**inserted, **own}
        caller = CALLER_BY_PATH.get(path) or next((role for role in CALLERS if role in one.endpoint.callers), None)
        operation["parameters"] += _build_credential_parameters(credentials[caller]) if caller else []
    return document


def _issue_credentials(demo: Json) -> dict[Role, Json]:
    """Return headers by role. A request of an example may have ended the tokens of demo.json."""
    [admin] = [one["staff_id"] for one in demo["staff"] if one["role"] == Role.ADMIN]
    [desk] = [one["staff_id"] for one in demo["staff"] if one["role"] == Role.SERVICE_STAFF]
    user_ids = {
        Role.PATIENT: demo["patients"][0]["user_id"],
        Role.DOCTOR: demo["doctors"][0]["doctor_id"],
        Role.SERVICE_STAFF: desk,
        Role.ADMIN: admin,
    }
    issued = {
        role: {"token": tokens.issue(int(demo["tenant_id"]), f"user:{user_id}", role)}
        for role, user_id in user_ids.items()
    }
    screen = {"token": demo.get("screen", {}).get("key", "")}
    return {**issued, Role.SERVICE: {"X-Internal-Key": demo["internal_key"]}, Role.SCREEN: screen}


def _insert_value(parameter: Json, known: Json) -> None:
    examples = parameter["schema"].get("examples") or [None]
    value = known.get(parameter["name"], examples[0])
    if examples != [None]:
        parameter["schema"]["examples"] = [value]
        parameter["example"] = value  # Swagger UI fills this in


def _build_credential_parameters(headers: Json) -> list[Json]:
    described: Json = {"in": "header", "required": False, "description": CREDENTIAL_TEXT, "schema": {"type": "string"}}
    return [{"name": name, **described, "example": value} for name, value in headers.items()]
