"""Client of the official account's endpoints for tests."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

import pytest

from tests.support.client import ApiResponse, build_event, check_envelope, get, invoke, post
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until

T = TypeVar("T")
WECHAT_PATH = "/pati_service/wechat"
APP_ID, SECRET = "wxd930ea5d5a258f4f", "8f2c31d0a94b4e6fb1c7de5532a90b7e"
SITE_URL = "https://h5.renhe.example"
CONF_FIELDS: dict[str, Any] = {"app_id": APP_ID, "app_secret": SECRET, "auth_url": SITE_URL}
AUTH_FILE_NAME, AUTH_FILE_CONTENT = "MP_verify_0a1B2c3D4e5F6g7H.txt", b"0a1B2c3D4e5F6g7H"
BOUNDARY = "----WebKitFormBoundaryx0hZ9"


def configure(hospital: Hospital, **fields: Any) -> ApiResponse:
    return post(f"{WECHAT_PATH}/conf", hospital.admin.token, **{**CONF_FIELDS, **fields})


def get_conf(person: Person) -> dict[str, Any]:
    return dict(get(f"{WECHAT_PATH}/conf", person.token).data)


def post_bytes(path: str, person: Person, body: bytes, content_type: str, **query: Any) -> ApiResponse:
    """POST a body in base64, as API Gateway passes binary bodies."""
    request = build_event("POST", path, {"token": person.token, "Content-Type": content_type}, query)
    response = invoke({**request, "body": base64.b64encode(body).decode(), "isBase64Encoded": True})
    check_envelope(response)
    return response


def build_multipart(*parts: tuple[str, str | None, bytes]) -> bytes:
    """Build a multipart body of parts (field, file name, content)."""
    whole = b""
    for field, name, content in parts:
        named = "" if name is None else f'; filename="{name}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{named}\r\n'
        whole += head.encode() + (b"Content-Type: text/plain\r\n" if name else b"") + b"\r\n" + content + b"\r\n"
    return whole + f"--{BOUNDARY}--\r\n".encode()


def upload_auth_file(
    person: Person, content: bytes = AUTH_FILE_CONTENT, name: str = AUTH_FILE_NAME, field: str = "file"
) -> ApiResponse:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return post_bytes(f"{WECHAT_PATH}/auth_file/upload", person, build_multipart((field, name, content)), kind)


def run_overlapping(
    patch: pytest.MonkeyPatch, module: Any, name: str, first: Callable[[], T], second: Callable[[], T]
) -> list[T]:
    """Pause `first` before it calls a module's function until `second` waits for a row lock or has finished."""
    reached, proceed, function = Event(), Event(), getattr(module, name)

    def pause(*arguments: Any, **named: Any) -> Any:
        if not reached.is_set():
            reached.set()
            assert proceed.wait(20)
        return function(*arguments, **named)

    patch.setattr(module, name, pause)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(first)]
        assert reached.wait(10)
        calls.append(pool.submit(second))
        wait_until(lambda: is_row_lock_waiting() or calls[1].done())
        proceed.set()
        return [one.result() for one in calls]
