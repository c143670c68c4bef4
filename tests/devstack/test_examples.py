"""The examples of /docs can be executed: they name the demo data, and carry valid credentials."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from apidocs import conformance, endpoints
from chalicelib import clock
from chalicelib.adapters.wechat_pay import api_v2, api_v3, bill_files
from chalicelib.notify import http
from chalicelib.settings import settings
from devstack.apigateway import api_docs, server
from devstack.demo import examples, seed
from devstack.fakes import wechat, wechat_endpoints, wechat_pay
from tests.support.contract import CONTRACT
from tests.support.fast_passwords import use_fast_hashes

OPERATIONS = [(one.endpoint.method, one.endpoint.path) for one in endpoints.iter_endpoints()]
CODE_PATH = "/pati_service/patient_service"
# Examples that are rejected, with the status, because they need what no document can contain.
REJECTED = {
    f"{CODE_PATH}/register": 400,  # the code that was sent
    f"{CODE_PATH}/reset_password": 400,
    f"{CODE_PATH}/change_phone": 400,
    f"{CODE_PATH}/start_over": 400,  # a limited session
    f"{CODE_PATH}/close_account": 409,  # an account without bookings to come
    f"{CODE_PATH}/reset_password/phone_identifying_code_validate": 400,
    "/pati_service/wechat/oauth/callback": 400,  # what WeChat adds to the address of the page
    "/pati_service/wechat/pay/notify/{tenantId}": 400,  # WeChat Pay's signature
    "/pati_service/wechat/pay/refund_notify/{tenantId}": 400,
    "/pati_service/wechat/callback/{tenantId}": 401,  # WeChat's signature
    "/pati_service/wechat/resolve_difference": 404,  # a difference, which the demo's bills do not have
    "/pati_service/wechat/bar_code": 403,  # a ticket of bar_code_link, valid for half an hour
    "/pati_service/manager_service/second_factor/confirm": 400,  # a code of the new secret
    "/pati_service/manager_service/stored_messages": 404,  # a consultation of a closed account
    "/pati_service/manager_service/end_makeup_day": 404,  # a make-up day
    "/pati_service/manager_service/confirm_holidays": 409,  # a year whose list is known
    "/pati_service/manager_service/refund_visit": 409,  # a registered one
    "/pati_service/manager_service/retry_job": 404,  # a job that has failed for half a day
    "/pati_service/manager_service/drop_job": 404,
    "/pati_service/manager_service/request_refund": 409,  # a paid booking
    "/pati_service/manager_service/check_payment": 404,  # a payment
    "/pati_service/manager_service/check_refund": 404,  # a refund
    "/pati_service/manager_service/settle_refund": 404,
    "/pati_service/manager_service/approve_refund": 404,  # a request that waits
    "/pati_service/manager_service/reject_refund": 404,
    "/pati_service/manager_service/mark_called": 404,  # a patient on the call list
}

REJECTED_AGAIN = {
    "/pati_service/manager_service/del_group_label": 404,  # deleted by the first request
    **dict.fromkeys((f"{CODE_PATH}/logout", "/pati_service/manager_service/logout"), 401),
}
# What each request issues anew: tokens, upload forms, signatures.
ISSUED_ANEW = ("token", "fields", "file_id", "fileId", "policy", "signature", "key", "nonce_str", "nonceStr")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve the app with demo data and the fakes that know it."""
    demo_file: Path = tmp_path_factory.mktemp("demo") / "demo.json"
    with pytest.MonkeyPatch.context() as patch, wechat.replace_real_server() as fake_wechat:
        keep_day(patch)
        fake_wechat.accounts.update(wechat_endpoints.DEMO_ACCOUNTS.values())
        pay_server = wechat_pay.create_server(pay := wechat_pay.create_demo_merchants()[0])
        for adapter in (api_v2, api_v3, bill_files):
            patch.setattr(adapter, "settings", replace(settings, wechat_pay_url=pay.url))
        patch.setattr(http, "settings", replace(settings, long_poll_seconds=0.01))
        use_fast_hashes(patch)
        for module in (seed, api_docs):
            patch.setattr(module, "DEMO_FILE", demo_file)
        patch.setattr(sys, "argv", ["demo"])
        app_server = server.create_server("127.0.0.1", 0).server
        for one in (pay_server, app_server):
            threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
        seed.main()
        yield app_server.server_address[1]
        for one in (pay_server, app_server):
            one.shutdown()
            one.server_close()


def keep_day(patch: pytest.MonkeyPatch) -> None:
    """In the last minutes of a day, set the clock back to 23:57: the demo has a queue, which ends at midnight.

    Not further back: upload forms expire by the clock of S3, and limits count what earlier tests did.
    """
    now, latest_start = clock.now, clock.to_instant(clock.today(), timedelta(hours=23, minutes=57))
    late = max(0, now() - latest_start)
    patch.setattr(clock, "now", lambda: now() - late)


def send(port: int, method: str, target: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
    client = HTTPConnection("127.0.0.1", port, timeout=20)
    client.request(method, target, body, headers)
    response = client.getresponse()
    content = response.read()
    client.close()
    return response.status, response.headers, content


def load_operation(port: int, method: str, path: str) -> Any:
    """Return an operation of the document, whose tokens are issued when it is loaded."""
    return json.loads(send(port, "GET", "/docs/openapi.json")[2])["paths"][path][method.lower()]


def execute_example(port: int, method: str, path: str, operation: Any) -> tuple[int, Any, bytes]:
    """Send what Swagger UI fills in."""
    given: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
    for parameter in operation["parameters"]:
        if parameter.get("example") is not None:
            given[parameter["in"]][parameter["name"]] = str(parameter["example"])
    for name, value in given["path"].items():
        path = path.replace(f"{{{name}}}", quote(value))
    content = operation.get("requestBody", {}).get("content", {})
    body, kind = None, next(iter(content), "")
    if "application/json" in content:
        body, kind = json.dumps(content["application/json"]["example"]).encode(), "application/json"
    elif content:
        body, kind = b"0a1B2c3D4e5F6g7H", "application/octet-stream"
    headers = {**given["header"], **({"Content-Type": kind} if kind else {})}
    return send(port, method, f"{path}?{urlencode(given['query'])}", body, **headers)


def test_all_endpoints_are_covered() -> None:
    assert {(entry["method"], entry["path"]) for entry in CONTRACT} <= set(OPERATIONS)


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_example_can_be_executed_and_a_double_click_has_its_result(port: int, method: str, path: str) -> None:
    """The examples carry no Idempotency-Key, so nothing but the content tells a double click."""
    operation = load_operation(port, method, path)
    status, headers, content = execute_example(port, method, path, operation)
    conformance.check_envelope(path, status, headers, content)
    assert status == REJECTED.get(path, 200), content.decode()[:500]
    if method == "POST" and path != "/inner/get_token":  # whose result is a new token
        again, _, content_again = execute_example(port, method, path, operation)
        assert again == REJECTED_AGAIN.get(path, status), content_again.decode()[:500]
        assert again != status or remove_issued(content_again) == remove_issued(content)


def remove_issued(content: bytes) -> Any:
    """Return the data, or the error, of a response without what is different each time."""
    response = json.loads(content) if content.startswith(b"{") else {}
    data = response.get("data")
    if isinstance(data, dict):
        return {name: value for name, value in data.items() if name not in ISSUED_ANEW}
    return response.get("error", data)


def test_next_start_finds_the_values_again(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert port
    capsys.readouterr()
    seed.main()
    assert "invented" not in capsys.readouterr().err


def test_missing_precondition_costs_only_its_own_values(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert port
    demo = json.loads(api_docs.DEMO_FILE.read_text("utf-8"))
    monkeypatch.setattr(examples, "AUTH_FILE_NAME", "unacceptable.html")
    values = examples.list_values(demo)
    assert "/pati_service/wechat/conf" not in values
    assert values["/pati_service/wx/jsapi/paysign"]
    assert "invented" in capsys.readouterr().err
