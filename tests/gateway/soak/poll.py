"""Listening by long poll."""

import json

from tests.gateway.soak.listener import Listener


def run(one: Listener) -> None:
    while not one.over.is_set():
        data = json.loads(one.notified(protoc="poll", limit=100))["data"]
        one.told(data["Msg"], data["cursor"], data["gap"])
