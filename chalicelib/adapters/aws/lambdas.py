"""Lambda: start another function of this bundle without waiting for it.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.aws import sigv4
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

TIMEOUT_SECONDS = 2.0  # seconds of each step


def invoke(function: str, event: Mapping[str, Any]) -> None:
    """Have a function run once, soon. ApiError(UNAVAILABLE) where Lambda did not take it."""
    path = f"/2015-03-31/functions/{function}/invocations"
    origin = settings.lambda_endpoint_url or f"https://lambda.{settings.region}.{sigv4.get_domain(settings.region)}"
    keys = sigv4.SigningCredentials(
        settings.access_key, settings.secret_key, settings.session_token, settings.region, "lambda"
    )
    at, body = sigv4.format_timestamp(clock.now()), json.dumps(event).encode()
    asked = {"x-amz-invocation-type": "Event", "content-type": "application/json"}
    headers = sigv4.sign_headers(keys, at, origin.partition("://")[2], asked, body, path=path)
    status, _, _ = https.send_request("POST", f"{origin}{path}", headers, body, timeout=TIMEOUT_SECONDS)
    if status != 202:
        raise ApiError(UNAVAILABLE, retry_after=1) from OSError(status, "Lambda did not take it")
