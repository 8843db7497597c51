"""Asking models: batches, modes, precision, colour, views, and files that are no models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mien.core.errors import MienError
from mien.core.files import write_text
from mien.core.labels import FER2013
from mien.core.rundir import RunDir
from mien.core.spec import Head, ModelSpec
from mien.deploy.runtime import INPUT, OUTPUT_PREFIX
from mien.deploy.shipped import shipped, shipped_file
from mien.evaluate import tta
from mien.evaluate.answerer import Pixels, TorchAnswerer, as_channels, evaluating, open_answerer
from mien.evaluate.predict import predict_probabilities
from mien.models.classifier import Classifier
from mien.models.store import save_weights

Net = Callable[..., Classifier]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 11, 64])
def test_the_batch_size_does_not_change_the_answers(net: Net, pictures: Pixels, batch_size: int) -> None:
    answerer = TorchAnswerer(net())
    whole = predict_probabilities(answerer, pictures, batch_size=11)
    parts = predict_probabilities(answerer, pictures, batch_size=batch_size)
    assert np.ptp(whole["fer2013"], axis=0).max() > 0.1  # the answers do differ from picture to picture
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", tta.NAMES)
def test_a_picture_is_answered_the_same_alone_and_among_others(net: Net, pictures: Pixels, name: str) -> None:
    answerer = TorchAnswerer(net())
    views = tta.variants(name, answerer.spec)
    together = predict_probabilities(answerer, pictures, variants=views)
    for i in range(len(pictures)):
        alone = predict_probabilities(answerer, pictures[i : i + 1], variants=views)
        np.testing.assert_allclose(alone["ferplus8"][0], together["ferplus8"][i], atol=1e-5, rtol=0)


def test_rows_are_answered_in_the_order_they_are_given(net: Net, pictures: Pixels) -> None:
    answerer, rows = TorchAnswerer(net()), np.array([9, 0, 4])
    some = predict_probabilities(answerer, pictures, rows=rows, batch_size=2)["fer2013"]
    np.testing.assert_allclose(some, predict_probabilities(answerer, pictures)["fer2013"][rows], atol=1e-5)


def test_no_rows_give_no_answers(net: Net, pictures: Pixels) -> None:
    none = predict_probabilities(TorchAnswerer(net()), pictures, rows=np.array([], int))
    assert {name: values.shape for name, values in none.items()} == {"fer2013": (0, 7), "ferplus8": (0, 8)}


def test_rows_sum_to_one(net: Net, pictures: Pixels) -> None:
    answerer = TorchAnswerer(net())
    for values in predict_probabilities(answerer, pictures, variants=tta.variants("flip", answerer.spec)).values():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values.sum(1), 1, atol=1e-6)


def test_views_are_averaged_as_probabilities(net: Net, pictures: Pixels) -> None:
    answerer = TorchAnswerer(net())
    mean = predict_probabilities(answerer, pictures, variants=tta.variants("flip", answerer.spec))["fer2013"]
    views = [answerer.probabilities(x)["fer2013"] for x in (pictures, pictures[:, :, ::-1])]
    assert np.abs(views[0] - views[1]).max() > 0.01
    np.testing.assert_allclose(mean, (views[0] + views[1]) / 2, atol=1e-6)


def test_flipping_a_symmetric_picture_changes_nothing(net: Net, pictures: Pixels) -> None:
    answerer = TorchAnswerer(net())
    symmetric = np.maximum(pictures, pictures[:, :, ::-1])
    flipped = predict_probabilities(answerer, symmetric, variants=tta.variants("flip", answerer.spec))
    np.testing.assert_allclose(flipped["fer2013"], predict_probabilities(answerer, symmetric)["fer2013"], atol=1e-6)


def test_dropout_and_norms_are_in_eval_mode_and_every_part_gets_its_mode_back(net: Net, pictures: Pixels) -> None:
    classifier = net().train()
    frozen = next(m for m in classifier.modules() if isinstance(m, torch.nn.BatchNorm2d)).eval()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    answers = [TorchAnswerer(classifier).probabilities(pictures)["fer2013"] for _ in range(2)]
    assert np.array_equal(*answers)
    assert classifier.training
    assert [m for m in classifier.modules() if not m.training] == [frozen]
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())


def test_modes_come_back_after_an_error(net: Net) -> None:
    classifier, seen = net().train(), []

    def fail() -> None:
        with evaluating(classifier):
            seen.extend(m.training for m in classifier.modules())
            raise RuntimeError("planned")

    with pytest.raises(RuntimeError, match="planned"):
        fail()
    assert not any(seen)
    assert all(m.training for m in classifier.modules())


def test_temperatures_are_applied(net: Net, pictures: Pixels) -> None:
    warm = Head(name="fer2013", labels=FER2013.names, temperature=2.5)
    cold = Head(name="fer2013", labels=FER2013.names)
    classifier = net(warm)
    with torch.no_grad():
        logits = classifier(torch.tensor(pictures))[0]
    answers = TorchAnswerer(classifier).probabilities(pictures)["fer2013"]
    np.testing.assert_allclose(answers, (logits / 2.5).softmax(1), atol=1e-6)
    assert answers.max() < TorchAnswerer(net(cold)).probabilities(pictures)["fer2013"].max()


def test_bf16_is_used_only_when_asked_for(net: Net, pictures: Pixels) -> None:
    classifier, seen = net(), []
    classifier.heads[0].register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    exact = TorchAnswerer(classifier).probabilities(pictures)["fer2013"]
    rough = TorchAnswerer(classifier, precision="bf16").probabilities(pictures)["fer2013"]
    assert seen == [torch.float32, torch.bfloat16]
    assert rough.dtype == np.float32
    assert 0 < np.abs(exact - rough).max() < 0.1


def test_progress_is_told_of_every_picture(net: Net, pictures: Pixels) -> None:
    done: list[int] = []
    predict_probabilities(TorchAnswerer(net()), pictures, batch_size=4, progress=done.append)
    assert done == [4, 4, 3]


def test_pictures_of_another_size_are_refused_with_both_sizes(net: Net) -> None:
    with pytest.raises(MienError, match="24×32 px, the model takes 20×20"):
        predict_probabilities(TorchAnswerer(net()), np.zeros((2, 24, 32), np.uint8))


def test_a_diverged_net_is_named_and_not_scored(net: Net, pictures: Pixels) -> None:
    classifier = net()
    torch.nn.init.constant_(classifier.heads[1].weight, float("nan"))
    with pytest.raises(MienError, match="rotten: head 'ferplus8' gives NaN for 11 of 11"):
        predict_probabilities(TorchAnswerer(classifier, name="rotten"), pictures)


def test_colour_becomes_grey_and_grey_colour_as_pillow_does_it() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), np.uint8)
    grey = np.stack([np.asarray(Image.fromarray(x).convert("L")) for x in colour])
    assert np.array_equal(as_channels(colour, 1), grey)
    again = np.stack([np.asarray(Image.fromarray(x).convert("RGB")) for x in grey])
    assert np.array_equal(as_channels(grey, 3), again)
    assert as_channels(colour, 3) is colour
    assert as_channels(grey, 1) is grey


def test_a_colour_net_answers_grey_pictures_and_a_grey_net_colour_ones(net: Net, pictures: Pixels) -> None:
    colour = np.repeat(pictures[..., None], 3, axis=3)
    for channels in (1, 3):
        answerer = TorchAnswerer(net(channels=channels))
        from_grey, from_colour = (predict_probabilities(answerer, x)["fer2013"] for x in (pictures, colour))
        assert np.array_equal(from_grey, from_colour)


def test_pixels_are_read_in_the_order_of_rows_columns_colours(net: Net) -> None:
    colour = np.random.default_rng(1).integers(0, 256, (3, 20, 20, 3), np.uint8)
    classifier = net(channels=3)
    with torch.no_grad():
        wanted = classifier(torch.tensor(np.moveaxis(colour, 3, 1).copy()))[0].softmax(1)
    np.testing.assert_allclose(TorchAnswerer(classifier).probabilities(colour)["fer2013"], wanted, atol=1e-6)


def test_read_only_memory_is_fine(net: Net, pictures: Pixels) -> None:
    pictures.flags.writeable = False
    assert len(TorchAnswerer(net()).probabilities(pictures)["fer2013"]) == 11


def write_onnx(path: Path, spec: ModelSpec, weight: np.ndarray) -> None:
    """A model whose one head is softmax(pixels · weight), with `spec` inside."""
    output = OUTPUT_PREFIX + spec.head().name
    nodes = [
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [output], axis=1),
    ]
    takes = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", spec.height, spec.width])
    gives = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", weight.shape[1]])
    graph = helper.make_graph(nodes, "linear", [takes], [gives], [numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, spec.to_metadata())
    onnx.save(model, path)


def test_an_exported_file_answers_through_the_same_door(
    spec_of: Callable[..., ModelSpec], pictures: Pixels, tmp_path: Path
) -> None:
    weight = np.random.default_rng(0).normal(0, 2e-3, (400, 7)).astype(np.float32)
    spec = spec_of(Head(name="fer2013", labels=FER2013.names), side=20)
    write_onnx(tmp_path / "net.onnx", spec, weight)
    answerer = open_answerer(tmp_path / "net.onnx")
    views = tta.variants("flip-shift", spec)

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x.reshape(len(x), -1) @ weight)
        return e / e.sum(1, keepdims=True)

    wanted = np.mean([softmax(tta.apply(pictures, view)) for view in views], axis=0)
    colour = np.repeat(pictures[..., None], 3, axis=3)
    for images in (pictures, colour):
        found = predict_probabilities(answerer, images, variants=views, batch_size=4)
        np.testing.assert_allclose(found["fer2013"], wanted, atol=1e-5)
    assert (answerer.spec, answerer.name) == (spec, str(tmp_path / "net.onnx"))


@pytest.fixture
def run_folder(net: Net, tmp_path: Path) -> RunDir:
    """A run with last weights only."""
    run, classifier = RunDir(tmp_path / "run"), net()
    write_text(run.recipe, "")
    save_weights(run.last, classifier.state_dict(), classifier.spec)
    return run


def test_a_run_answers_with_the_weights_asked_for(net: Net, run_folder: RunDir, pictures: Pixels) -> None:
    other = net(seed=1)
    save_weights(run_folder.best, other.state_dict(), other.spec)
    answers = {w: open_answerer(run_folder.path, weights=w).probabilities(pictures) for w in ("best", "last")}
    for which, classifier in (("best", other), ("last", net())):
        direct = TorchAnswerer(classifier).probabilities(pictures)
        assert np.array_equal(answers[which]["fer2013"], direct["fer2013"])


def test_a_run_without_the_weights_asked_for_names_those_it_has(run_folder: RunDir) -> None:
    with pytest.raises(MienError, match=r"no best weights\n.*--weights last"):
        open_answerer(run_folder.path)
    run_folder.last.unlink()
    with pytest.raises(MienError, match="train it for at least one epoch"):
        open_answerer(run_folder.path)


@pytest.mark.skipif(not shipped(), reason="no model is shipped")
def test_a_shipped_model_goes_by_its_name_unless_a_file_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = shipped()[0]
    pictures = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    by_name, by_file = (open_answerer(path).probabilities(pictures) for path in (Path(name), shipped_file(name)))
    assert all(np.array_equal(by_name[head], by_file[head]) for head in by_file)
    (tmp_path / name).mkdir()
    with pytest.raises(MienError, match="not a run folder"):
        open_answerer(Path(name))
    with pytest.raises(MienError, match=r"expression-x: no such run or model\n.*did you mean 'expression-"):
        open_answerer(Path("expression-x"))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "net.pt", "")
    for path, message in (("gone", "no such run or model"), ("net.pt", "not a model"), (".", "not a run folder")):
        with pytest.raises(MienError, match=message):
            open_answerer(tmp_path / path)
