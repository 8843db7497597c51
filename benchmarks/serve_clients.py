"""Servers to measure and clients that ask them; used by serve_load.py."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import psutil
from PIL import Image

from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face

HANG_SECONDS = 60  # no answer after this is a hang
NGINX = Path(__file__).parents[1] / "docker" / "nginx.conf"


class Asked(NamedTuple):
    """A request as it goes over the wire, and the answer it gets when nobody else asks."""

    request: bytes
    answer: object


@dataclass
class Tally:
    """What many clients saw. `seconds` are those of answers with 200."""

    seconds: list[float] = field(default_factory=list)
    busy: int = 0
    wrong: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def percentiles(self) -> str:
        if not self.seconds:
            return "no answers"
        p50, p95, p99 = (1000 * float(np.percentile(self.seconds, p)) for p in (50, 95, 99))
        return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"

    def add(self, other: Tally) -> None:
        """Take in what others saw."""
        self.seconds += other.seconds
        self.busy += other.busy
        self.wrong += other.wrong
        self.errors += other.errors

    @property
    def clean(self) -> bool:
        """Nothing but right answers and honest 503s."""
        return not self.errors and not self.wrong and bool(self.seconds)


class Server:
    """`mien serve` in a process of its own."""

    def __init__(self, model: Path, *arguments: str, port: int | None = None, cores: Sequence[int] = ()) -> None:
        self.port = port or free_port()
        command = [sys.executable, "-m", "mien", "serve", "-m", str(model), "--port", str(self.port), *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        if cores:
            os.sched_setaffinity(self.process.pid, cores)
        wait_until_ready(self.port)

    def megabytes(self) -> float:
        """Resident memory."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 2**20)

    def figure(self, name: str) -> float:
        """One of the server's own figures."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith(name + " ")))

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(how)
        return self.process.wait(HANG_SECONDS)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)


@contextmanager
def nginx(ports: Sequence[int]) -> Iterator[int]:
    """nginx with the configuration of the compose file, in front of servers on this machine; gives its port."""
    port = free_port()
    text = NGINX.read_text("utf-8").replace("listen 8080", f"listen 127.0.0.1:{port}")
    for number, replica in enumerate(ports, 1):
        text = text.replace(f"mien-{number}:8000", f"127.0.0.1:{replica}")
    with tempfile.TemporaryDirectory() as folder:
        text = text.replace("/tmp/nginx.pid", f"{folder}/pid").replace("/dev/stdout", "off").replace("off plain", "off")
        file = Path(folder) / "nginx.conf"
        file.write_text(text.replace("worker_processes auto", "daemon off;\nworker_processes 1"), "utf-8")
        process = subprocess.Popen(["nginx", "-p", folder, "-c", str(file)], stderr=subprocess.DEVNULL)
        try:
            wait_until_ready(port)
            yield port
        finally:
            process.terminate()
            process.wait(HANG_SECONDS)


def has_nginx() -> bool:
    """Whether the way with replicas can be tried here."""
    return shutil.which("nginx") is not None


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_until_ready(port: int) -> None:
    """Raise SystemExit when the server does not get ready."""
    end = time.monotonic() + HANG_SECONDS
    while time.monotonic() < end:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the server on port {port} does not get ready")


def pictures(count: int, *, width: int, height: int) -> list[bytes]:
    """JPEG pictures with one drawn face each, about a third of the height."""
    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    rng = np.random.default_rng(0)
    made = []
    for face in draw(rng, count, expressions=names, strength=(0.6, 1.0), spread=0.5):
        scene = Image.new("RGB", (width, height), tuple(rng.integers(60, 200, 3).tolist()))
        side = min(height // 2, width)
        scene.paste(
            Image.fromarray(draw_face(face, size=side, colour=True)), ((width - side) // 2, (height - side) // 2)
        )
        file = io.BytesIO()
        scene.save(file, "JPEG", quality=90)
        made.append(file.getvalue())
    return made


def post(picture: bytes, find: str) -> bytes:
    """A request that asks about a picture and keeps the connection."""
    head = f"POST /v1/predict?faces={find} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    return (head + f"Content-Length: {len(picture)}\r\n\r\n").encode() + picture


class Connection:
    """One client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer."""
        self.writer.write(request)
        await self.writer.drain()
        return await self.answer()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer on this connection."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body

    def close(self) -> None:
        self.writer.close()


async def alone(port: int, requests: Sequence[bytes]) -> list[Asked]:
    """Each request with the answer it gets when nobody else asks."""
    connection = await Connection.open(port)
    asked = []
    for request in requests:
        status, _, body = await connection.ask(request)
        if status != 200:
            raise SystemExit(f"a single picture was answered with {status}: {body!r}")
        asked.append(Asked(request, json.loads(body)))
    connection.close()
    return asked


async def crowd(port: int, asked: Sequence[Asked], *, clients: int, seconds: float) -> Tally:
    """Many clients that ask one thing after the other, each as soon as it has its answer."""
    tally, end = Tally(), time.monotonic() + seconds
    await asyncio.gather(*(_client(port, asked[i:] + asked[:i], end, tally) for i in _starts(clients, len(asked))))
    return tally


def _starts(clients: int, count: int) -> list[int]:
    return [i % count for i in range(clients)]


async def _client(port: int, asked: Sequence[Asked], end: float, tally: Tally) -> None:
    connection: Connection | None = None
    turn = 0
    while time.monotonic() < end:
        wanted = asked[turn % len(asked)]
        turn += 1
        started = time.perf_counter()
        try:
            connection = connection or await Connection.open(port)
            status, headers, body = await asyncio.wait_for(connection.ask(wanted.request), HANG_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            tally.errors["hang" if isinstance(error, TimeoutError) else type(error).__name__] += 1
            connection = None
            await asyncio.sleep(0.05)
            continue
        if status == 200:
            tally.seconds.append(time.perf_counter() - started)
            tally.wrong += not same(json.loads(body), wanted.answer)
        elif status == 503 and "retry-after" in headers:
            tally.busy += 1
            connection.close()  # while we wait, the server would
            connection = None
            await asyncio.sleep(min(float(headers["retry-after"]), max(end - time.monotonic(), 0)))
        else:
            tally.errors[f"HTTP {status}"] += 1
        if connection is not None and headers.get("connection") == "close":
            connection.close()
            connection = None
    if connection is not None:
        connection.close()


def same(answer: object, expected: object) -> bool:
    """Equal but for the last digits of its numbers: sums come out differently in batches of different sizes."""
    if isinstance(answer, float) and isinstance(expected, float):
        return abs(answer - expected) <= 1e-4 * max(1.0, abs(expected))
    if isinstance(answer, dict) and isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(same(answer[key], expected[key]) for key in answer)
    if isinstance(answer, list) and isinstance(expected, list):
        return len(answer) == len(expected) and all(map(same, answer, expected))
    return answer == expected
