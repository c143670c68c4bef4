"""The load generator: clients that each send one request after another, in one process on epoll.

It is the same for all servers: a client sends bytes and looks for a few bytes in what comes back, and parses nothing.
"""

import gc
import select
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

RECEIVE_BYTES = 1 << 18
TIMEOUT_SECONDS = 10.0  # without any event, after which a server counts as hanging


class RejectedError(Exception):
    """A server rejected a request; the argument is the end of what it sent."""


@dataclass
class Client:
    """A client with one request in flight.

    Attributes:
        build_request: returns the bytes to send; its argument is the number of the request: 1, 2, 3 …
        is_complete: whether these bytes contain the whole response to the request with this number; raises
            RejectedError.
        receiver: the connection of the waiting receiver, to which the server delivers the message; None for none.
        build_mark: returns the bytes by which the receiver recognizes the message with this number.
        has_constant_size: whether all responses have the size of the first. Then the kernel wakes this process once for
            each response, however many packets the server divides it into.
    """

    sock: socket.socket
    build_request: Callable[[int], bytes]
    is_complete: Callable[[bytes, int], bool]
    receiver: socket.socket | None = None
    build_mark: Callable[[int], bytes] = lambda _: b""
    has_constant_size: bool = False
    number: int = 0
    started: float = 0.0
    response: bytes = b""
    delivery: bytes = b""
    has_response: bool = True
    has_delivery: bool = True

    def send(self) -> None:
        """Send the next request."""
        self.number += 1
        self.response = self.delivery = b""
        self.has_response, self.has_delivery = False, self.receiver is None
        request = self.build_request(self.number)
        self.started = time.perf_counter()
        self.sock.sendall(request)

    def receive_response(self) -> bool:
        """Receive a part of the response; return whether it is complete."""
        self.response += _receive(self.sock)
        if not self.has_response and self.is_complete(self.response, self.number):
            self.has_response = True
            if self.has_constant_size:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(self.response))
            return True
        return False

    def receive_delivery(self) -> bool:
        """Receive a part of what the receiver gets; return whether this completes the message."""
        assert self.receiver
        self.delivery += _receive(self.receiver)
        if not self.has_delivery and self.build_mark(self.number) in self.delivery:
            self.has_delivery = True
            return True
        return False


@dataclass
class Slice:
    """The requests of all clients in one slice of time."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of the load generator
    responses: "array[float]" = field(default_factory=lambda: array("d"))  # seconds from each send to its response
    deliveries: "array[float]" = field(default_factory=lambda: array("d"))  # seconds from each send to its arrival


def run(clients: Sequence[Client], seconds: float, pause: float = 0.0) -> Slice:
    """Send requests for `seconds`, each client the next one `pause` seconds after the last is done.

    A request is done when it has its response and, if there is a receiver, has arrived there.

    Raises:
        RejectedError: a server rejected a request.
        TimeoutError: a server does not respond.
    """
    poll, done = select.epoll(), Slice()
    senders = {one.sock.fileno(): one for one in clients}
    receivers = {one.receiver.fileno(): one for one in clients if one.receiver}
    for number in (*senders, *receivers):
        poll.register(number, select.EPOLLIN)
    gc.collect()
    gc.disable()
    cpu, begin = time.process_time(), time.perf_counter()
    for one in clients:
        one.send()
    _serve_until(begin + seconds, poll, senders, receivers, done, pause)
    done.seconds, done.cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
    gc.enable()
    poll.close()
    return done


def _serve_until(
    deadline: float,
    poll: select.epoll,
    senders: dict[int, Client],
    receivers: dict[int, Client],
    done: Slice,
    pause: float,
) -> None:
    """Handle events, and send until the deadline; return when nothing is in flight."""
    in_flight = len(senders)
    waiting: deque[tuple[float, Client]] = deque()  # clients that pause, with the time of their next request
    while in_flight:
        events = poll.poll(max(waiting[0][0] - time.perf_counter(), 0) if waiting else TIMEOUT_SECONDS)
        now = time.perf_counter()
        if not events and not waiting:
            raise TimeoutError(f"no response in {TIMEOUT_SECONDS:.0f} s")
        for number, _ in events:
            if one := senders.get(number):
                if not one.receive_response():
                    continue
                done.responses.append(now - one.started)
            else:
                one = receivers[number]
                if not one.receive_delivery():
                    continue
                done.deliveries.append(now - one.started)
            if not (one.has_response and one.has_delivery):
                continue
            if now >= deadline:
                in_flight -= 1
            elif pause:
                waiting.append((now + pause, one))
            else:
                one.send()
        while waiting and waiting[0][0] <= now:
            waiting.popleft()[1].send()


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(RECEIVE_BYTES)
    if not data:
        raise ConnectionError("the server has closed a connection")
    return data
