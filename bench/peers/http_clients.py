"""Clients of our app: HTTP requests on persistent connections, and receivers on WebSockets."""

import base64
import json
import os
import socket
from collections.abc import Callable
from urllib.parse import urlencode

from bench.consultations import Participants
from bench.peers import texts
from bench.peers.load import RejectedError

ADDRESS = "127.0.0.1"
PAGE_SIZE = 20
READY_SECONDS = 20.0  # within which a WebSocket must have its backlog
SEND_PATH, LIST_PATH = "/msg_service/msg/patient/send_text_msg", "/msg_service/msg/patient/msg_list"


def connect(port: int) -> socket.socket:
    """Open a connection."""
    sock = socket.create_connection((ADDRESS, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def create_send_builder(participants: Participants, consultation_number: int, name: str) -> Callable[[int], bytes]:
    """Return a function that builds the request with which the patient sends a message, with a new idempotency key.

    Args:
        name: of the client, with which its idempotency keys begin.
    """
    consultation = participants.consultations[consultation_number]
    fields = {
        "member_id": f"{consultation.member_id}",
        "doctor_id": f"{participants.doctor.user_id}",
        "session_no": consultation.session_no,
        "message": "",
    }
    before, after = json.dumps(fields).encode().rsplit(b'""', 1)
    head = (
        f"POST {SEND_PATH} HTTP/1.1\r\nHost: {ADDRESS}\r\ntoken: {participants.patient.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(before) + texts.TEXT_BYTES + 2 + len(after)}\r\n"
        f"Idempotency-Key: {name}-"
    ).encode()

    def build_request(number: int) -> bytes:
        return b'%b%d\r\n\r\n%b"%b"%b' % (head, number, before, texts.build_text(number), after)

    return build_request


def create_list_builder(participants: Participants, consultation_number: int) -> Callable[[int], bytes]:
    """Return a function that builds the patient's request for the newest page."""
    consultation = participants.consultations[consultation_number]
    query = urlencode(
        {"session_no": consultation.session_no, "member_id": consultation.member_id, "page_size": PAGE_SIZE}
    )
    request = (
        f"GET {LIST_PATH}?{query} HTTP/1.1\r\nHost: {ADDRESS}\r\ntoken: {participants.patient.token}\r\n\r\n"
    ).encode()
    return lambda _number: request


def is_complete(response: bytes, _number: int = 0) -> bool:
    """Return whether a response has its whole body; raise RejectedError for another status than 200."""
    head_size = response.find(b"\r\n\r\n")
    if head_size < 0:
        return False
    if not response.startswith(b"HTTP/1.1 200"):
        raise RejectedError(response[-500:].decode("utf-8", "replace"))
    begin = response.index(b"Content-Length: ") + 16
    return len(response) >= head_size + 4 + int(response[begin : response.index(b"\r", begin)])


def is_complete_page(response: bytes, _number: int) -> bool:
    """Return whether a response is complete; raise RejectedError unless it has PAGE_SIZE messages."""
    if not is_complete(response):
        return False
    if response.count(b'"msg_id"') != PAGE_SIZE:
        raise RejectedError(f"{response.count(b'msg_id')} messages: {response[-500:].decode('utf-8', 'replace')}")
    return True


def open_websocket(port: int, token: str) -> socket.socket:
    """Open a WebSocket and wait until it has its backlog.

    Raises:
        RejectedError: the server does not accept it, or closes it.
    """
    sock = connect(port)
    sock.settimeout(READY_SECONDS)
    target = f"/notify?{urlencode({'token': token, 'protoc': 'ws'})}"
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        (
            f"GET {target} HTTP/1.1\r\nHost: {ADDRESS}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    received = b""
    while b'"ready"' not in received:
        data = sock.recv(1 << 16)
        received += data
        if not data or not b"HTTP/1.1 101".startswith(received[:12]):
            raise RejectedError(received[-500:].decode("utf-8", "replace"))
    sock.settimeout(None)
    return sock
