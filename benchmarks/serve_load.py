"""`mien serve` under load and under attack, on loopback.

    python benchmarks/serve_load.py MODEL [load batching faults replicas] [--clients 100] [--seconds 120]

load       many clients for some time: latency, throughput, errors other than honest 503s, memory over time.
batching   the same server with and without gathering, by turns, so that a busy machine slows both.
faults     broken-off uploads, clients that dawdle, bombs, SIGTERM and SIGKILL under load: nothing may hang, answers
           stay right, the next request is answered.
replicas   two servers behind nginx with docker/nginx.conf, one of them killed under load (needs nginx).

Every answer is compared with the one the same picture got when nobody else asked. Pictures are faces that mien draws.
Clients and server share this machine's cores unless --server-core says otherwise; the first line says how it was.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import struct
import sys
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from serve_clients import Asked, Connection, Server, Tally, alone, crowd, has_nginx, nginx, pictures, post

SOME_CLIENTS = 10
FLAT = 1.05  # memory of the last quarter against that of the second
TURNS = 3
BATCHED_CLIENTS = 24  # enough to fill batches, too few to be refused


def start(options: argparse.Namespace, *arguments: str) -> Server:
    """A server with the settings of the command line."""
    return Server(options.model, "--threads", str(options.threads), *arguments, cores=options.server_core)


def questions(find: str) -> list[bytes]:
    """Requests about photos to be searched, or about cut-out faces."""
    size = (96, 96) if find == "crop" else (640, 480)
    return [post(picture, find) for picture in pictures(16, width=size[0], height=size[1])]


def say(name: str, passed: bool, words: str) -> bool:
    """Print one finding."""
    print(f"{'pass' if passed else 'FAIL'}  {name}: {words}", flush=True)
    return passed


async def load(options: argparse.Namespace) -> bool:
    """The server's usual settings and as many clients as were asked for."""
    with start(options) as server:
        asked = await alone(server.port, questions(options.faces))
        memory: list[float] = []
        watch = asyncio.create_task(_watch_memory(server, memory))
        tally = await crowd(server.port, asked, clients=options.clients, seconds=options.seconds)
        watch.cancel()
    quarter = max(len(memory) // 4, 1)
    early, late = median(memory[quarter : 2 * quarter] or memory), median(memory[-quarter:])
    rate = len(tally.seconds) / options.seconds
    print(f"{options.clients} clients for {options.seconds:g} s: {rate:.1f} pictures/s, {tally.percentiles()}")
    print("memory in MB, every tenth of the time:", *(f"{m:.0f}" for m in memory[:: max(len(memory) // 10, 1)]))
    answered = say("load", tally.clean, _words(tally))
    return say("memory", late <= FLAT * early, f"{early:.0f} MB early, {late:.0f} MB late") and answered


async def _watch_memory(server: Server, memory: list[float]) -> None:
    while True:
        memory.append(server.megabytes())
        await asyncio.sleep(1)


def _words(tally: Tally) -> str:
    errors = ", ".join(f"{count} {name}" for name, count in tally.errors.items()) or "no error"
    return f"{len(tally.seconds)} answers, {tally.busy} × 503, {tally.wrong} wrong, {errors}"


async def batching(options: argparse.Namespace) -> bool:
    """Throughput with and without gathering, for cut-out faces and for photos."""
    total = Tally()
    with start(options, "--batch-size", "1") as single, start(options) as gathered:
        for find in ("crop", "detect"):
            asked = await alone(single.port, questions(find))
            rates: dict[str, list[float]] = {"single": [], "gathered": []}
            for _ in range(TURNS):
                for name, server in (("single", single), ("gathered", gathered)):
                    tally = await crowd(server.port, asked, clients=BATCHED_CLIENTS, seconds=options.turn_seconds)
                    rates[name].append(len(tally.seconds) / options.turn_seconds)
                    total.add(tally)
            ratios = [a / b for a, b in zip(rates["gathered"], rates["single"], strict=True)]
            shown = ", ".join(f"{name} {median(found):.1f}/s" for name, found in rates.items())
            print(f"{find}: {shown}, ratio {median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})", flush=True)
    return say("batching", total.clean, _words(total))


async def faults(options: argparse.Namespace) -> bool:
    """One fault after the other, each while well-behaved clients ask."""
    passed = []
    with start(options) as server:
        asked = await alone(server.port, questions("detect"))
        for name, fault in (("broken-off uploads", _break_off), ("clients that dawdle", _dawdle), ("bombs", _bombs)):
            passed.append(await _beside_others(server, asked, name, fault))
    passed.append(await _sigterm(options, asked))
    passed.append(await _sigkill(options, asked))
    return all(passed)


async def _beside_others(
    server: Server, asked: list[Asked], name: str, fault: Callable[[int, bytes], Awaitable[str]]
) -> bool:
    others = asyncio.create_task(crowd(server.port, asked, clients=SOME_CLIENTS, seconds=8))
    words = await fault(server.port, asked[0].request)
    tally = await others
    after = await crowd(server.port, asked, clients=1, seconds=1)
    passed = tally.clean and after.clean and server.figure("mien_waiting_pictures") == 0 and "FAIL" not in words
    return say(name, passed, f"{words}; others meanwhile: {_words(tally)}, {tally.percentiles()}")


async def _break_off(port: int, request: bytes) -> str:
    for i in range(200):
        connection = await Connection.open(port)
        connection.writer.write(request[: len(request) * (i % 10) // 10])
        await connection.writer.drain()
        connection.writer.transport.abort() if i % 2 else connection.close()
        await asyncio.sleep(0.01)
    return "200 uploads broken off at all lengths"


async def _dawdle(port: int, request: bytes) -> str:
    slow = [await Connection.open(port) for _ in range(200)]
    started = time.monotonic()
    for i, connection in enumerate(slow):
        connection.writer.write(request[:20] if i % 2 else request[:300])
    ends = await asyncio.gather(*(asyncio.wait_for(_until_closed(one), 30) for one in slow), return_exceptions=True)
    closed = sum(isinstance(end, bytes) for end in ends)
    told = sum(isinstance(end, bytes) and b" 408 " in end for end in ends)
    verdict = "" if closed == len(slow) else "FAIL "
    return f"{verdict}{closed} of 200 let go within {time.monotonic() - started:.0f} s, {told} told 408"


async def _until_closed(connection: Connection) -> bytes:
    try:
        return await connection.reader.read()
    except ConnectionResetError:
        return b""


async def _bombs(port: int, request: bytes) -> str:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**8)))
    jpeg = request[request.index(b"\xff\xd8") :]
    scans = jpeg[:-2] + jpeg[jpeg.index(b"\xff\xda") : -2] * 200 + jpeg[-2:]
    webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\x3f\0" * 2
    large = b"\xff\xd8\xff" + bytes(9 * 2**20)
    statuses = []
    for bomb in (png, scans, webp, large):
        connection = await Connection.open(port)
        statuses.append((await asyncio.wait_for(connection.ask(post(bomb, "auto")), 30))[0])
        connection.close()
    return f"{'' if statuses == [413] * 4 else 'FAIL '}answered with {statuses}"


async def _sigterm(options: argparse.Namespace, asked: list[Asked]) -> bool:
    with start(options) as server:
        connections = [await Connection.open(server.port) for _ in range(2 * SOME_CLIENTS)]
        waiting = [asyncio.create_task(one.ask(asked[0].request)) for one in connections]
        await asyncio.sleep(0.3)
        done = sum(task.done() for task in waiting)
        server.process.send_signal(signal.SIGTERM)
        ends = await asyncio.gather(*(asyncio.wait_for(task, 60) for task in waiting), return_exceptions=True)
        code = await asyncio.to_thread(server.process.wait, 60)
    statuses = [end[0] if isinstance(end, tuple) else type(end).__name__ for end in ends]
    counts = {status: statuses.count(status) for status in sorted(set(statuses), key=str)}
    passed = code == 0 and set(counts) <= {200, 503} and done < len(waiting)
    return say("SIGTERM", passed, f"{len(waiting) - done} were waiting; answers {counts}; exit code {code}")


async def _sigkill(options: argparse.Namespace, asked: list[Asked]) -> bool:
    with start(options) as server:
        others = asyncio.create_task(crowd(server.port, asked, clients=SOME_CLIENTS, seconds=10))
        await asyncio.sleep(2)
        server.stop(signal.SIGKILL)
        with Server(options.model, "--threads", str(options.threads), port=server.port) as again:
            tally = await others
            after = await crowd(again.port, asked, clients=1, seconds=1)
    passed = after.clean and "hang" not in tally.errors and not tally.wrong
    return say("SIGKILL and a new start", passed, f"meanwhile: {_words(tally)}; after it: {_words(after)}")


async def replicas(options: argparse.Namespace) -> bool:
    """Two servers behind nginx; one of them is killed under load and started anew."""
    if not has_nginx():
        return say("replicas", False, "nginx is not installed")
    with start(options) as first, start(options) as second, nginx([first.port, second.port]) as port:
        asked = await alone(port, questions("detect"))
        others = asyncio.create_task(crowd(port, asked, clients=SOME_CLIENTS, seconds=15))
        await asyncio.sleep(3)
        shares = [server.figure("mien_pictures_total") for server in (first, second)]
        first.stop(signal.SIGKILL)
        with Server(options.model, "--threads", str(options.threads), port=first.port) as again:
            tally = await others
            back = again.figure("mien_pictures_total")
    words = f"{shares[0]:.0f} and {shares[1]:.0f} pictures until the kill, {back:.0f} by the one that came back"
    return say("a replica killed", tally.clean and min(*shares, back) > 0, f"{_words(tally)}; {words}")


PARTS = {"load": load, "batching": batching, "faults": faults, "replicas": replicas}


async def run(options: argparse.Namespace) -> bool:
    """All parts that were asked for."""
    cores = f"server on core {options.server_core}" if options.server_core else "server beside the clients"
    own = sorted(os.sched_getaffinity(0))
    print(f"{platform.machine()}, clients on cores {own}, {cores}, {options.threads} thread(s), faces={options.faces}")
    return all([await PARTS[part](options) for part in options.parts])


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--turn-seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--faces", choices=("auto", "detect", "crop"), default="detect")
    parser.add_argument("--server-core", type=int, nargs="*", default=[])
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    sys.exit(0 if asyncio.run(run(options)) else 1)


if __name__ == "__main__":
    main()
