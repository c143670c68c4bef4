"""Listening by server-sent events, as an EventSource does."""

import json

from tests.support.soak.listener import Listener


def listen(one: Listener) -> None:
    while not one.stopped.is_set():
        messages, cursor, gap, retry = [], one.cursor, False, 0
        for block in one.request_notify(protoc="sse").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            cursor, retry = fields.get("id", cursor), int(fields.get("retry", retry))
            if fields.get("event") == "gap":
                gap = True
            elif "data" in fields:
                messages.append(json.loads(fields["data"]))
        one.receive(messages, cursor, gap)
        one.stopped.wait(retry / 1000)
