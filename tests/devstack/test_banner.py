"""The commands that bin/dev prints work."""

import json
import shlex
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from devstack.apigateway import server
from devstack.cli import banner
from devstack.demo import seed


def parse_curl(command: str) -> urllib.request.Request:
    """Return the request that a curl command sends."""
    words = shlex.split(command)
    assert words[:4] == ["curl", "-s", "-w", r"\n"]
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    data = words[words.index("-d") + 1].encode() if "-d" in words else None
    return urllib.request.Request(words[-1], data, headers)


def run_curl(command: str) -> dict[str, Any]:
    with urllib.request.urlopen(parse_curl(command), timeout=10) as response:
        return dict(json.load(response))


def test_printed_commands_work_in_their_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(banner, "LOCAL", tmp_path)
    monkeypatch.setattr(seed, "DEMO_FILE", tmp_path / "demo.json")
    running = server.create_server("127.0.0.1", 0).server
    base = f"http://127.0.0.1:{running.server_address[1]}"
    monkeypatch.setattr(sys, "argv", ["demo", "--base-url", base])
    seed.main()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        parts = [part.partition("\n\n")[0] for part in banner.format_banner().split("\ncurl")[1:]]
        commands = ["curl" + part.replace("\\\n", "") for part in parts]
        sent, listed, replied, events = (run_curl(command) for command in commands)
    finally:
        running.shutdown()
        running.server_close()
        thread.join()
    assert sent["data"]["msg_id"] in [message["msg_id"] for message in listed["data"]]
    assert replied["code"] == 0
    assert events["code"] == 0


def test_every_demo_account_is_printed_with_phone_and_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(banner, "LOCAL", tmp_path)
    monkeypatch.setattr(seed, "DEMO_FILE", tmp_path / "demo.json")
    monkeypatch.setattr(sys, "argv", ["demo"])
    seed.main()
    text, accounts = banner.format_banner(), json.loads((tmp_path / "demo.json").read_text("utf-8"))
    for kind in ("patients", "doctors", "staff"):
        for person in accounts[kind]:
            assert person["phone"] in text
            assert person["token"] in text
