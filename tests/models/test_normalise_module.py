"""Normalisation against plain numpy definitions, and through an exported graph."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from mien.core import spec
from mien.core.errors import MienError
from mien.models.normalise import Normalise

KINDS = ("unit", "symmetric", "dataset", "picture", "equalise")


def pictures(*shape: int, low: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(1).integers(low, high, shape).astype(np.uint8)


def normalise(kind: str, x: np.ndarray, **figures: tuple[float, ...]) -> np.ndarray:
    module = Normalise(spec.Normalise(kind=kind, **figures), x.shape[1])
    return module(torch.from_numpy(x)).numpy()


def equalised(channel: np.ndarray) -> np.ndarray:
    """Histogram equalisation of one channel, pixel by pixel, to −1…1."""
    values = channel.ravel().tolist()
    lowest = values.count(min(values))
    rank = [(sum(v <= p for v in values) - lowest) / max(len(values) - lowest, 1) for p in values]
    return (np.array(rank) * 2 - 1).reshape(channel.shape)


def test_unit_is_zero_to_one() -> None:
    x = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    np.testing.assert_allclose(normalise("unit", x), x / 255.0, atol=1e-6)


def test_symmetric_is_minus_one_to_one() -> None:
    x = np.array([[[[0, 255]]]], np.uint8)
    np.testing.assert_allclose(normalise("symmetric", x), [[[[-1, 1]]]], atol=1e-6)


def test_dataset_uses_each_channels_figures() -> None:
    x, mean, std = pictures(2, 3, 5, 4), (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    wanted = (x / 255 - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
    np.testing.assert_allclose(normalise("dataset", x, mean=mean, std=std), wanted, atol=2e-6)


def test_one_figure_serves_all_channels() -> None:
    x = pictures(1, 3, 5, 4)
    np.testing.assert_allclose(normalise("dataset", x, mean=(0.5,), std=(0.2,)), (x / 255 - 0.5) / 0.2, atol=2e-6)


@pytest.mark.parametrize(
    "figures", [{}, {"mean": (0.5,)}, {"mean": (0.5,), "std": (0.0,)}, {"mean": (1, 2), "std": (1, 2)}]
)
def test_dataset_without_fitting_figures_is_refused(figures: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(MienError, match="mean and positive std for 3 channel"):
        Normalise(spec.Normalise(kind="dataset", **figures), 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_gives_each_picture_mean_zero_and_deviation_one(channels: int) -> None:
    x = pictures(3, channels, 8, 8)
    x[1] //= 4
    flat = x.reshape(3, -1).astype(np.float64)
    wanted = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    np.testing.assert_allclose(normalise("picture", x).reshape(3, -1), wanted, atol=1e-5)


def test_a_constant_picture_becomes_zeros() -> None:
    assert not normalise("picture", np.full((1, 1, 4, 4), 77, np.uint8)).any()


@pytest.mark.parametrize(("low", "high"), [(0, 256), (100, 110), (255, 256)], ids=["full", "narrow", "constant"])
def test_equalise_ranks_each_channels_levels(low: int, high: int) -> None:
    x = pictures(2, 3, 6, 7, low=low, high=high)
    wanted = np.stack([[equalised(channel) for channel in picture] for picture in x])
    np.testing.assert_allclose(normalise("equalise", x), wanted, atol=1e-6)


def test_equalise_is_opencvs_table_before_rounding() -> None:
    """The example of OpenCV's formula: four levels, the lowest becomes 0 and the highest 255."""
    x = np.array([[[[52, 55, 61, 52], [79, 61, 52, 79]]]], np.uint8)
    wanted = {52: 0.0, 55: 1 / 5, 61: 3 / 5, 79: 1.0}
    expected = np.vectorize(wanted.get)(x) * 2 - 1
    np.testing.assert_allclose(normalise("equalise", x), expected, atol=1e-6)


def test_equalise_rounds_pictures_that_augmentation_made_fractional() -> None:
    x = pictures(1, 1, 6, 6, low=10, high=200).astype(np.float32)
    np.testing.assert_array_equal(normalise("equalise", x + 0.4), normalise("equalise", x))


@pytest.mark.parametrize("kind", KINDS)
def test_uint8_and_float_of_the_same_values_agree(kind: str) -> None:
    x = pictures(2, 1, 6, 6)
    figures = {"mean": (0.5,), "std": (0.2,)}
    np.testing.assert_array_equal(normalise(kind, x, **figures), normalise(kind, x.astype(np.float32), **figures))


@pytest.mark.parametrize("kind", ["picture", "equalise"])
def test_a_picture_does_not_depend_on_its_batch(kind: str) -> None:
    x = pictures(3, 1, 6, 6)
    np.testing.assert_allclose(normalise(kind, x)[1:2], normalise(kind, x[1:2]), atol=1e-6)


def test_normalisation_keeps_nothing_among_the_weights() -> None:
    assert not Normalise(spec.Normalise(kind="dataset", mean=(0.5,), std=(0.2,)), 1).state_dict()


class PerPicture(torch.nn.Module):
    """Both kinds that look at a whole picture, in one graph: exporting is slow."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = Normalise(spec.Normalise(kind="picture"), 1)
        self.equalise = Normalise(spec.Normalise(kind="equalise"), 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.picture(x), self.equalise(x)


def test_the_exported_graph_computes_the_same_for_any_batch(tmp_path: Path) -> None:
    path = tmp_path / "normalise.onnx"
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        program = torch.onnx.export(
            PerPicture().eval(),
            (torch.zeros(2, 1, 9, 9, dtype=torch.uint8),),
            dynamo=True,
            dynamic_shapes=(batch,),
            verbose=False,
        )
        program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = pictures(5, 1, 9, 9)
    x[2] = 40
    found = session.run(None, {session.get_inputs()[0].name: x})
    for kind, exported in zip(("picture", "equalise"), found, strict=True):
        np.testing.assert_allclose(exported, normalise(kind, x), atol=1e-5)
