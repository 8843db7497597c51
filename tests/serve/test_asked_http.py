"""What may be asked of the server besides the picture: how faces are found, labels, heads, the model itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from http_toys import send, the_error
from starlette.testclient import TestClient

from mien.core.labels import FER2013, FERPLUS8
from mien.deploy.photos import PhotoReader
from mien.deploy.runtime import Predictor


def test_faces_crop_takes_the_whole_picture_for_a_face(client: TestClient, toys: SimpleNamespace) -> None:
    [picture] = send(client, toys.photo(90, 130), faces="crop").json()["pictures"]
    assert picture["is_crop"]
    assert picture["faces"][0]["box"] == {"left": 0, "top": 0, "right": 90, "bottom": 130}


def test_another_label_set_can_be_asked_for(client: TestClient, toys: SimpleNamespace) -> None:
    [picture] = send(client, toys.photo(), labels="ferplus8").json()["pictures"]
    assert list(picture["faces"][0]["probabilities"]) == list(FERPLUS8.names)


def test_a_head_can_be_asked_for_and_its_answer_in_other_labels(
    client: TestClient, toys: SimpleNamespace, predictor: Predictor, detector: Any
) -> None:
    told = client.get("/v1/model").json()
    assert told["head"] == "fer2013"
    assert told["heads"] == {head.name: list(head.labels) for head in predictor.spec.heads}
    data = toys.photo()
    for query in ({"head": "ferplus8"}, {"head": "ferplus8", "labels": "fer2013"}):
        [own, *_] = PhotoReader(predictor, detector=detector, **query).read(data)
        [face, *_] = send(client, data, **query).json()["pictures"][0]["faces"]
        assert face["probabilities"] == pytest.approx(own.probabilities, abs=1e-6)
        assert len(face["probabilities"]) == (7 if "labels" in query else 8)
    error = the_error(send(client, data, head="ferplus"), 422, "invalid_parameter")
    assert "no head 'ferplus'" in error["message"]
    assert error["hint"] == "did you mean 'ferplus8'?"


@pytest.mark.parametrize(("query", "place"), [({"faces": "all"}, "faces"), ({"labels": "emoji"}, "labels")])
def test_a_wrong_parameter_is_named(
    client: TestClient, toys: SimpleNamespace, query: dict[str, str], place: str
) -> None:
    assert place in the_error(send(client, toys.photo(), **query), 422, "invalid_parameter")["message"]


def test_the_model_says_what_it_is_and_what_may_be_asked(client: TestClient) -> None:
    told = client.get("/v1/model").json()
    assert told["labels"] == list(FER2013.names)
    assert (told["model"], told["architecture"], told["unsure_below"]) == ("linear", "linear", 0.2)
    assert (told["max_body_bytes"], told["max_pixels"], told["max_pictures"]) == (8 * 2**20, 25_000_000, 16)
