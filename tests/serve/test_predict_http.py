from __future__ import annotations

import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from tempfile import SpooledTemporaryFile
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from http_toys import send, send_files, the_error
from PIL import Image
from starlette.testclient import TestClient

from mien.core.labels import FER2013
from mien.deploy.photos import PhotoReader
from mien.deploy.runtime import Predictor

Make = Callable[..., SimpleNamespace]
PNG = {"Content-Type": "image/png"}


def test_faces_come_with_boxes_landmarks_and_all_probabilities(client: TestClient, toys: SimpleNamespace) -> None:
    answer = send(client, toys.photo(200, 120)).json()
    assert answer["model"] == "linear"
    [picture] = answer["pictures"]
    assert (picture["width"], picture["height"], picture["is_crop"]) == (200, 120, False)
    first, second = picture["faces"]
    assert first["box"] == {"left": 20, "top": 30, "right": 80, "bottom": 90}
    assert second["box"]["left"] == 120
    assert len(first["landmarks"]) == 5
    assert first["score"] == pytest.approx(0.9)
    assert list(first["probabilities"]) == list(FER2013.names)
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert first["probability"] == first["probabilities"][first["label"]] == max(first["probabilities"].values())
    assert first["unsure"] == (first["probability"] < 0.2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_answers_are_those_of_the_photo_reader(
    client: TestClient, toys: SimpleNamespace, predictor: Predictor, detector: Any, kind: str
) -> None:
    data = toys.photo(200, 140, kind=kind)
    faces = PhotoReader(predictor, detector=detector).read(data)
    answered = send(client, data, f"image/{kind.lower()}").json()["pictures"][0]["faces"]
    for face, own in zip(answered, faces, strict=True):
        assert face["probabilities"] == pytest.approx(own.probabilities, abs=1e-6)


def test_several_pictures_are_answered_as_single_ones_in_their_order(client: TestClient, toys: SimpleNamespace) -> None:
    pictures = [toys.photo(100 * (i % 3), 130, seed=i) for i in range(1, 9) if i % 3]
    together = send_files(client, *pictures).json()["pictures"]
    assert together == [send(client, data).json()["pictures"][0] for data in pictures]


def test_a_batch_of_many_clients_answers_each_as_if_it_were_alone(
    opened: Callable[..., TestClient], toys: SimpleNamespace
) -> None:
    client = opened(size=16, wait_ms=200)
    pictures = [toys.photo(100 + 100 * (i % 2), 130, seed=i) for i in range(12)]
    alone = [send(client, data).json() for data in pictures]
    before = batches(client)
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda data: send(client, data).json(), pictures))
    assert batches(client) - before < 12
    for one, other in zip(alone, together, strict=True):
        for a, b in zip(one["pictures"][0]["faces"], other["pictures"][0]["faces"], strict=True):
            assert a["probabilities"] == pytest.approx(b["probabilities"], abs=2e-6)
            assert a["box"] == b["box"]


def batches(client: TestClient) -> float:
    return figure(client, "mien_batch_pictures_count")


def figure(client: TestClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def test_a_picture_without_faces_has_none(client: TestClient, toys: SimpleNamespace) -> None:
    assert send(client, toys.photo(90, 130)).json()["pictures"][0]["faces"] == []


def test_a_photo_on_its_side_is_answered_upright(client: TestClient, toys: SimpleNamespace) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = toys.photo(130, 220, kind="JPEG", exif=exif)
    assert send(client, lying).json()["pictures"][0]["width"] == 220


def test_content_decides_about_the_kind_not_what_is_declared(client: TestClient, toys: SimpleNamespace) -> None:
    for kind in ("image/jpeg", "image/jpg", "image/*", "application/octet-stream", ""):
        assert send(client, toys.photo(kind="WEBP"), kind).status_code == 200
    assert client.post("/v1/predict", content=toys.photo()).status_code == 200
    the_error(send(client, toys.photo(kind="GIF"), "image/jpeg"), 415, "unsupported_type")
    the_error(send_files(client, toys.photo(), toys.photo(kind="BMP")), 415, "unsupported_type")


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "image"])
def test_other_content_types_are_refused(client: TestClient, toys: SimpleNamespace, kind: str) -> None:
    assert the_error(send(client, toys.photo(), kind), 415, "unsupported_type")["message"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_damaged_picture_is_refused_and_its_neighbours_in_the_batch_are_answered(
    opened: Callable[..., TestClient], toys: SimpleNamespace, kind: str
) -> None:
    client = opened(size=8, wait_ms=200)
    whole = toys.photo(kind=kind)
    half = whole[: len(whole) // 2]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda data: send(client, data), [whole, half, whole, whole]))
    the_error(answers[1], 422, "unreadable_picture")
    assert [answers[i].status_code for i in (0, 2, 3)] == [200] * 3


def test_of_several_pictures_the_one_that_is_refused_is_named(client: TestClient, toys: SimpleNamespace) -> None:
    whole, damaged, other = toys.photo(), toys.photo()[:200], toys.photo(kind="BMP")
    error = the_error(send_files(client, whole, whole, damaged), 422, "unreadable_picture")
    assert error["message"].startswith("picture 3: damaged")
    error = the_error(send_files(client, whole, other, whole), 415, "unsupported_type")
    assert error["message"].startswith("picture 2: not a JPEG")
    assert "picture 1" not in send(client, damaged).text


def test_too_many_pixels_are_refused_before_decoding(opened: Callable[..., TestClient], toys: SimpleNamespace) -> None:
    client = opened(pixels=100 * 120)
    assert send(client, toys.photo(100, 120)).status_code == 200
    the_error(send(client, toys.photo(101, 120)), 413, "too_large")


@pytest.mark.parametrize("chunked", [False, True])
def test_too_many_bytes_are_refused_while_they_come(
    opened: Callable[..., TestClient], toys: SimpleNamespace, chunked: bool
) -> None:
    data = toys.photo()
    client = opened(body_bytes=len(data))

    def body(size: int) -> bytes | Iterator[bytes]:
        padded = data + bytes(size - len(data))
        return (padded[i : i + 1000] for i in range(0, size, 1000)) if chunked else padded

    assert client.post("/v1/predict", content=body(len(data)), headers=PNG).status_code == 200
    answer = client.post("/v1/predict", content=body(len(data) + 1), headers=PNG)
    the_error(answer, 413, "too_large")


def test_uploads_share_a_budget_and_give_it_back(opened: Callable[..., TestClient], toys: SimpleNamespace) -> None:
    data = toys.photo()
    client = opened(all_bodies_bytes=len(data))
    for _ in range(3):
        assert send(client, data).status_code == 200
        refused = send(client, data + b"x")
        the_error(refused, 503, "busy")
        assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n",
        b"no form at all",
        b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nabc',
        b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nabc\r\n--b\r\n',
    ],
)
def test_a_form_that_is_broken_or_empty_is_refused(client: TestClient, body: bytes) -> None:
    assert the_error(send(client, body, "multipart/form-data; boundary=b"), 400, "invalid_request")["message"]


def test_a_form_that_is_cut_off_is_refused_as_a_whole(client: TestClient, toys: SimpleNamespace) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
    part = head + toys.photo() + b"\r\n"
    whole = part * 2 + b"--b--"
    kind = "multipart/form-data; boundary=b"
    for end in (len(part), len(part) + 4, len(part) + len(head), len(whole) - 6, len(whole) - 1):
        the_error(send(client, whole[:end], kind), 400, "invalid_request")
    assert "cut off" in send(client, whole[: len(part) + len(head) + 9], kind).json()["message"]
    for end in (b"", b"\r\n", b"\r\nepilogue"):
        assert len(send(client, whole + end, kind).json()["pictures"]) == 2


@pytest.mark.parametrize("of", ["", "; boundary=b; charset=undefined"])
def test_a_form_without_boundary_or_with_a_charset_of_no_use_is_refused(client: TestClient, of: str) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nabc\r\n--b--'
    assert the_error(send(client, body, f"multipart/form-data{of}"), 400, "invalid_request")["message"]


def test_an_empty_body_an_address_and_too_many_files_are_refused(
    opened: Callable[..., TestClient], toys: SimpleNamespace
) -> None:
    client = opened(pictures=2)
    the_error(send(client, b""), 400, "invalid_request")
    the_error(send_files(client, toys.photo(), b""), 400, "invalid_request")
    field = client.post("/v1/predict", data={"url": "http://localhost/"}, files={"picture": toys.photo()})
    the_error(field, 415, "unsupported_type")
    assert send_files(client, *[toys.photo()] * 2).status_code == 200
    the_error(send_files(client, *[toys.photo()] * 3), 400, "invalid_request")


def test_a_request_for_more_than_may_ever_wait_is_not_told_to_come_back(
    opened: Callable[..., TestClient], toys: SimpleNamespace
) -> None:
    client = opened(queue=2)
    assert client.get("/v1/model").json()["max_pictures"] == 2
    the_error(send_files(client, *[toys.photo()] * 3), 400, "invalid_request")


def test_a_full_queue_says_so_and_when_to_come_back(
    opened: Callable[..., TestClient], toys: SimpleNamespace, detector: Any
) -> None:
    client = opened(queue=2, size=1)
    detector.hold.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(send, client, toys.photo()) for _ in range(8)]
        wait_for(lambda: sum(one.done() for one in asked) >= 5)
        detector.hold.set()
        answers = [one.result() for one in asked]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == 5
    for answer in refused:
        the_error(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
    assert send(client, toys.photo()).status_code == 200


def test_who_would_wait_in_vain_is_told_at_once(
    opened: Callable[..., TestClient], toys: SimpleNamespace, detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = opened(size=1)
    monkeypatch.setattr("mien.serve.service.IN_TIME", 0)
    detector.hold.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(send, client, toys.photo()) for _ in range(8)]
        wait_for(lambda: sum(one.done() for one in asked) >= 6)  # one is at work, one may wait
        detector.hold.set()
        answers = [one.result() for one in asked]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) in (6, 7)
    for answer in refused:
        assert "of work" in the_error(answer, 503, "busy")["message"]
        assert int(answer.headers["retry-after"]) >= 1


def test_an_answer_that_takes_too_long_is_given_up_and_the_next_one_is_answered(
    opened: Callable[..., TestClient], toys: SimpleNamespace, detector: Any
) -> None:
    client = opened(answer_seconds=2)
    detector.hold.clear()
    the_error(send(client, toys.photo()), 504, "timeout")
    detector.hold.set()
    assert send(client, toys.photo()).status_code == 200


def test_a_defect_is_told_without_its_trace_and_the_next_one_is_answered(
    opened: Callable[..., TestClient], toys: SimpleNamespace, detector: Any
) -> None:
    client = opened()
    detector.fails = RuntimeError("secret detail")
    error = the_error(send(client, toys.photo()), 500, "internal")
    assert "secret" not in str(error)
    detector.fails = None
    assert send(client, toys.photo()).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/page/../app.py", 404, "not_found"),
        ("GET", "/page/%2e%2e/settings.py", 404, "not_found"),
        ("GET", "/page/__init__.py", 404, "not_found"),
        ("GET", "/v1/predict", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("POST", "/v1/predict/", 404, "not_found"),
        ("GET", "/v1/model/", 404, "not_found"),
    ],
)
def test_wrong_paths_and_methods_have_the_same_shape_of_error(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path, follow_redirects=False)
    the_error(answer, status, code)
    assert status != 405 or answer.headers["allow"]


def test_figures_count_requests_pictures_and_faces(client: TestClient, toys: SimpleNamespace) -> None:
    send_files(client, toys.photo(200), toys.photo())
    send(client, b"no picture")
    client.get("/made-up/path")
    lines = client.get("/metrics").text.splitlines()
    assert "mien_pictures_total 2.0" in lines
    assert "mien_faces_total 3.0" in lines
    assert "mien_waiting_pictures 0.0" in lines
    assert 'mien_requests_total{method="POST",route="/v1/predict",status="200"} 1.0' in lines
    assert 'mien_requests_total{method="POST",route="/v1/predict",status="415"} 1.0' in lines
    assert not any("made-up" in line for line in lines)


def test_nothing_of_a_picture_reaches_the_log_or_the_disk(
    client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_disk(_: object) -> None:
        raise AssertionError("a picture went to disk")

    monkeypatch.setattr(SpooledTemporaryFile, "rollover", to_disk)
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), dtype=np.uint8)
    large = io.BytesIO()
    Image.fromarray(noise).save(large, "PNG")
    assert len(large.getvalue()) > 4_000_000  # Starlette's own parser would write it to disk
    with caplog.at_level(logging.INFO):
        assert send_files(client, large.getvalue(), faces="detect").status_code == 200
        client.get("/v1/predict%0aforged?secret=1")
    lines = [record.getMessage() for record in caplog.records if record.name == "mien.access"]
    assert [line.rsplit(" ", 2)[0] for line in lines] == ["POST /v1/predict 200", "GET /v1/predict%0Aforged 404"]
    assert "private-name" not in caplog.text


def test_a_client_that_leaves_takes_its_picture_out_of_the_queue(
    make: Make, toys: SimpleNamespace, detector: Any
) -> None:
    made = make(size=1)
    with toys.running(made) as port:
        detector.hold.clear()
        data = toys.photo()
        head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n"
        head += "Content-Type: image/png\r\n\r\n"
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        for one in sockets:
            one.sendall(head.encode() + data)
        wait_for(lambda: waiting(port) == 2)
        for one in sockets[1:]:
            one.close()
        wait_for(lambda: waiting(port) == 0)
        detector.hold.set()
        assert sockets[0].recv(100).startswith(b"HTTP/1.1 200")
        sockets[0].close()


def waiting(port: int) -> float:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return float(answer.read().split(b"mien_waiting_pictures ")[-1].split()[0])


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, threading.enumerate()
        time.sleep(0.02)
