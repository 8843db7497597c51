"""Rounding the first layer: its output stays what it was, above all on plain grey; nothing else in the file changes."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mien.data.dataset import Dataset
from mien.deploy import quantize
from mien.deploy.quantize import calibration_rows, quantize_int8
from mien.deploy.rounding import round_rows, second_moments


def smooth(k: int, rng: np.random.Generator) -> np.ndarray:
    """Moments of neighbours that are nearly equal, as pixels are."""
    common, own = rng.normal(0, 1, (500, 1)), rng.normal(0, 0.1, (500, k))
    seen = common + own
    return seen.T @ seen / len(seen)


def error(rows: np.ndarray, weights: np.ndarray, moments: np.ndarray) -> np.ndarray:
    off = rows - weights
    return np.einsum("oi,ij,oj->o", off, moments, off)


def test_of_all_roundings_up_and_down_about_the_best_is_taken() -> None:
    rng = np.random.default_rng(0)
    moments, weights = smooth(6, rng), rng.uniform(-9, 9, (40, 6))
    found = error(round_rows(weights, moments, 10), weights, moments)
    all_of_them = np.array(list(product((0, 1), repeat=6)))
    best = np.min([error(np.floor(weights) + up, weights, moments) for up in all_of_them], axis=0)
    nearest = error(np.rint(weights), weights, moments)
    assert (found <= nearest + 1e-9).all()
    assert found.mean() < 1.1 * best.mean() < 0.3 * nearest.mean()


def test_integers_stay_within_the_limit_and_beside_their_weights() -> None:
    rng = np.random.default_rng(1)
    weights = rng.uniform(-64, 64, (20, 9))
    weights[:, 0] = 64
    rounded = round_rows(weights, smooth(9, rng), 64)
    assert rounded.dtype == np.int8
    assert np.abs(rounded.astype(int)).max() <= 64
    assert (np.abs(rounded - weights) <= 1).all()
    whole = np.rint(weights)
    np.testing.assert_array_equal(round_rows(whole, smooth(9, rng), 64), whole)


def test_moments_are_those_of_what_the_kernel_sees() -> None:
    inputs = np.random.default_rng(2).normal(0, 1, (3, 2, 5, 4)).astype(np.float32)
    padded = np.pad(inputs, ((0, 0), (0, 0), (1, 0), (0, 1)))
    seen = [padded[n, :, y : y + 3, x : x + 2].ravel() for n, y, x in product(range(3), range(4), range(4))]
    found = second_moments(inputs, (3, 2), (1, 0, 0, 1))
    np.testing.assert_allclose(found, np.mean([np.outer(one, one) for one in seen], 0), rtol=1e-5, atol=1e-6)


def test_the_first_layer_of_a_file_answers_nearer_to_the_exported_one(
    exported_run: Path, structured_set: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = np.asarray(structured_set.images[calibration_rows(structured_set)])
    exported = exported_run / "export" / "model.onnx"
    monkeypatch.setattr(quantize, "lean", lambda model: model)  # which repeats the first layer's weights
    together = quantize_int8(exported, pictures, tmp_path / "together.onnx", reduce_range=True)
    monkeypatch.setattr(quantize, "round_first_layer", lambda *_: None)
    alone = quantize_int8(exported, pictures, tmp_path / "alone.onnx", reduce_range=True)
    assert different(together, alone) == 1
    weights = next(numpy_helper.to_array(t) for t in onnx.load(exported).graph.initializer if len(t.dims) == 4)
    plain = [np.abs(to_grey(first_weights(path)) - to_grey(weights)).mean() for path in (together, alone)]
    assert plain[0] < 0.7 * plain[1]


def different(one: Path, other: Path) -> int:
    """How many stored tensors of two files differ."""
    first, second = ({t.name: numpy_helper.to_array(t) for t in onnx.load(p).graph.initializer} for p in (one, other))
    assert first.keys() == second.keys()
    return sum(not np.array_equal(first[name], second[name]) for name in first)


def first_weights(path: Path) -> np.ndarray:
    """Those of the first convolution, in units of the exported file."""
    graph = onnx.load(path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    layer = next(node for node in graph.node if node.op_type == "Conv")
    made = next(node for node in graph.node if node.output[0] == layer.input[1])
    integers, steps = stored[made.input[0]], stored[made.input[1]]
    return integers * steps.reshape(-1, 1, 1, 1)


def to_grey(weights: np.ndarray) -> np.ndarray:
    """What each row answers to a plain picture."""
    return weights.sum((1, 2, 3))
