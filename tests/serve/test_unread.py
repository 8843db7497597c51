"""Clients that send and do not read: the server lets them go, with the places and the memory they hold."""

from __future__ import annotations

import base64
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

Make = Callable[..., SimpleNamespace]
PATIENCE = 20.0  # seconds after which a test has failed; far more than any limit set here
PING, BINARY = 9, 2


@pytest.fixture
def port(make: Make, toys: SimpleNamespace) -> Iterator[int]:
    """The port of a server that waits half a second for a client to read, and has one place for a stream."""
    with toys.running(make(unread_seconds=0.5, streams=1)) as port:
        yield port


def connect(port: int) -> socket.socket:
    """A connection that holds little of what it does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", port))
    return client


def stream(port: int) -> tuple[socket.socket, bytes]:
    """A connection that asked for a stream, and the first line of what the server said."""
    client, key = connect(port), base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return client, client.recv(1000).partition(b"\r\n")[0]


def frame(kind: int, data: bytes) -> bytes:
    """A masked frame of at most 125 bytes (RFC 6455, section 5.2)."""
    return struct.pack("!BB4x", 0x80 | kind, 0x80 | len(data)) + data


def sends_until_let_go(client: socket.socket, data: bytes, *, most: int) -> int:
    """How many bytes the server took before it let the client go; fails when it takes `most`."""
    sent, until = 0, time.monotonic() + PATIENCE
    client.settimeout(0.2)
    while sent < most and time.monotonic() < until:
        try:
            sent += client.send(data)
        except TimeoutError:
            continue  # the server does not read on for a client that does not read
        except OSError:
            return sent
    pytest.fail(f"the server still holds the connection after {sent:,} bytes")


def test_requests_whose_answers_nobody_reads(port: int) -> None:
    with connect(port) as client:
        assert (
            sends_until_let_go(client, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100, most=2**26) > 0
        )


def test_a_stream_whose_answers_nobody_reads_gives_its_place_to_another(port: int) -> None:
    client, said = stream(port)
    with client:
        assert b"101" in said
        sends_until_let_go(client, frame(BINARY, b"no picture") * 100, most=2**28)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        other, said = stream(port)
        other.close()
        if b"101" in said:
            return
        time.sleep(0.1)
    pytest.fail(f"the place is still taken: {said!r}")


def test_pings_whose_pongs_nobody_reads(port: int) -> None:
    client, _ = stream(port)
    with client:
        assert sends_until_let_go(client, frame(PING, b"p" * 125) * 500, most=2**26) < 2**25


def test_who_reads_slowly_gets_everything(port: int) -> None:
    with connect(port) as client:
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        said = b""
        while part := client.recv(2000):
            said += part
            time.sleep(0.05)
    head, _, body = said.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: "))
    assert len(body) == int(length.split()[1])
