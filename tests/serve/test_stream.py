from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from mien.deploy.photos import Photo, PhotoReader
from mien.deploy.runtime import Predictor
from mien.faces.detector import Faces
from mien.serve.calm import Calm
from mien.serve.stream import Frame, Newest

Make = Callable[..., SimpleNamespace]


def test_each_frame_is_answered_with_its_number_and_its_faces_keep_theirs(
    client: TestClient, toys: SimpleNamespace
) -> None:
    with client.websocket_connect("ws://localhost/v1/stream") as stream:
        for number in (1, 2, 3):
            stream.send_bytes(toys.photo(200, 130, seed=number, kind="JPEG"))
            answer = stream.receive_json()
            assert set(answer) == {"frame", "picture"}
            assert answer["frame"] == number
            assert [face["number"] for face in answer["picture"]["faces"]] == [1, 2]


def test_a_stream_follows_its_own_faces_and_no_other_stream_s(make: Make, toys: SimpleNamespace) -> None:
    asked: list[list[tuple[int, ...]]] = []

    class Own:
        """Sees one face more in each frame that it is asked about."""

        def __init__(self) -> None:
            self.shapes: list[tuple[int, ...]] = []
            asked.append(self.shapes)

        def detect(self, pictures: Sequence[np.ndarray]) -> list[Faces]:
            self.shapes += [picture.shape for picture in pictures]
            left = 10.0 * np.arange(len(self.shapes), dtype=np.float32)
            boxes = np.stack([left, left, left + 9, left + 9], 1)
            return [Faces(boxes, np.ones(len(boxes), np.float32), np.zeros((len(boxes), 5, 2), np.float32))]

    with (
        TestClient(make(follow=Own).app, base_url="http://localhost") as client,
        client.websocket_connect("ws://localhost/v1/stream") as one,
        client.websocket_connect("ws://localhost/v1/stream") as other,
    ):
        for stream, faces in ((one, 1), (one, 2), (other, 1), (one, 3), (other, 2)):
            stream.send_bytes(toys.photo(200, 130))
            assert len(stream.receive_json()["picture"]["faces"]) == faces
        alone = client.post("/v1/predict", content=toys.photo(200, 130), headers={"Content-Type": "image/png"})
        assert len(alone.json()["pictures"][0]["faces"]) == 2
    assert asked == [[(130, 200, 3)] * 3, [(130, 200, 3)] * 2]


def test_without_smoothing_a_frame_is_answered_as_a_picture_is(client: TestClient, toys: SimpleNamespace) -> None:
    pictures = [toys.photo(100, 130, seed=seed) for seed in range(4)]
    alone = [client.post("/v1/predict", content=p, headers={"Content-Type": "image/png"}).json() for p in pictures]
    with client.websocket_connect("ws://localhost/v1/stream?smooth_s=0&labels=fer2013") as stream:
        for data, single in zip(pictures, alone, strict=True):
            stream.send_bytes(data)
            [face] = stream.receive_json()["picture"]["faces"]
            assert face | {"number": None} == single["pictures"][0]["faces"][0]


def test_a_frame_that_cannot_be_read_is_told_and_the_next_one_is_answered(
    client: TestClient, toys: SimpleNamespace
) -> None:
    with client.websocket_connect("ws://localhost/v1/stream") as stream:
        for bad, code in ((b"no picture", "unsupported_type"), (toys.photo()[:200], "unreadable_picture")):
            stream.send_bytes(bad)
            assert stream.receive_json()["error"]["code"] == code
        stream.send_bytes(toys.photo())
        assert stream.receive_json()["frame"] == 3


def test_of_frames_that_come_too_fast_only_the_newest_is_answered(
    client: TestClient, toys: SimpleNamespace, detector: Any
) -> None:
    with client.websocket_connect("ws://localhost/v1/stream") as stream:
        detector.hold.clear()
        stream.send_bytes(toys.photo(100))
        end = time.monotonic() + 10
        while waiting_or_taken(client) < 1 and time.monotonic() < end:
            time.sleep(0.01)
        for _ in range(5):
            stream.send_bytes(toys.photo(200))
        stream.send_bytes(toys.photo(300))
        while dropped(client) < 5 and time.monotonic() < end:
            time.sleep(0.01)
        detector.hold.set()
        assert stream.receive_json()["frame"] == 1
        answer = stream.receive_json()
    assert answer["frame"] == 7
    assert answer["picture"]["width"] == 300
    assert dropped(client) == 5


def dropped(client: TestClient) -> float:
    return figure(client, 'mien_stream_frames_total{outcome="dropped"}')


def waiting_or_taken(client: TestClient) -> float:
    return figure(client, "mien_batch_pictures_count") - 1  # start-up has asked once


def figure(client: TestClient, name: str) -> float:
    found = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(found[0].split()[-1]) if found else 0.0


def test_a_text_message_ends_the_stream(client: TestClient) -> None:
    with client.websocket_connect("ws://localhost/v1/stream") as stream:
        stream.send_text("http://localhost/picture.png")
        with pytest.raises(WebSocketDisconnect) as caught:
            stream.receive_json()
    assert caught.value.code == 1003


@pytest.mark.parametrize("query", ["faces=everything", "labels=emoji", "smooth_s=-1", "smooth_s=x"])
def test_a_wrong_parameter_is_refused_at_the_handshake(client: TestClient, query: str) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        client.websocket_connect(f"ws://localhost/v1/stream?{query}"),
    ):
        pass
    assert caught.value.json()["code"] == "invalid_parameter"


def test_more_streams_than_allowed_are_refused_until_one_ends(make: Make, toys: SimpleNamespace) -> None:
    with TestClient(make(streams=1).app, base_url="http://localhost") as client:
        for _ in range(2):
            with client.websocket_connect("ws://localhost/v1/stream") as stream:
                with (
                    pytest.raises(WebSocketDenialResponse) as caught,
                    client.websocket_connect("ws://localhost/v1/stream"),
                ):
                    pass
                assert caught.value.status_code == 503
                stream.send_bytes(toys.photo())
                assert stream.receive_json()["frame"] == 1
            end = time.monotonic() + 10
            while figure(client, "mien_streams ") and time.monotonic() < end:
                time.sleep(0.01)
        assert figure(client, "mien_streams ") == 0


def test_a_stream_without_frames_is_closed(make: Make) -> None:
    with (
        TestClient(make(stream_idle_seconds=0.1).app, base_url="http://localhost") as client,
        client.websocket_connect("ws://localhost/v1/stream") as stream,
        pytest.raises(WebSocketDisconnect) as caught,
    ):
        stream.receive_json()
    assert caught.value.code == 4408


def test_a_full_queue_is_told_in_the_stream(make: Make, toys: SimpleNamespace, detector: Any) -> None:
    with TestClient(make(queue=1, answer_seconds=0.2).app, base_url="http://localhost") as client:
        detector.hold.clear()
        with client.websocket_connect("ws://localhost/v1/stream") as stream:
            stream.send_bytes(toys.photo())
            assert stream.receive_json()["error"]["code"] == "timeout"
            detector.hold.set()
            stream.send_bytes(toys.photo())
            assert stream.receive_json()["frame"] == 2


def test_the_place_for_a_frame_holds_the_newest_and_counts_all() -> None:
    async def talk() -> list[object]:
        newest = Newest()
        first = newest.put(b"1", 0.5)
        taken = await newest.take()
        replaced = [newest.put(b"2", 1), newest.put(b"3", 2)]
        last = await newest.take()
        waiting = asyncio.create_task(newest.take())
        await asyncio.sleep(0)
        newest.close()
        return [first, taken, replaced, last, await waiting]

    assert asyncio.run(talk()) == [False, Frame(1, b"1", 0.5), [False, True], Frame(3, b"3", 2), None]


def test_answers_are_smoothed_by_when_frames_came_however_long_they_waited(
    client: TestClient, toys: SimpleNamespace, detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []
    add = Calm.add
    monkeypatch.setattr(Calm, "add", lambda self, photo, time_s: times.append(time_s) or add(self, photo, time_s))
    with client.websocket_connect("ws://localhost/v1/stream") as stream:
        detector.hold.clear()
        stream.send_bytes(toys.photo())
        end = time.monotonic() + 10
        while waiting_or_taken(client) < 1 and time.monotonic() < end:
            time.sleep(0.01)
        answered = time.monotonic()
        detector.hold.set()
        stream.receive_json()
    [came] = times
    assert came <= answered  # the loop's clock is this one


def shown(predictor: Predictor, detector: Any, data: bytes) -> Photo:
    [looked] = PhotoReader(predictor, detector=detector, find="detect").stream(data)
    return looked.photo


def test_answers_follow_slowly_and_say_what_they_have_become(
    predictor: Predictor, detector: Any, toys: SimpleNamespace
) -> None:
    first, second = (shown(predictor, detector, toys.photo(100, 130, seed=seed)) for seed in (1, 2))
    calm = Calm(predictor.spec, smooth_s=1)
    assert calm.add(first, 0).photo == replace(first, faces=calm.add(first, 0).photo.faces)
    [face] = calm.add(second, 1).photo.faces
    kept = np.exp(-1)
    for name, value in face.probabilities.items():
        expected = kept * first.faces[0].probabilities[name] + (1 - kept) * second.faces[0].probabilities[name]
        assert value == pytest.approx(expected, abs=1e-6)
    assert face.label == max(face.probabilities, key=face.probabilities.__getitem__)
    assert face.unsure == (face.probability < predictor.spec.abstain_below)


def test_a_frame_without_faces_is_no_error(predictor: Predictor, detector: Any, toys: SimpleNamespace) -> None:
    followed = Calm(predictor.spec, smooth_s=1).add(shown(predictor, detector, toys.photo(80, 130)), 0)
    assert (followed.photo.faces, followed.numbers) == ((), ())
