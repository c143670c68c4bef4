"""Have the frames of WebSockets written after the response of a Lambda function, which is suspended otherwise."""

from collections.abc import Callable
from typing import Any

from chalicelib.adapters.aws import lambda_extension
from chalicelib.messaging import socket_push


def start_extension() -> None:
    """Start the extension that lets this function run until all frames are written. Call it at import."""
    lambda_extension.start(socket_push.wait_until_written)


def report_end(event: Any, get_response: Callable[[Any], Any]) -> Any:
    """Report the end of each invocation to the extension. Chalice calls this as middleware, for HTTP and WebSocket."""
    context = event.lambda_context if hasattr(event, "lambda_context") else event.context
    try:
        return get_response(event)
    finally:
        lambda_extension.end_invocation(context.aws_request_id)
