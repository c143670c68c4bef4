"""Lambda client: start another function of this bundle without waiting for its result."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.aws import sigv4
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

TIMEOUT_SECONDS = 2.0  # for connecting, and for each read


def invoke(function: str, event: Mapping[str, Any]) -> None:
    """Invoke a function asynchronously.

    Raises:
        ApiError: 503 if Lambda cannot be reached or did not accept the event.

    Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    """
    path = f"/2015-03-31/functions/{function}/invocations"
    origin = settings.lambda_endpoint_url or f"https://lambda.{settings.region}.{sigv4.get_domain(settings.region)}"
    credentials = sigv4.load_credentials(settings, "lambda")
    timestamp, body = sigv4.format_timestamp(clock.now()), json.dumps(event).encode()
    headers = {"x-amz-invocation-type": "Event", "content-type": "application/json"}
    signed = sigv4.sign_headers(credentials, timestamp, origin.partition("://")[2], headers, body, path=path)
    status, _, _ = https.send_request("POST", f"{origin}{path}", signed, body, timeout=TIMEOUT_SECONDS)
    if status != 202:
        raise ApiError(UNAVAILABLE, retry_after=1) from OSError(status, "Lambda did not accept the event")
