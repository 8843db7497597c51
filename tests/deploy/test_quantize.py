"""Smaller files: they answer nearly as the model does, take raw pictures, know themselves, and say whether they pay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from deploy_toys import SIDE, Linear, structured

from mien.cli.app import run as mien
from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data.dataset import Dataset
from mien.deploy import pays, quantize
from mien.deploy.onnx_file import scan
from mien.deploy.pays import compare
from mien.deploy.quantize import calibration_rows, quantize_int8, store_half
from mien.deploy.runtime import Predictor

CPU = Path("/proc/cpuinfo")
HAS_VNNI = not CPU.exists() or "vnni" in CPU.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def fp32(exported_run: Path) -> Path:
    return exported_run / "export" / "model.onnx"


@pytest.fixture(scope="module")
def int8(fp32: Path, structured_set: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = np.asarray(structured_set.images[calibration_rows(structured_set)])
    return quantize_int8(fp32, pictures, tmp_path_factory.mktemp("int8") / "model.int8.onnx")


@pytest.fixture(scope="module")
def fp16(fp32: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store_half(fp32, tmp_path_factory.mktemp("fp16") / "model.fp16.onnx")


def furthest(one: Path, other: Path) -> float:
    """The largest difference of a probability of any head, on pictures that calibration has not seen."""
    pictures = structured(64, SIDE, SIDE, seed=9)
    first, second = (Predictor(path).probabilities(pictures) for path in (one, other))
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


def apart(one: Path, other: Path) -> float:
    """The mean difference of a probability: the toy's logits are steep, so that single ones move far."""
    pictures = structured(64, SIDE, SIDE, seed=9)
    first, second = (Predictor(path).probabilities(pictures) for path in (one, other))
    return max(float(np.abs(first[name] - second[name]).mean()) for name in first)


def weight_types(model: Path) -> dict[str, int]:
    """Values in weights of more than one dimension, by type."""
    found: dict[str, int] = {}
    for tensor in onnx.load(model).graph.initializer:
        if len(tensor.dims) > 1:
            name = onnx.TensorProto.DataType.Name(tensor.data_type)
            found[name] = found.get(name, 0) + int(np.prod(tensor.dims))
    return found


def test_int8_answers_nearly_as_the_model_and_not_exactly(
    fp32: Path, int8: Path, structured_set: Dataset, tmp_path: Path
) -> None:
    pictures = np.asarray(structured_set.images[calibration_rows(structured_set)])
    portable = quantize_int8(fp32, pictures, tmp_path / "portable.onnx", reduce_range=True)
    assert 1e-4 < apart(fp32, portable) < 0.02
    # Without VNNI sums of products of 8-bit weights can overflow (docs/models.md), which is what 7 bits are for.
    if HAS_VNNI:
        assert 1e-4 < apart(fp32, int8) < 0.02


def test_fp16_answers_as_the_model_but_for_rounding(fp32: Path, fp16: Path) -> None:
    assert 0 < furthest(fp32, fp16) < 5e-3


def test_weights_are_bytes_the_first_convolution_gets_pixels_and_logits_are_not_rounded(int8: Path) -> None:
    types = weight_types(int8)
    assert types["INT8"] > 10 * types.get("FLOAT", 0)
    made = {node.output[0]: node for node in onnx.load(int8).graph.node}
    first = next(node for node in made.values() if node.op_type == "Conv")
    before, name = [], first.input[0]
    while name != "pixels":
        before.append(made[name].op_type)
        name = made[name].input[0]
    assert before[0] == "DequantizeLinear"
    assert set(before[1:]) <= {"Slice", "Unsqueeze"}, "nothing is computed of the pixels"
    last = [node for node in made.values() if node.output[0].startswith("probabilities_")]
    assert [node.op_type for node in last] == ["Softmax", "Softmax"]
    assert [made[node.input[0]].op_type for node in last] == ["Gemm", "Gemm"]


def test_the_file_is_made_lean_and_answers_as_before(
    fp32: Path, int8: Path, structured_set: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize, "lean", lambda model: model)
    pictures = np.asarray(structured_set.images[calibration_rows(structured_set)])
    before = quantize_int8(fp32, pictures, tmp_path / "before.onnx")
    strides = []
    for path in (before, int8):
        first = next(node for node in onnx.load(path).graph.node if node.op_type == "Conv")
        strides.append({a.name: onnx.helper.get_attribute_value(a) for a in first.attribute}["strides"])
    assert strides == [[1, 1], [2, 2]]
    assert 0 < apart(before, int8) < apart(fp32, before)  # logits alone, which are not rounded any more


def test_weights_have_a_scale_for_each_channel(int8: Path) -> None:
    graph = onnx.load(int8).graph
    tensors = {t.name: t for t in graph.initializer}
    read = [node.input for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in tensors]
    convolutions = [(tensors[weights], tensors[steps]) for weights, steps, _ in read if len(tensors[weights].dims) == 4]
    assert len(convolutions) == sum(node.op_type == "Conv" for node in graph.node) > 0
    for weights, steps in convolutions:
        assert list(steps.dims) == [weights.dims[0]]


def test_signed_activations_and_seven_bits_can_be_asked_for(
    fp32: Path, int8: Path, structured_set: Dataset, tmp_path: Path
) -> None:
    pictures = np.asarray(structured_set.images[calibration_rows(structured_set)])
    other = quantize_int8(fp32, pictures, tmp_path / "s8.onnx", activations="s8", reduce_range=True)
    assert 1e-4 < apart(fp32, other) < 0.03

    def largest(model: Path) -> int:
        weights = [t for t in onnx.load(model).graph.initializer if t.data_type == onnx.TensorProto.INT8 and t.dims]
        return max(int(np.abs(onnx.numpy_helper.to_array(t).astype(int)).max()) for t in weights if len(t.dims) == 4)

    assert largest(other) <= 64 < largest(int8)


@pytest.mark.parametrize("kind", ["int8", "fp16"])
def test_the_spec_travels_and_says_what_the_file_is(kind: str, fp32: Path, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(kind)
    before, after = Predictor(fp32).spec, Predictor(path).spec
    assert after.provenance == before.provenance | {"precision": kind}
    assert after.model_copy(update={"provenance": before.provenance}) == before
    assert not scan(path.read_bytes()).has_external_data
    assert str(path.parent).encode() not in path.read_bytes()
    with pytest.raises(MienError, match=f"is {kind} already\n.*fp32"):
        store_half(path, path.with_name("again.onnx"))


def test_an_fp16_file_is_smaller(fp32: Path, fp16: Path) -> None:
    assert fp16.stat().st_size < fp32.stat().st_size
    assert weight_types(fp16).get("FLOAT16", 0) > 10 * weight_types(fp16).get("FLOAT", 0)


def test_the_same_pictures_give_the_same_file(fp32: Path, int8: Path, structured_set: Dataset, tmp_path: Path) -> None:
    pictures = np.asarray(structured_set.images[calibration_rows(structured_set)])
    assert quantize_int8(fp32, pictures, tmp_path / "b.onnx").read_bytes() == int8.read_bytes()


def test_calibration_takes_training_pictures_spread_over_all_classes(structured_set: Dataset) -> None:
    rows = calibration_rows(structured_set, 14)
    assert len(rows) == 14
    assert set(structured_set.split[rows]) == {"train"}
    assert set(structured_set.label[rows]) == set(range(7))
    with pytest.raises(MienError, match="at least one picture"):
        calibration_rows(structured_set, 0)


def test_what_cannot_be_quantised_is_said(fp32: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"takes uint8 pictures \(N, 28, 28\).*\(3, 9, 9\)\n.*--size 28"):
        quantize_int8(fp32, structured(3, 9, 9), tmp_path / "out.onnx")
    model = Linear(tmp_path / "large.onnx", [FER2013])
    graph = model.graph()
    tensor = graph.graph.initializer[0]
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(tensor.dims, 1e6, np.float32), tensor.name))
    with pytest.raises(MienError, match="weight_fer2013 are too large for fp16"):
        store_half(model.save(graph), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_a_smaller_file_pays_only_if_it_gains_and_loses_at_most_half_a_point(
    fp32: Path, int8: Path, fp16: Path, structured_set: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pays, "MOST_LOST", 1.0)
    monkeypatch.setattr(pays, "speed_ratio", lambda *_, **__: 1.5)
    found = compare(fp32, int8, structured_set, calibration_pictures=56)
    assert (found.precision, found.speed_ratio, found.pays) == ("int8", 1.5, True)
    assert list(found.accuracy_change) == ["labels"]
    monkeypatch.setattr(pays, "speed_ratio", lambda *_, **__: 0.9)
    assert not compare(fp32, int8, structured_set).pays
    assert compare(fp32, fp16, structured_set).pays
    monkeypatch.setattr(pays, "MOST_LOST", -1.0)
    assert not compare(fp32, fp16, structured_set).pays
    with pytest.raises(MienError, match="is fp32, there is nothing to compare"):
        compare(fp32, fp32, structured_set)


class Timed:
    """Stands in for a predictor and for the clock: an answer takes as long as the file's name says, at times longer."""

    now = 0.0
    answers = 0

    def __init__(self, path: Path, *, threads: int) -> None:
        assert threads == 1
        self.seconds = float(path.stem)

    def probabilities(self, faces: np.ndarray) -> None:
        assert len(faces) == 1
        Timed.answers += 1
        Timed.now += self.seconds + (50.0 if Timed.answers % 30 == 0 else 0.0)  # the machine was busy

    @staticmethod
    def perf_counter() -> float:
        return Timed.now


def test_speed_is_that_of_the_first_over_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pays, "Predictor", Timed)
    monkeypatch.setattr(pays, "time", Timed)
    faces = structured(4, 32, 32)
    assert pays.speed_ratio(Path("3.onnx"), Path("2.onnx"), faces, turns=9) == pytest.approx(1.5)
    assert pays.speed_ratio(Path("2.onnx"), Path("3.onnx"), faces, turns=9) == pytest.approx(1 / 1.5)
    assert Timed.answers == 2 * 2 * (1 + 9) * 4


def test_the_verb_writes_measures_and_tells(
    exported_run: Path, structured_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "small.onnx"
    arguments = ["quantize", str(exported_run), str(structured_set.path), "--pictures", "20", "--out", str(out)]
    assert mien([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["bytes"], told["calibration_pictures"]) == (str(out), out.stat().st_size, 20)
    assert told["speed_ratio"] > 0
    assert mien([*arguments, "--to", "fp16"]) == 0
    printed = capsys.readouterr().out
    assert "accuracy" in printed
    assert "times as fast as fp32" in printed
    model = exported_run / "export" / "model.onnx"
    assert mien(["quantize", str(model), str(structured_set.path), "--out", str(model)]) == 2
    assert "would be replaced" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--split", "nosplit"], "no picture in split 'nosplit'"),
        (["--out", "."], "is a folder"),
        (["--out", "notes.txt"], "notes.txt: does not end in .onnx"),
    ],
)
def test_what_cannot_be_measured_or_written_is_said_before_the_work(
    more: list[str],
    message: str,
    exported_run: Path,
    structured_set: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert mien(["quantize", str(exported_run), str(structured_set.path), "--out", "small.onnx", *more]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
