"""Clients of XMPP servers: a session with stream management (XEP-0198), and queries of the archive (XEP-0313)."""

import base64
import socket
from collections.abc import Callable

from bench.peers import texts
from bench.peers.load import RejectedError

ADDRESS, DOMAIN = "127.0.0.1", "localhost"
PASSWORD = "Demo-12345"
PAGE_SIZE = 20
TIMEOUT_SECONDS = 20.0  # of each step of signing in
OPEN_STREAM = (
    f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
).encode()
ENABLE_MANAGEMENT = b"<enable xmlns='urn:xmpp:sm:3'/>"


def sign_in(port: int, user: str, *steps: tuple[bytes, bytes]) -> socket.socket:
    """Open a session.

    Args:
        steps: what to send afterwards, each with the bytes to wait for.

    Raises:
        RejectedError: the server ends the stream.
    """
    sock = socket.create_connection((ADDRESS, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(TIMEOUT_SECONDS)
    credentials = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
    authenticate = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{credentials}</auth>"
    bind = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>b</resource></bind></iq>"
    for sent, expected in (
        (OPEN_STREAM, b"</stream:features>"),
        (authenticate.encode(), b"<success"),
        (OPEN_STREAM, b"</stream:features>"),
        (bind.encode(), b"</iq>"),
        *steps,
    ):
        exchange(sock, sent, expected)
    sock.settimeout(None)
    return sock


def exchange(sock: socket.socket, sent: bytes, expected: bytes) -> bytes:
    """Send and wait for the expected bytes; raise RejectedError if the server ends the stream."""
    sock.sendall(sent)
    received = b""
    while expected not in received:
        data = sock.recv(1 << 16)
        received += data
        if not data or b"</stream:stream>" in received or b"<failure" in received:
            raise RejectedError(f"{sent.decode()}: {received.decode('utf-8', 'replace')}")
    return received


def open_sender(port: int, user: str) -> socket.socket:
    """Open a session whose messages the server acknowledges."""
    return sign_in(port, user, (ENABLE_MANAGEMENT, b"<enabled"))


def open_receiver(port: int, user: str) -> socket.socket:
    """Open a session to which messages are delivered."""
    return sign_in(port, user, (b"<presence/>", b"<presence"))


def create_send_builder(receiver: str) -> Callable[[int], bytes]:
    """Return a function that builds a message and the request for its acknowledgement.

    A server handles what a session sends in its order, so it acknowledges a message that it has archived.
    """
    before = f"<message type='chat' to='{receiver}@{DOMAIN}' id='m".encode()

    def build_request(number: int) -> bytes:
        return b"%b%d'><body>%b</body></message><r xmlns='urn:xmpp:sm:3'/>" % (
            before,
            number,
            texts.build_text(number),
        )

    return build_request


def is_acknowledged(response: bytes, number: int) -> bool:
    """Return whether a response acknowledges `number` messages; raise RejectedError for anything but that."""
    if b"</message>" in response or b"</stream:stream>" in response:
        raise RejectedError(response[-500:].decode("utf-8", "replace"))
    return b"<a " in response and (b"h='%d'" % number in response or b'h="%d"' % number in response)


def create_page_builder(correspondent: str) -> Callable[[int], bytes]:
    """Return a function that builds the query for the newest messages with a correspondent."""
    query = (
        "<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>"
        "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
        f"<field var='with'><value>{correspondent}@{DOMAIN}</value></field></x>"
        f"<set xmlns='http://jabber.org/protocol/rsm'><max>{PAGE_SIZE}</max><before/></set></query></iq>"
    ).encode()
    return lambda _number: query


def is_complete_page(response: bytes, _number: int) -> bool:
    """Return whether a response is complete; raise RejectedError unless it has PAGE_SIZE messages."""
    if not response.endswith(b"</iq>"):
        return False
    if response.count(b"<result ") != PAGE_SIZE:
        raise RejectedError(f"{response.count(b'<result ')} messages: {response[-500:].decode('utf-8', 'replace')}")
    return True


def fill_conversation(port: int, sender: str, receiver: str, count: int) -> None:
    """Send `count` messages and wait for their acknowledgement."""
    with open_sender(port, sender) as sock:
        build_request = create_send_builder(receiver)
        for number in range(1, count + 1):
            received = b""
            sock.sendall(build_request(number))
            while not is_acknowledged(received, number):
                received += sock.recv(1 << 16)
