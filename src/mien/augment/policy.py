"""AutoAugment and RandAugment: operations in a row, drawn from a list.

Geometric operations become part of a picture's one mapping; tone operations are tables of 256 values made from a
picture's histogram; sharpness and colour change pixels. Grey pictures have no colour to change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.augment import colour
from mien.augment.filters import sharpen
from mien.augment.params import AUTO, RAND, Floats, Ints, change_where, column, stream
from mien.core.recipe import AugmentConfig

NAMES = (
    *("Identity", "AutoContrast", "Equalize", "Rotate", "Solarize", "Color", "Posterize", "Contrast", "Brightness"),
    *("Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY", "Invert"),
)
ID = {name: number for number, name in enumerate(NAMES)}
# RandAugment's fourteen (arXiv 1909.13719, section 3): all but Invert.
RAND_OPERATIONS = len(NAMES) - 1

# AutoAugment's policy of CIFAR-10 (arXiv 1805.09501, table 7): pairs of operation, probability, magnitude 0–9.
CIFAR10 = (
    "Invert .1 7 Contrast .2 6, Rotate .7 2 TranslateX .3 9, Sharpness .8 1 Sharpness .9 3, "
    "ShearY .5 8 TranslateY .7 9, AutoContrast .5 8 Equalize .9 2, ShearY .2 7 Posterize .3 7, "
    "Color .4 3 Brightness .6 7, Sharpness .3 9 Brightness .7 9, Equalize .6 5 Equalize .5 1, "
    "Contrast .6 7 Sharpness .6 5, Color .7 7 TranslateX .5 8, Equalize .3 7 AutoContrast .4 8, "
    "TranslateY .4 3 Sharpness .2 6, Brightness .9 6 Color .2 8, Solarize .5 2 Invert .0 3, "
    "Equalize .2 0 AutoContrast .6 0, Equalize .2 8 Equalize .6 4, Color .9 9 Equalize .6 6, "
    "AutoContrast .8 4 Solarize .2 8, Brightness .1 3 Color .7 0, Solarize .4 5 AutoContrast .9 3, "
    "TranslateY .9 9 TranslateY .7 9, AutoContrast .9 2 Solarize .8 3, Equalize .8 8 Invert .1 3, "
    "TranslateY .7 9 AutoContrast .9 1"
)
_TONES = [
    ID[name] for name in ("AutoContrast", "Equalize", "Solarize", "Posterize", "Contrast", "Brightness", "Invert")
]
_FACTORS = [ID[name] for name in ("Color", "Contrast", "Brightness", "Sharpness")]
_GEOMETRY = [ID[name] for name in ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")]
# The greatest magnitudes (table 6), either way. The authors' code for CIFAR moves by up to 10 of 32 px, which is taken
# here; 150 of 331, as for ImageNet, hides half of a face.
_MOST = np.zeros(len(NAMES))
_MOST[_GEOMETRY] = np.deg2rad(30), 0.3, 0.3, 10 / 32, 10 / 32
_MOST[_FACTORS] = 0.9


@dataclass(frozen=True)
class Policy:
    """Operations of n pictures: numbers in `NAMES` (n, k), and what each is told (n, k).

    Radians for Rotate, tangents for Shear, fractions of the side for Translate, factors for Color, Contrast, Brightness
    and Sharpness, a step of levels for Posterize, a level for Solarize.
    """

    operation: Ints
    value: Floats

    def geometry(self, side: tuple[int, int]) -> Floats | None:
        """Matrices (n, 3, 3) from output to input positions, both −1…1; None when nothing moves."""
        if not np.isin(self.operation, _GEOMETRY).any():
            return None
        out = np.tile(np.eye(3, dtype=np.float32), (len(self.operation), 1, 1))
        for operation, value in zip(self.operation.T, self.value.T, strict=True):
            out = out @ _matrices(operation, value, side)
        return out


def _matrices(operation: Ints, value: Floats, side: tuple[int, int]) -> Floats:
    """One operation's mappings (n, 3, 3), the identity for those that move nothing."""

    def only(name: str) -> Floats:
        return np.where(operation == ID[name], value, np.float32(0))

    height, width = side
    angle, none, one = only("Rotate"), np.zeros_like(value), np.ones_like(value)
    cos, sin = np.cos(angle), np.sin(angle)
    rows = [cos, (only("ShearX") - sin) * height / width, -2 * only("TranslateX")]
    rows += [(only("ShearY") + sin) * width / height, cos, -2 * only("TranslateY")]
    return np.stack([*rows, none, none, one], 1).reshape(-1, 3, 3).astype(np.float32)


def draw(config: AugmentConfig, rng: np.random.Generator, n: int) -> Policy | None:
    """Operations of n pictures by AutoAugment, RandAugment or one after the other; None with both switched off."""
    parts = []
    if config.auto_augment_probability:
        parts.append(_auto(stream(rng, AUTO), n, config.auto_augment_probability))
    if config.rand_augment_operations:
        parts.append(_rand(stream(rng, RAND), n, config.rand_augment_operations, config.rand_augment_magnitude))
    if not parts:
        return None
    return Policy(*(np.concatenate(arrays, 1) for arrays in zip(*parts, strict=True)))


def _table() -> tuple[Ints, Floats, Floats]:
    """Operations, probabilities and magnitudes 0–1 of the sub-policies, each (25, 2)."""
    words = np.array([part.split() for part in CIFAR10.split(",")]).reshape(-1, 2, 3)
    operation: Ints = np.array([[ID[name] for name in pair] for pair in words[..., 0]])
    return operation, words[..., 1].astype(np.float32), (words[..., 2].astype(np.float32) / 9).astype(np.float32)


def _auto(rng: np.random.Generator, n: int, probability: float) -> tuple[Ints, Floats]:
    """A sub-policy for each picture by even chances, each of its operations by its own probability.

    Magnitudes are ten even steps through the ranges of the paper's table 6, so a factor of .1 to 1.9 is one of them.
    """
    operation, chance, magnitude = _table()
    chosen = rng.integers(0, len(operation), n)
    on = (rng.random((n, 2)) < chance[chosen]) & (rng.random((n, 1)) < probability)
    kind, strength = np.where(on, operation[chosen], ID["Identity"]), magnitude[chosen]
    value = _values(rng, kind, strength)
    return kind, np.where(np.isin(kind, _FACTORS), 0.1 + 1.8 * strength, value).astype(np.float32)


def _rand(rng: np.random.Generator, n: int, operations: int, magnitude: float) -> tuple[Ints, Floats]:
    """N operations for each picture by even chances, all of one magnitude of 10.

    A factor is 1 ± .9 of it, so that magnitude 0 changes nothing; the authors' .1 + 1.8 of it is plainest at 5.
    """
    kind = rng.integers(0, RAND_OPERATIONS, (n, operations))
    return kind, _values(rng, kind, np.full(kind.shape, magnitude / 10, np.float32))


def _values(rng: np.random.Generator, kind: Ints, strength: Floats) -> Floats:
    """What operations (n, k) of strengths 0–1 are told. Signs are drawn, as in the authors' code."""
    sign = np.where(rng.random(kind.shape) < 0.5, -1, 1)
    value = np.isin(kind, _FACTORS) + sign * strength * _MOST[kind]
    value = np.where(kind == ID["Posterize"], 2.0 ** np.round(4 * strength), value)
    return np.where(kind == ID["Solarize"], 256 * (1 - strength), value).astype(np.float32)


def apply(pictures: Tensor, params: Policy) -> Tensor:
    """Pictures (n, C, H, W), float, after all operations but geometry; where none applies, every bit is kept."""
    out = pictures
    for operation, value in zip(params.operation.T, params.value.T, strict=True):
        out = change_where(out, np.isin(operation, _TONES), _toned, operation, value)
        out = change_where(out, operation == ID["Sharpness"], _sharpened, value)
        if pictures.shape[1] == 3:
            out = change_where(out, operation == ID["Color"], _coloured, value)
    return out


def _sharpened(pictures: Tensor, value: Floats) -> Tensor:
    return sharpen(pictures, column(value, pictures))


def _coloured(pictures: Tensor, value: Floats) -> Tensor:
    grey = (pictures * _luma(pictures)).sum(1, keepdim=True)
    return (grey + (pictures - grey) * column(value, pictures)).clamp_(0, 255)


def _luma(like: Tensor) -> Tensor:
    """Shares (1, C, 1, 1) of the channels in brightness (ITU-R 601)."""
    shares = [0.299, 0.587, 0.114] if like.shape[1] == 3 else [1.0]
    return torch.tensor(shares, device=like.device).view(1, -1, 1, 1)


def _toned(pictures: Tensor, operation: Ints, value: Floats) -> Tensor:
    """Pictures through the tables of their tone operations; their values become whole levels first."""
    levels = colour.whole_levels(pictures)
    return colour.look_up(levels, _tables(colour.histogram(levels), operation, value))


def _tables(counts: Tensor, operation: Ints, value: Floats) -> Tensor:
    """What each level becomes, (n, C, 256), by histograms (n, C, 256): all operations for all pictures at once.

    Brightness, Contrast, Invert and AutoContrast are a slope around a level, Posterize a step (1 for all others), and
    Solarize a threshold (above white for all others). Fractions are cut off, as Pillow does.
    """

    def told(name: str, otherwise: float) -> Tensor:
        return column(np.where(operation == ID[name], value, otherwise), counts)[..., 0]

    def only(name: str) -> Tensor:
        return torch.from_numpy(operation == ID[name]).to(counts.device).view(-1, 1, 1)

    ramp = torch.arange(colour.LEVELS, device=counts.device, dtype=torch.float32)
    low = torch.where(counts > 0, ramp, colour.WHITE).amin(2, keepdim=True)
    high = torch.where(counts > 0, ramp, 0).amax(2, keepdim=True)
    stretched = only("AutoContrast") & (high > low)
    # Contrast turns around the mean brightness of the whole picture.
    means = (counts * ramp).sum(2, keepdim=True) / counts.sum(2, keepdim=True)
    middle = (means * _luma(counts)[..., 0]).sum(1, keepdim=True).round() * only("Contrast")
    slope = told("Brightness", 1) * told("Contrast", 1) * (1 - 2 * only("Invert").float())
    slope = torch.where(stretched, colour.WHITE / (high - low), slope)
    table = (ramp - middle - low * stretched) * slope + middle + colour.WHITE * only("Invert")
    # A little more, so that whole numbers stay what they are.
    table = colour.posterise((table + 1e-3).clamp_(0, colour.WHITE), told("Posterize", 1))
    table = colour.solarise(table, told("Solarize", colour.LEVELS))
    return torch.where(only("Equalize"), colour.equalising(counts), table)
