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


def ago(monkeypatch: pytest.MonkeyPatch, minutes: float, key: str) -> str:
    """Return a link that was signed some minutes ago."""
    then = clock.now() - int(minutes * 60) * clock.SECOND
    with monkeypatch.context() as earlier:
        earlier.setattr(clock, "now", lambda: then)
        return links.sign(key)


def test_a_link_works_for_half_an_hour(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    reply = send_request("GET", ago(monkeypatch, 29.5, key))
    assert (reply.status, reply.body) == (200, build_file("jpg", 100))


def test_a_link_expires(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    assert send_request("GET", ago(monkeypatch, 30.1, key)).status == 403


def test_a_link_to_one_object_opens_no_other(lin: Person, key: str) -> None:
    other = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, upload(lin).file_id).object_key
    assert send_request("GET", links.sign(key).replace(key, other)).status == 403


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("X-Amz-Expires=1800", "X-Amz-Expires=604800"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("&X-Amz-Date=2", "&X-Amz-Date=3"),
    ],
)
def test_a_bent_link_opens_nothing(key: str, was: str, becomes: str) -> None:
    link = links.sign(key)
    assert was in link
    assert send_request("GET", link.replace(was, becomes)).status in (400, 403)


def test_a_link_only_reads(key: str) -> None:
    link = links.sign(key)
    assert send_request("DELETE", link).status == 403
    assert send_request("PUT", link, body=b"mine now").status == 403
    assert send_request("GET", link).body == build_file("jpg", 100)


def test_nobody_reads_or_lists_without_a_link(key: str) -> None:
    url = urlsplit(links.sign(key))
    plain = f"{url.scheme}://{url.netloc}{url.path}"
    assert send_request("GET", plain).status == 403
    assert send_request("GET", plain.removesuffix(key)).status == 403


def test_a_page_of_links_hashes_the_days_key_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    sigv4._derive_signing_key.cache_clear()
    assert len({links.sign(f"1/files/{n}.jpg") for n in range(100)}) == 100
    assert sigv4._derive_signing_key.cache_info().misses == 1
