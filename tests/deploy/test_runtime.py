"""Predictor: every kind of picture in, the same answers out; and what it refuses."""

from __future__ import annotations

import io
import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from deploy_toys import Linear, structured
from PIL import Image

import mien
from mien.core.errors import MienError
from mien.core.labels import FER2013, FERPLUS8, LabelSet
from mien.core.rundir import RunDir
from mien.data.formats.base import Shape
from mien.data.formats.resize import resize
from mien.deploy import shipped
from mien.deploy.pictures import to_input
from mien.deploy.runtime import Prediction, Predictor

MakeLinear = Callable[..., Linear]


def as_png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def rows(predictions: list[Prediction]) -> np.ndarray:
    return np.array([list(p.probabilities.values()) for p in predictions])


def test_every_kind_of_picture_gets_the_answer_of_the_formula(linear: MakeLinear, tmp_path: Path) -> None:
    model, pictures = linear(), structured(3, 6, 6)
    expected = model.answers(pictures, "fer2013")
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for file, picture in zip(files, pictures, strict=True):
        file.write_bytes(as_png(picture))
    predictor = Predictor(model.path)
    forms = {
        "paths": files,
        "path strings": [str(file) for file in files],
        "bytes": [as_png(picture) for picture in pictures],
        "PIL pictures": [Image.fromarray(picture) for picture in pictures],
        "arrays": list(pictures),
        "colour arrays": list(np.repeat(pictures[..., None], 3, axis=3)),
        "arrays with a channel": list(pictures[..., None]),
        "one batch": pictures,
        "a batch in a list": [pictures[:2], pictures[2]],
        "a generator": (picture for picture in pictures),
        "named": [(f"name {i}", picture) for i, picture in enumerate(pictures)],
    }
    for form, asked in forms.items():
        np.testing.assert_allclose(rows(predictor.predict(asked)), expected, atol=1e-6, err_msg=form)


def test_a_single_picture_is_answered_by_a_list_of_one(linear: MakeLinear, tmp_path: Path) -> None:
    model, picture = linear(), structured(1, 6, 6)[0]
    (tmp_path / "face.png").write_bytes(as_png(picture))
    predictor = Predictor(model.path)
    for one in (picture, as_png(picture), Image.fromarray(picture), tmp_path / "face.png", str(tmp_path / "face.png")):
        assert len(predictor.predict(one)) == 1


def test_a_prediction_names_picture_label_and_all_probabilities(linear: MakeLinear, tmp_path: Path) -> None:
    model, picture = linear(), structured(1, 6, 6)[0]
    file = tmp_path / "face.png"
    file.write_bytes(as_png(picture))
    expected = model.answers(picture[None], "fer2013")[0]
    by_path, by_array, by_name = Predictor(model.path).predict([file, picture, ("mine", picture)])
    assert (by_path.source, by_array.source, by_name.source) == (str(file), "#1", "mine")
    assert tuple(by_path.probabilities) == FER2013.names
    assert by_path.label == FER2013.names[expected.argmax()]
    assert by_path.probability == by_path.probabilities[by_path.label] == pytest.approx(expected.max(), abs=1e-6)
    assert sum(by_path.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert not by_path.unsure


@pytest.mark.parametrize("size", [(6, 6), (31, 20), (5, 9), (64, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_preparing_is_what_import_does(linear: MakeLinear, size: tuple[int, int], channels: int) -> None:
    picture = Image.fromarray(structured(1, *size, channels=3)[0])
    prepared = to_input(picture, linear(channels=channels).spec)
    np.testing.assert_array_equal(prepared, resize(picture, Shape(6, 6, channels)))


def test_of_an_oblong_picture_the_centre_square_is_answered(linear: MakeLinear) -> None:
    model, square = linear(), structured(1, 6, 6)[0]
    wide = np.pad(square, ((0, 0), (5, 5)), constant_values=255)
    np.testing.assert_allclose(rows(Predictor(model.path).predict(wide)), model.answers(square[None], "fer2013"), 1e-5)


def test_colour_models_are_given_colour(linear: MakeLinear) -> None:
    model, pictures = linear(channels=3), structured(4, 6, 6, channels=3)
    predictor = Predictor(model.path)
    np.testing.assert_allclose(rows(predictor.predict(pictures)), model.answers(pictures, "fer2013"), atol=1e-6)
    grey = pictures[..., 0]
    repeated = np.repeat(grey[..., None], 3, axis=3)
    np.testing.assert_allclose(rows(predictor.predict(grey)), model.answers(repeated, "fer2013"), atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_answers_do_not_depend_on_the_batch_size(linear: MakeLinear, batch_size: int) -> None:
    model, pictures = linear(), structured(11, 6, 6)
    predictor, expected = Predictor(model.path), model.answers(pictures, "fer2013")
    np.testing.assert_allclose(rows(predictor.predict(pictures, batch_size=batch_size)), expected, atol=1e-6)
    by_head = predictor.probabilities(pictures, batch_size=batch_size)
    np.testing.assert_allclose(by_head["fer2013"], expected, atol=1e-6)


def test_a_stream_takes_no_more_than_a_batch_ahead(linear: MakeLinear) -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        for picture in itertools.cycle(structured(3, 6, 6)):
            taken += 1
            yield picture

    answers = Predictor(linear().path).stream(endless(), batch_size=4)
    assert len(list(itertools.islice(answers, 9))) == 9
    assert taken == 12


def test_twenty_threads_on_one_predictor_get_their_own_answers(linear: MakeLinear) -> None:
    model, pictures = linear(), structured(40, 6, 6)
    predictor, expected = Predictor(model.path), model.answers(pictures, "fer2013")

    def ask(start: int) -> float:
        asked = np.roll(pictures, -start, axis=0)
        found = rows(predictor.predict(list(asked), batch_size=3 + start % 5))
        return float(abs(found - np.roll(expected, -start, axis=0)).max())

    with ThreadPoolExecutor(20) as pool:
        assert max(pool.map(ask, range(60))) < 1e-6


def test_a_net_of_ferplus_answers_the_seven_of_fer2013(linear: MakeLinear) -> None:
    model, pictures = linear(FERPLUS8), structured(9, 6, 6)
    own = model.answers(pictures, "ferplus8")
    order = [4, 5, 6, 1, 3, 2, 0]  # anger, disgust, fear, happiness, sadness, surprise, neutral in FER+'s order
    expected = own[:, order] / own[:, order].sum(1, keepdims=True)
    predictions = Predictor(model.path).predict(pictures, labels="fer2013")
    np.testing.assert_allclose(rows(predictions), expected, atol=1e-6)
    assert [p.label for p in predictions] == [FER2013.names[i] for i in expected.argmax(1)]


def test_the_head_that_fits_the_wanted_labels_is_asked(linear: MakeLinear) -> None:
    model, pictures = linear(FER2013, FERPLUS8), structured(5, 6, 6)
    predictor = Predictor(model.path)
    asked = {
        "fer2013": [{}, {"labels": "fer2013"}, {"head": "fer2013"}, {"labels": FER2013}],
        "ferplus8": [{"labels": "ferplus8"}, {"head": "ferplus8"}, {"labels": "ferplus8", "head": "ferplus8"}],
    }
    for head, forms in asked.items():
        for form in forms:
            found = rows(predictor.predict(pictures, **form))
            np.testing.assert_allclose(found, model.answers(pictures, head), atol=1e-6, err_msg=str(form))
    through = rows(predictor.predict(pictures, labels="fer2013", head="ferplus8"))
    assert abs(through - model.answers(pictures, "fer2013")).max() > 0.01


def test_an_answer_below_the_threshold_is_unsure(linear: MakeLinear) -> None:
    pictures = structured(30, 6, 6)
    threshold = float(np.median(linear().answers(pictures, "fer2013").max(1)))
    predictions = Predictor(linear(abstain_below=threshold).path).predict(pictures)
    assert {p.unsure for p in predictions} == {True, False}
    assert all(p.unsure == (p.probability < threshold) for p in predictions)


def test_no_pictures_give_no_answers(linear: MakeLinear) -> None:
    predictor = Predictor(linear().path)
    assert predictor.predict([]) == []
    assert predictor.probabilities(np.zeros((0, 6, 6), np.uint8))["fer2013"].shape == (0, 7)


def test_a_picture_that_cannot_be_read_stops_unless_someone_is_told(linear: MakeLinear, tmp_path: Path) -> None:
    model, pictures = linear(), structured(2, 6, 6)
    (tmp_path / "broken.png").write_bytes(as_png(pictures[0])[:-30])
    asked = [pictures[0], tmp_path / "broken.png", b"no picture", pictures[1]]
    predictor = Predictor(model.path)
    with pytest.raises(MienError, match=r"broken\.png"):
        predictor.predict(asked)
    told: dict[str, MienError] = {}
    found = list(predictor.stream(asked, on_error=lambda name, error: told.update({name: error})))
    assert [p.source for p in found] == ["#0", "#3"]
    np.testing.assert_allclose(rows(found), model.answers(pictures, "fer2013"), atol=1e-6)
    assert set(told) == {str(tmp_path / "broken.png"), "#2"}


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((6, 6), np.float32), "uint8, 0 to 255, got float32"),
        (np.zeros((6, 6, 4), np.uint8), r"shape \(H, W\) or \(H, W, 3\), got \(6, 6, 4\)"),
        (np.zeros((0, 6), np.uint8), "shape"),
        (["nowhere.png"], "nowhere.png: no such file"),
        ([b""], "not a picture"),
        ([3], "cannot look at a int"),
    ],
)
def test_what_is_no_picture_is_refused(linear: MakeLinear, picture: object, message: str) -> None:
    with pytest.raises(MienError, match=message):
        Predictor(linear().path).predict(picture)


@pytest.mark.parametrize(
    "pixels", [np.zeros((2, 6, 7), np.uint8), np.zeros((2, 6, 6, 3), np.uint8), np.zeros((2, 6, 6), np.float32)]
)
def test_probabilities_takes_pictures_of_the_right_size_only(linear: MakeLinear, pixels: np.ndarray) -> None:
    with pytest.raises(MienError, match=r"takes uint8 pictures \(N, 6, 6\), got"):
        Predictor(linear().path).probabilities(pixels)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"labels": "fer2014"}, "did you mean 'fer2013'"),
        ({"head": "votes"}, "no head 'votes'\n.*known: fer2013"),
        ({"labels": LabelSet(name="pets", names=("cat", "dog"))}, "knows none of the labels cat, dog"),
        ({"batch_size": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_answered_is_said_before_a_picture_is_read(
    linear: MakeLinear, wanted: dict[str, object], message: str
) -> None:
    with pytest.raises(MienError, match=message):
        Predictor(linear().path).stream(["nowhere.png"], **wanted)


def test_a_model_that_gives_nan_is_refused_when_it_answers(linear: MakeLinear) -> None:
    model = linear(FERPLUS8)
    model.weights["ferplus8"][:] = np.nan
    model.save(model.graph())
    for labels in (None, "fer2013"):
        with pytest.raises(MienError, match="NaN"):
            Predictor(model.path).predict(structured(1, 6, 6), labels=labels)


def without_spec(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def with_damaged_spec(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value = model.metadata_props[0].value[:-5]


def with_unknown_key(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value = '{"colour": 1, ' + model.metadata_props[0].value[1:]


def without_a_key(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value = model.metadata_props[0].value.replace('"architecture":"linear",', "")


def with_deep_spec(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value = 100_000 * "["


def with_external_data(model: onnx.ModelProto) -> None:
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "/etc/hostname")


def with_another_input(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value = model.metadata_props[0].value.replace('"height":6', '"height":7')


def without_an_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "logits_fer2013"


def with_an_unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Conjure"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_spec, "carries no mien spec"),
        (with_damaged_spec, "its spec cannot be read"),
        (with_deep_spec, "its spec cannot be read"),
        (with_unknown_key, "its spec: unknown key 'colour'"),
        (without_a_key, "its spec: architecture is missing$"),
        (with_external_data, "keeps tensors in other files"),
        (with_another_input, "its graph and its spec disagree"),
        (without_an_output, "its graph and its spec disagree"),
        (with_an_unknown_operator, "ONNX Runtime cannot load it"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_by_name(
    linear: MakeLinear, damage: Callable[[onnx.ModelProto], None], message: str
) -> None:
    model = linear()
    graph = model.graph()
    damage(graph)
    with pytest.raises(MienError, match=f"linear.onnx: {message}"):
        Predictor(model.save(graph))


@pytest.mark.parametrize(
    ("key", "number"),
    [
        *(("face_margin", number) for number in ("1e6", "1e300", "Infinity", "NaN", "0")),
        *(("face_shift", number) for number in ("1e30", "-2.1", "NaN")),
        *(("abstain_below", number) for number in ("-0.1", "1.1", "NaN")),
        *((key, "100000") for key in ("height", "width")),
    ],
)
def test_a_number_of_a_strangers_file_that_is_out_of_bounds_is_refused(
    linear: MakeLinear, key: str, number: str
) -> None:
    model = linear()
    graph = model.graph()
    said = graph.metadata_props[0]
    said.value = re.sub(f'"{key}":[^,]+', f'"{key}":{number}', said.value)
    with pytest.raises(MienError, match=rf"linear\.onnx: its spec: {key} = \S+ must be (above|at (least|most)) \S+$"):
        Predictor(model.save(graph))


def test_a_file_that_is_cut_off_or_no_model_is_refused(linear: MakeLinear, tmp_path: Path) -> None:
    whole = linear().path.read_bytes()
    for content in (whole[:-40], b"<html>not found</html>", b""):
        file = tmp_path / "damaged.onnx"
        file.write_bytes(content)
        with pytest.raises(MienError, match=r"damaged\.onnx"):
            Predictor(file)


def test_a_model_is_a_file_a_run_or_the_one_that_comes_with_mien(
    linear: MakeLinear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    (run / "weights").mkdir(parents=True)
    for wrong, message in [
        (tmp_path / "absent.onnx", "no such run or model"),
        (run, "not a run folder"),
        (run / "weights" / "best.safetensors", "mien export RUN"),
    ]:
        with pytest.raises(MienError, match=message):
            Predictor(wrong)
    (run / "recipe.toml").touch()
    with pytest.raises(MienError, match=f"no model.onnx yet\n.*mien export {run}"):
        Predictor(run)
    (run / "export").mkdir()
    linear().path.rename(run / "export" / "model.onnx")
    assert Predictor(run).path == run / "export" / "model.onnx"
    monkeypatch.setattr(shipped, "folder", lambda: tmp_path / "weights")
    with pytest.raises(MienError, match="comes without a trained model"):
        Predictor()


def test_the_public_names_of_mien_are_there_and_no_others() -> None:
    assert mien.Predictor is Predictor
    assert mien.Prediction is Prediction
    assert mien.MienError is MienError
    assert {"Predictor", "Prediction", "MienError", "__version__"} <= set(dir(mien))
    with pytest.raises(AttributeError, match="no attribute 'Predicter'"):
        mien.Predicter  # noqa: B018


def test_a_model_is_called_by_its_run_or_by_its_file(exported_run: Path, tmp_path: Path) -> None:
    assert Predictor(exported_run).name == exported_run.name
    elsewhere = Path(shutil.copy(RunDir(exported_run).exported, tmp_path / "mine.v2.onnx"))
    assert Predictor(elsewhere).name == "mine.v2"
    assert Predictor("expression-s").name == "expression-s"
