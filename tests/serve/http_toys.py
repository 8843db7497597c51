"""Asking the server over HTTP, and its errors in the one shape that all have."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient


def send(client: TestClient, data: bytes, kind: str = "image/png", **query: str) -> Any:
    return client.post("/v1/predict", content=data, headers={"Content-Type": kind}, params=query)


def send_files(client: TestClient, *pictures: bytes, **query: str) -> Any:
    files = [("picture", (f"private-name-{i}.png", data)) for i, data in enumerate(pictures)]
    return client.post("/v1/predict", files=files, params=query)


def the_error(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == code
    return error
