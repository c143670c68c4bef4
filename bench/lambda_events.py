"""Complete API Gateway events (REST API, Lambda proxy integration), with the headers of a phone and of the gateway."""

import json
from typing import Any
from urllib.parse import parse_qs, urlencode

MESSAGE_TEXT = "医生您好，昨天开始发烧，三十八度二，喉咙痛，咳嗽有痰，吃过退烧药，夜里又烧起来了，需要来医院吗？"
USER_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0.50 NetType/WIFI"
)
HEADERS = {
    "Accept": "application/json, text/plain, */*",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "zh-CN,zh-Hans;q=0.9",
    "Host": "api.example.com",
    "Referer": "https://h5.example.com/consult",
    "User-Agent": USER_AGENT,
    "X-Amzn-Trace-Id": "Root=1-692191f4-3a4b5c6d7e8f901234567890",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
}
REQUEST_CONTEXT = {
    "accountId": "123456789012",
    "apiId": "a1b2c3d4e5",
    "stage": "api",
    "protocol": "HTTP/1.1",
    "requestId": "5f0e9f0a-8d3c-4f6e-9a53-0a9a4f2f6c11",
    "extendedRequestId": "U1vVZGfWIAMEXbw=",
    "requestTime": "22/Nov/2026:10:35:00 +0000",
    "requestTimeEpoch": 1795343700000,
    "identity": {"sourceIp": "203.0.113.7", "userAgent": USER_AGENT},
}


class LambdaContext:
    """The context object that Lambda passes with the event."""

    aws_request_id = "0d4f9c1e-6a52-4a0e-8f0d-3f2a9b1c7e55"
    function_name = "zhenxun-consult"
    memory_limit_in_mb = "512"

    def get_remaining_time_in_millis(self) -> int:
        """Return the API's timeout."""
        return 29_000


def build_get(path: str, token: str, **query: Any) -> dict[str, Any]:
    """Build the event of a GET request."""
    return _build_event("GET", path, {"token": token}, query, None)


def build_poll(token: str, **query: Any) -> dict[str, Any]:
    """Build the event of a long poll."""
    return _build_event("GET", "/notify", {}, {"protoc": "poll", "token": token, **query}, None)


def build_post(path: str, token: str, key: str, **body: Any) -> dict[str, Any]:
    """Build the event of a POST request with a JSON body; `key` is its idempotency key, "" for none."""
    headers = {"token": token, "Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    return _build_event("POST", path, headers, {}, json.dumps(body, ensure_ascii=False))


def _build_event(
    method: str, path: str, extra_headers: dict[str, str], query: dict[str, Any], body: str | None
) -> dict[str, Any]:
    headers = {**HEADERS, **extra_headers}
    pairs = parse_qs(urlencode(query))
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in pairs.items()} or None,
        "multiValueQueryStringParameters": pairs or None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {**REQUEST_CONTEXT, "resourcePath": path, "path": f"/api{path}", "httpMethod": method},
        "body": body,
        "isBase64Encoded": False,
    }
