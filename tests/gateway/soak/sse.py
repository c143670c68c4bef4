"""Listening by server-sent events, as an EventSource does."""

import json

from tests.gateway.soak.listener import Listener


def run(one: Listener) -> None:
    while not one.over.is_set():
        messages, cursor, gap, retry = [], one.cursor, False, 0
        for block in one.notified(protoc="sse").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            cursor, retry = fields.get("id", cursor), int(fields.get("retry", retry))
            if fields.get("event") == "gap":
                gap = True
            elif "data" in fields:
                messages.append(json.loads(fields["data"]))
        one.told(messages, cursor, gap)
        one.over.wait(retry / 1000)
