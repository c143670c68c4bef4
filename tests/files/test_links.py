from urllib.parse import urlsplit

import pytest

from chalicelib import clock
from chalicelib.adapters.aws import sigv4
from chalicelib.files import confirmation, links
from tests.support.factories import Person
from tests.support.file_samples import build_file
from tests.support.multipart_forms import send_request
from tests.support.uploads import upload


@pytest.fixture
def key(lin: Person) -> str:
    return confirmation.confirm_own_upload(lin.tenant_id, lin.principal, upload(lin).file_id).object_key


def sign_earlier(monkeypatch: pytest.MonkeyPatch, minutes: float, key: str) -> str:
    """Return a link that old signed some minutes sign_earlier."""
    then = clock.now() - int(minutes * 60) * clock.SECOND
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: then)
        return links.sign(key)


def test_link_is_valid_for_half_an_hour(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    reply = send_request("GET", sign_earlier(monkeypatch, 29.5, key))
    assert (reply.status, reply.body) == (200, build_file("jpg", 100))


def test_link_expires(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    assert send_request("GET", sign_earlier(monkeypatch, 30.1, key)).status == 403


def test_link_is_valid_for_one_object_only(lin: Person, key: str) -> None:
    other = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, upload(lin).file_id).object_key
    assert send_request("GET", links.sign(key).replace(key, other)).status == 403


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Expires=1800", "X-Amz-Expires=604800"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("&X-Amz-Date=2", "&X-Amz-Date=3"),
    ],
)
def test_manipulated_link_is_rejected(key: str, old: str, new: str) -> None:
    link = links.sign(key)
    assert old in link
    assert send_request("GET", link.replace(old, new)).status in (400, 403)


def test_link_allows_reading_only(key: str) -> None:
    link = links.sign(key)
    assert send_request("DELETE", link).status == 403
    assert send_request("PUT", link, body=b"other content").status == 403
    assert send_request("GET", link).body == build_file("jpg", 100)


def test_objects_cannot_be_read_or_listed_without_a_link(key: str) -> None:
    url = urlsplit(links.sign(key))
    plain = f"{url.scheme}://{url.netloc}{url.path}"
    assert send_request("GET", plain).status == 403
    assert send_request("GET", plain.removesuffix(key)).status == 403


def test_signing_key_of_the_day_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    sigv4._derive_signing_key.cache_clear()
    assert len({links.sign(f"1/files/{n}.jpg") for n in range(100)}) == 100
    assert sigv4._derive_signing_key.cache_info().misses == 1
