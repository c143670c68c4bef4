"""The local server responds as API Gateway does. A small app echoes its events."""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from chalice.app import Chalice, CORSConfig, Response
from chalice.config import Config
from chalice.local import create_local_server

from devstack.apigateway import server as local_server
from devstack.apigateway.rest_api import MAX_REQUEST_BYTES, HttpRequest, encode_body


def create_echo_app() -> Chalice:
    app = Chalice("echo", configure_logs=False)

    @app.route("/echo", methods=["GET", "POST"], cors=CORSConfig(allow_origin="*"), content_types=["application/json"])
    def echo() -> Response:
        assert app.current_request
        event = app.current_request.to_original_event()
        return Response(json.dumps({name: value for name, value in event.items() if name != "body_json"}))

    @app.route("/people/{name}")
    def person(name: str) -> Response:
        return Response(json.dumps(name))

    @app.route("/binary")
    def binary() -> Response:
        return Response(b"\x89PNG", headers={"Content-Type": "image/png"})

    @app.route("/wrong")
    def wrong() -> Any:
        return Response({"time": {1, 2}})

    @app.route("/cookies")
    def cookies() -> Response:
        return Response("", headers={"Set-Cookie": ["a=1", "b=2"]})

    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    local_server.patch_chalice_local()
    server = create_local_server(create_echo_app(), Config(), "127.0.0.1", 0).server
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(port: int) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    yield connection
    connection.close()


def request(client: HTTPConnection, method: str, path: str, **options: Any) -> tuple[HTTPResponse, bytes]:
    client.request(method, path, **options)
    response = client.getresponse()
    return response, response.read()


def get_event(client: HTTPConnection, method: str, path: str, **options: Any) -> dict[str, Any]:
    return dict(json.loads(request(client, method, path, **options)[1]))


def send_bytes(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(data)
        connection.settimeout(5)
        response = b""
        while part := connection.recv(65536):
            response += part
        return response


def check_envelope(response: HTTPResponse, body: bytes, status: int) -> None:
    assert response.status == status
    envelope = json.loads(body)
    assert envelope.keys() == {"code", "error", "error_code", "error_msg", "data", "count"}
    assert envelope["code"] > 10000
    assert response.getheader("X-Request-Id")
    assert response.getheader("Access-Control-Allow-Origin") == "*"


def test_event_has_the_fields_of_api_gateway(client: HTTPConnection) -> None:
    event = get_event(
        client, "POST", "/echo?a=1&a=2&b=", body='{"x":"你好"}'.encode(), headers={"Content-Type": "application/json"}
    )
    assert event["path"] == "/echo"
    assert event["httpMethod"] == "POST"
    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert event["multiValueHeaders"]["X-Forwarded-For"] == ["127.0.0.1"]
    assert json.loads(base64.b64decode(event["body"])) == {"x": "你好"}
    assert event["isBase64Encoded"] is True
    context = event["requestContext"]
    assert context["requestId"]
    assert context["stage"] == "api"
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert context["resourcePath"] == "/echo"


def test_binary_body_is_unchanged_for_any_case_of_its_header(client: HTTPConnection) -> None:
    path = "/echo"
    for name in ("content-type", "Content-Type", "CONTENT-TYPE"):
        response, _ = request(client, "POST", path, body=b"\xff\x00", headers={name: "application/octet-stream"})
        assert response.status == 415, "the app, which accepts only JSON, received the request"
    sent = HttpRequest("POST", path, [("CONTENT-TYPE", "image/png; x=y")], b"\xff\x00", "127.0.0.1")
    assert encode_body(sent, ["image/png"]) == (base64.b64encode(b"\xff\x00").decode(), True)


def test_chunked_body_is_read(client: HTTPConnection) -> None:
    parts = iter([b'{"a":', b"1}"])
    event = get_event(client, "POST", "/echo", body=parts, headers={"Content-Type": "application/json"})
    assert json.loads(base64.b64decode(event["body"])) == {"a": 1}
    assert get_event(client, "GET", "/echo")["body"] is None, "the next request on the connection is read correctly"


@pytest.mark.parametrize("chunks", [b"zz\r\n\r\n", b"-1\r\n", b"2\r\nabcd\r\n0\r\n\r\n", b"\r\n"])
def test_invalid_chunk_is_rejected(port: int, chunks: bytes) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert send_bytes(port, head + chunks).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: -5\r\n",
        b"Content-Length: five\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
    ],
)
def test_invalid_length_is_rejected(port: int, headers: bytes) -> None:
    response = send_bytes(port, b"POST /echo HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n{}")
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b'"code":10001' in response


def test_body_over_the_limit_is_rejected_before_it_is_read(port: int) -> None:
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_REQUEST_BYTES + 1}\r\n\r\n".encode()
    response = send_bytes(port, head)  # without its body
    assert response.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in response
    assert b"X-Request-Id" in response


def test_expect_100_continue_over_the_limit_is_rejected(port: int) -> None:
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {MAX_REQUEST_BYTES + 1}\r\n\r\n"
    assert send_bytes(port, head.encode()).startswith(b"HTTP/1.1 413 ")


def test_chunks_over_the_limit_are_rejected(client: HTTPConnection) -> None:
    megabyte = b"x" * (1 << 20)
    check_envelope(*request(client, "POST", "/echo", body=(megabyte for _ in range(11))), 413)


def test_body_at_the_limit_is_accepted(client: HTTPConnection) -> None:
    response, _ = request(
        client, "POST", "/echo", body=b"x" * MAX_REQUEST_BYTES, headers={"Content-Type": "text/plain"}
    )
    assert response.status == 415


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("DELETE", "/echo"), ("OPTIONS", "/nowhere"), ("HEAD", "/nowhere")]
)
def test_unknown_route_is_not_found_in_our_envelope(client: HTTPConnection, method: str, path: str) -> None:
    response, body = request(client, method, path)
    if method == "HEAD":
        assert (response.status, body) == (404, b"")
        assert int(response.getheader("Content-Length") or 0) > 0
    else:
        check_envelope(response, body, 404)


def test_unknown_method_is_not_found(port: int) -> None:
    assert send_bytes(port, b"BREW /echo HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404 ")


def test_invalid_request_line_gets_our_envelope(port: int) -> None:
    assert b'"code":10001' in send_bytes(port, b"GET /echo HTTP/9.9.9\r\n\r\n")


def test_preflight_lists_the_methods(client: HTTPConnection) -> None:
    response, body = request(client, "OPTIONS", "/echo")
    assert (response.status, body) == (200, b"")
    assert set((response.getheader("Access-Control-Allow-Methods") or "").split(",")) == {"GET", "POST", "OPTIONS"}


def test_path_parameters_are_not_decoded(client: HTTPConnection) -> None:
    assert request(client, "GET", "/people/a%20b")[1] == b'"a%20b"'


def test_binary_bodies_and_repeated_headers_are_returned(client: HTTPConnection) -> None:
    response, body = request(client, "GET", "/binary", headers={"Accept": "image/png"})
    assert (response.getheader("Content-Type"), body) == ("image/png", b"\x89PNG")
    response, _ = request(client, "GET", "/cookies")
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_invalid_lambda_result_is_a_bad_gateway(client: HTTPConnection) -> None:
    check_envelope(*request(client, "GET", "/wrong"), 502)


def test_each_thread_has_its_own_request(port: int) -> None:
    wrong: list[str] = []

    def send_many(name: str) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(50):
            if request(connection, "GET", f"/people/{name}")[1] != f'"{name}"'.encode():
                wrong.append(name)
        connection.close()

    threads = [threading.Thread(target=send_many, args=(f"p{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_response_does_not_wait_for_the_clients_ack(client: HTTPConnection) -> None:
    """Nagle's algorithm would delay each response on a persistent connection by about 44 ms."""
    request(client, "GET", "/people/x")
    started = time.monotonic()
    for _ in range(30):
        request(client, "GET", "/people/x")
    assert time.monotonic() - started < 1
