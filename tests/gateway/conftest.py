import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from chalicelib.adapters.aws import ws_push
from chalicelib.messaging import socket_push
from chalicelib.settings import settings
from devstack.apigateway import server
from tests.support.conversation_log import mysql_reads
from tests.support.factories import Hospital
from tests.support.gateway_client import (
    ExternalUser,
    create_conversation,
    create_external_user,
    get_last_30,
    join,
    send_all,
)

__all__ = ["guo", "han", "mysql_reads"]


@pytest.fixture
def guo(hospital: Hospital) -> ExternalUser:
    """A user of the hospital's own system."""
    return create_external_user(hospital, "guo-7f1a")


@pytest.fixture
def han(hospital: Hospital) -> ExternalUser:
    return create_external_user(hospital, "han-22c9")


@pytest.fixture
def conversation(guo: ExternalUser, han: ExternalUser) -> str:
    """Return a conversation in which Guo and Han have sent and read messages; Redis holds the states of both."""
    conversation = create_conversation(guo)
    join(han, conversation)
    send_all(guo, conversation, "一")
    send_all(han, conversation, "二")
    for who in (guo, han, guo, han):
        get_last_30(who, conversation)
    return conversation


@pytest.fixture(scope="package")
def server_url() -> Iterator[str]:
    local = server.create_server("127.0.0.1", 0).server
    threading.Thread(target=local.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{local.server_address[1]}"
    local.shutdown()
    local.server_close()


@pytest.fixture
def websocket_url(server_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the URL of the local server, which is also where frames are pushed to."""
    for module in (socket_push, ws_push):
        monkeypatch.setattr(module, "settings", replace(settings, ws_endpoint_url=server_url))
    yield server_url
    assert socket_push.wait_until_written(10)
