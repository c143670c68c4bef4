"""Listening by long poll."""

import json

from tests.support.soak.listener import Listener


def listen(one: Listener) -> None:
    while not one.stopped.is_set():
        data = json.loads(one.request_notify(protoc="poll", limit=100))["data"]
        one.receive(data["Msg"], data["cursor"], data["gap"])
