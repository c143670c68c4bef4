"""What a hospital's admin and its pages ask of its WeChat account, in the words of the tests."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

import pytest

from tests.faults.aftermath import somebody_waits, wait_until
from tests.people import Hospital, Person
from tests.wire import Answer, answered, check_envelope, event, get, post

T = TypeVar("T")
ROOT = "/pati_service/wechat"
APP_ID, SECRET = "wxd930ea5d5a258f4f", "8f2c31d0a94b4e6fb1c7de5532a90b7e"
SITE = "https://h5.renhe.example"
CONF: dict[str, Any] = {"app_id": APP_ID, "app_secret": SECRET, "auth_url": SITE}
NAME, CONTENT = "MP_verify_0a1B2c3D4e5F6g7H.txt", b"0a1B2c3D4e5F6g7H"
BOUNDARY = "----WebKitFormBoundaryx0hZ9"


def configure(hospital: Hospital, **fields: Any) -> Answer:
    return post(f"{ROOT}/conf", hospital.admin.token, **{**CONF, **fields})


def conf(person: Person) -> dict[str, Any]:
    return dict(get(f"{ROOT}/conf", person.token).data)


def send_bytes(path: str, person: Person, body: bytes, content_type: str, **query: Any) -> Answer:
    """As API Gateway hands over any body: base64."""
    request = event("POST", path, {"token": person.token, "Content-Type": content_type}, query)
    answer = answered({**request, "body": base64.b64encode(body).decode(), "isBase64Encoded": True})
    check_envelope(answer)
    return answer


def form(*parts: tuple[str, str | None, bytes]) -> bytes:
    """A multipart body of (field, file name, content)."""
    whole = b""
    for field, name, content in parts:
        named = "" if name is None else f'; filename="{name}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{named}\r\n'
        whole += head.encode() + (b"Content-Type: text/plain\r\n" if name else b"") + b"\r\n" + content + b"\r\n"
    return whole + f"--{BOUNDARY}--\r\n".encode()


def upload(person: Person, content: bytes = CONTENT, name: str = NAME, field: str = "file") -> Answer:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return send_bytes(f"{ROOT}/auth_file/upload", person, form((field, name, content)), kind)


def crossing(
    patch: pytest.MonkeyPatch, module: Any, name: str, first: Callable[[], T], second: Callable[[], T]
) -> list[T]:
    """Have the first stand still where it calls a module's function, until the second waits for it or is through."""
    about, go, function = Event(), Event(), getattr(module, name)

    def waits(*arguments: Any, **named: Any) -> Any:
        if not about.is_set():
            about.set()
            assert go.wait(20)
        return function(*arguments, **named)

    patch.setattr(module, name, waits)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(first)]
        assert about.wait(10)
        calls.append(pool.submit(second))
        wait_until(lambda: somebody_waits() or calls[1].done())
        go.set()
        return [one.result() for one in calls]
