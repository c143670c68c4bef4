"""The local server answers as API Gateway would, whatever a client does. A small app echoes what it was given."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from chalice.app import Chalice, CORSConfig, Response
from chalice.config import Config
from chalice.local import create_local_server

from devstack.apigateway import server as mended
from devstack.apigateway.rest_api import MAX_REQUEST_BYTES, HttpRequest, encode_body


def echo_app() -> Chalice:
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
    mended.patch_chalice_local()
    server = create_local_server(echo_app(), Config(), "127.0.0.1", 0).server
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


def ask(client: HTTPConnection, method: str, path: str, **more: Any) -> tuple[HTTPResponse, bytes]:
    client.request(method, path, **more)
    answer = client.getresponse()
    return answer, answer.read()


def event(client: HTTPConnection, method: str, path: str, **more: Any) -> dict[str, Any]:
    return dict(json.loads(ask(client, method, path, **more)[1]))


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(request)
        line.settimeout(5)
        answer = b""
        while part := line.recv(65536):
            answer += part
        return answer


def in_our_envelope(answer: HTTPResponse, body: bytes, status: int) -> None:
    assert answer.status == status
    told = json.loads(body)
    assert told.keys() == {"code", "error", "error_code", "error_msg", "data", "count"}
    assert told["code"] > 10000
    assert answer.getheader("X-Request-Id")
    assert answer.getheader("Access-Control-Allow-Origin") == "*"


def test_the_event_has_what_api_gateway_sends(client: HTTPConnection) -> None:
    given = event(
        client, "POST", "/echo?a=1&a=2&b=", body='{"x":"你好"}'.encode(), headers={"Content-Type": "application/json"}
    )
    assert given["path"] == "/echo"
    assert given["httpMethod"] == "POST"
    assert given["queryStringParameters"] == {"a": "2", "b": ""}
    assert given["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert given["multiValueHeaders"]["X-Forwarded-For"] == ["127.0.0.1"]
    assert json.loads(base64.b64decode(given["body"])) == {"x": "你好"}
    assert given["isBase64Encoded"] is True
    context = given["requestContext"]
    assert context["requestId"]
    assert context["stage"] == "api"
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert context["resourcePath"] == "/echo"


def test_a_binary_body_arrives_whole_whatever_the_case_of_its_header(client: HTTPConnection) -> None:
    path = "/echo"
    for name in ("content-type", "Content-Type", "CONTENT-TYPE"):
        answer, _ = ask(client, "POST", path, body=b"\xff\x00", headers={name: "application/octet-stream"})
        assert answer.status == 415, "the app takes JSON only, and is asked"
    asked = HttpRequest("POST", path, [("CONTENT-TYPE", "image/png; x=y")], b"\xff\x00", "127.0.0.1")
    assert encode_body(asked, ["image/png"]) == (base64.b64encode(b"\xff\x00").decode(), True)


def test_a_chunked_body_is_read(client: HTTPConnection) -> None:
    parts = iter([b'{"a":', b"1}"])
    given = event(client, "POST", "/echo", body=parts, headers={"Content-Type": "application/json"})
    assert json.loads(base64.b64decode(given["body"])) == {"a": 1}
    assert event(client, "GET", "/echo")["body"] is None, "the connection is in step with us"


@pytest.mark.parametrize("chunks", [b"zz\r\n\r\n", b"-1\r\n", b"2\r\nabcd\r\n0\r\n\r\n", b"\r\n"])
def test_a_broken_chunk_is_refused(port: int, chunks: bytes) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(port, head + chunks).startswith(b"HTTP/1.1 400 ")


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
def test_a_length_that_cannot_be_trusted_is_refused(port: int, headers: bytes) -> None:
    answer = raw(port, b"POST /echo HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n{}")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":10001' in answer


def test_a_body_over_the_limit_is_refused_before_it_is_read(port: int) -> None:
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_REQUEST_BYTES + 1}\r\n\r\n".encode()
    answer = raw(port, head)  # and not a byte of it is sent
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert b"X-Request-Id" in answer


def test_a_client_that_asks_first_learns_it_without_sending(port: int) -> None:
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {MAX_REQUEST_BYTES + 1}\r\n\r\n"
    assert raw(port, head.encode()).startswith(b"HTTP/1.1 413 ")


def test_chunks_over_the_limit_are_refused(client: HTTPConnection) -> None:
    megabyte = b"x" * (1 << 20)
    in_our_envelope(*ask(client, "POST", "/echo", body=(megabyte for _ in range(11))), 413)


def test_a_body_at_the_limit_is_taken(client: HTTPConnection) -> None:
    answer, _ = ask(client, "POST", "/echo", body=b"x" * MAX_REQUEST_BYTES, headers={"Content-Type": "text/plain"})
    assert answer.status == 415


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("DELETE", "/echo"), ("OPTIONS", "/nowhere"), ("HEAD", "/nowhere")]
)
def test_what_is_not_routed_is_not_found_in_our_envelope(client: HTTPConnection, method: str, path: str) -> None:
    answer, body = ask(client, method, path)
    if method == "HEAD":
        assert (answer.status, body) == (404, b"")
        assert int(answer.getheader("Content-Length") or 0) > 0
    else:
        in_our_envelope(answer, body, 404)


def test_a_method_nobody_knows_is_not_found_either(port: int) -> None:
    assert raw(port, b"BREW /echo HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404 ")


def test_a_line_that_is_no_request_gets_our_envelope(port: int) -> None:
    assert b'"code":10001' in raw(port, b"GET /echo HTTP/9.9.9\r\n\r\n")


def test_preflight_names_the_methods(client: HTTPConnection) -> None:
    answer, body = ask(client, "OPTIONS", "/echo")
    assert (answer.status, body) == (200, b"")
    assert set((answer.getheader("Access-Control-Allow-Methods") or "").split(",")) == {"GET", "POST", "OPTIONS"}


def test_path_parameters_stay_as_they_were_sent(client: HTTPConnection) -> None:
    assert ask(client, "GET", "/people/a%20b")[1] == b'"a%20b"'


def test_bytes_and_repeated_headers_pass(client: HTTPConnection) -> None:
    answer, body = ask(client, "GET", "/binary", headers={"Accept": "image/png"})
    assert (answer.getheader("Content-Type"), body) == ("image/png", b"\x89PNG")
    answer, _ = ask(client, "GET", "/cookies")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_what_lambda_could_not_return_is_a_bad_gateway(client: HTTPConnection) -> None:
    in_our_envelope(*ask(client, "GET", "/wrong"), 502)


def test_each_thread_has_its_own_request(port: int) -> None:
    wrong: list[str] = []

    def many(name: str) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(50):
            if ask(connection, "GET", f"/people/{name}")[1] != f'"{name}"'.encode():
                wrong.append(name)
        connection.close()

    threads = [threading.Thread(target=many, args=(f"p{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_answer_does_not_wait_for_the_clients_ack(client: HTTPConnection) -> None:
    """Nagle's algorithm costs about 44 ms per answer on a kept connection: 30 answers would take over a second."""
    import time

    ask(client, "GET", "/people/x")
    begun = time.monotonic()
    for _ in range(30):
        ask(client, "GET", "/people/x")
    assert time.monotonic() - begun < 1
