"""The app in Lambda with the extension: which functions have it, and that each invocation of theirs ends for it."""

import os
import subprocess
import sys

import pytest

from app import GROUPS, PUSHING_FUNCTIONS
from tests.bundle.test_policies import can_import
from tests.support.extensions_api import ExtensionsApi, run_extensions_api

WEBSOCKET_HANDLER = "websocket_message"
# Handles an invocation for each line of its input, which is the invocation's id.
HANDLE_INVOCATIONS = """
import sys
import app
from bench.lambda_events import LambdaContext, build_get
events = [
    build_get("/msg_service/msg/patient/msg_list", "unknown token"),  # 401, in the function of another group 405
    build_get("/unknown", ""),
]
context = {name: "x" for name in ("connectionId", "stage", "apiId", "domainName")}
frame = {"requestContext": {**context, "routeKey": "$default"}, "body": "{}", "isBase64Encoded": False}
for number, line in enumerate(sys.stdin):
    lambda_context = LambdaContext()
    lambda_context.aws_request_id = line.strip()
    if FUNCTION == "websocket_message":
        app.websocket_message(frame, lambda_context)
    else:
        app.app(events[number % len(events)], lambda_context)
"""


@pytest.mark.parametrize("function", PUSHING_FUNCTIONS)
def test_extension_learns_of_the_end_of_each_invocation(function: str) -> None:
    script = f"FUNCTION = {function!r}{HANDLE_INVOCATIONS}"
    lambda_environment = {"GROUP": function, "AWS_LAMBDA_FUNCTION_NAME": function, "DATABASE_POOL": "1"}
    with run_extensions_api() as api:
        environment = {**os.environ, **lambda_environment, "AWS_LAMBDA_RUNTIME_API": api.address}
        with subprocess.Popen([sys.executable, "-c", script], env=environment, stdin=subprocess.PIPE, text=True) as one:
            assert one.stdin
            wait_until_ready(api)
            for request_id in ("one", "two", "three"):
                api.invoke(request_id)
                assert api.ready.empty(), "the handler has not returned"
                one.stdin.write(f"{request_id}\n")
                one.stdin.flush()
                wait_until_ready(api)
        assert one.returncode == 0


def wait_until_ready(api: ExtensionsApi) -> None:
    api.ready.get(timeout=30)  # less than the time that the extension waits for a handler


def test_functions_that_write_to_websockets_have_the_extension() -> None:
    pushing = [
        group for group in GROUPS if can_import(f"chalicelib.{group}.routes", "chalicelib.messaging.socket_push", set())
    ]
    assert {*pushing, WEBSOCKET_HANDLER} == set(PUSHING_FUNCTIONS)
