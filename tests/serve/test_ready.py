"""Whether a server says rightly that it is ready: when it is idle, busy, and when its model does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient


def send(client: TestClient, data: bytes, **query: str) -> Any:
    return client.post("/v1/predict", content=data, headers={"Content-Type": "image/png"}, params=query)


def the_error(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def waiting(client: TestClient) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith("mien_waiting_pictures ")).split()[1])


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_ready_asks_detector_and_model_and_says_when_they_fail(
    opened: Callable[..., TestClient], detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.serve.service.READY_FOR_SECONDS", 0)
    client = opened(answer_seconds=2)
    before = len(detector.batches)
    assert client.get("/readyz").json() == {"status": "ready"}
    assert len(detector.batches) == before + 1
    detector.hold.clear()
    assert client.get("/healthz").json() == {"status": "alive"}
    answer = client.get("/readyz")
    the_error(answer, 503, "not_ready")
    assert int(answer.headers["retry-after"]) >= 1
    detector.hold.set()
    assert client.get("/readyz").status_code == 200


def test_a_full_queue_does_not_make_a_server_look_broken(
    opened: Callable[..., TestClient], toys: SimpleNamespace, detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.serve.service.READY_FOR_SECONDS", 0)
    client = opened(size=1, queue=8, answer_seconds=10)
    detector.hold.clear()
    looked: list[int] = []
    detect = detector.detect
    monkeypatch.setattr(detector, "detect", lambda given: looked.append(given[0].shape[0]) or detect(given))
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(send, client, toys.photo(100, 130)) for _ in range(8)]
        wait_for(lambda: waiting(client) == 7)
        ready = pool.submit(client.get, "/readyz")
        wait_for(lambda: waiting(client) == 9)
        detector.hold.set()
        assert ready.result().json() == {"status": "ready"}
        assert [one.result().status_code for one in asked] == [200] * 8
    assert looked == [130, 96, *[130] * 7]


def test_who_has_just_answered_is_ready_without_being_asked(
    opened: Callable[..., TestClient], toys: SimpleNamespace, detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.serve.service.READY_FOR_SECONDS", 0)
    client = opened(answer_seconds=2)
    monkeypatch.setattr("mien.serve.service.READY_FOR_SECONDS", 60)
    assert send(client, toys.photo(90)).status_code == 200  # no face: the model was not asked
    assert send(client, toys.photo(90), faces="crop").status_code == 200  # nor here the detector
    detector.hold.clear()
    the_error(client.get("/readyz"), 503, "not_ready")
    detector.hold.set()
    assert send(client, toys.photo()).status_code == 200
    detector.hold.clear()
    assert client.get("/readyz").status_code == 200
    detector.hold.set()


def test_all_who_ask_whether_it_is_ready_wait_together_and_the_log_has_no_trace(
    opened: Callable[..., TestClient],
    detector: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mien.serve.service.READY_FOR_SECONDS", 0)
    client = opened(answer_seconds=3)
    detector.hold.clear()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: client.get("/readyz"), range(5)))
    detector.hold.set()
    for answer in answers:
        the_error(answer, 503, "not_ready")
    told = [record for record in caplog.records if record.name == "mien.serve"]
    assert [record.exc_info for record in told] == [None]


def test_signs_of_life_may_be_asked_for_by_their_heads(client: TestClient) -> None:
    for path in ("/healthz", "/readyz"):
        assert client.head(path).status_code == 200
