import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from chalicelib.adapters.aws import ws_push
from chalicelib.messaging import sockets
from chalicelib.settings import settings
from devstack import server
from tests.gateway.talk import Visitor, join, last_30, made, sent, visitor
from tests.messaging.conftest import mysql_reads
from tests.people import Hospital

__all__ = ["guo", "han", "mysql_reads"]


@pytest.fixture
def guo(hospital: Hospital) -> Visitor:
    """A user of the hospital's own system."""
    return visitor(hospital, "guo-7f1a")


@pytest.fixture
def han(hospital: Hospital) -> Visitor:
    return visitor(hospital, "han-22c9")


@pytest.fixture
def conversation(guo: Visitor, han: Visitor) -> str:
    """Guo and Han are in it, have spoken and have read; Redis holds both seats."""
    conversation = made(guo)
    join(han, conversation)
    sent(guo, conversation, "一")
    sent(han, conversation, "二")
    for who in (guo, han, guo, han):
        last_30(who, conversation)
    return conversation


@pytest.fixture(scope="package")
def local_url() -> Iterator[str]:
    local = server.serving("127.0.0.1", 0).server
    threading.Thread(target=local.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{local.server_address[1]}"
    local.shutdown()
    local.server_close()


@pytest.fixture
def url(local_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the whole app is served, and where it writes to open WebSockets."""
    for module in (sockets, ws_push):
        monkeypatch.setattr(module, "settings", replace(settings, ws_endpoint_url=local_url))
    return local_url
