"""AutoAugment and RandAugment: the list of sub-policies, how they are drawn, and each operation against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy.ndimage import minimum_filter
from torchvision.transforms import autoaugment as reference

from mien.augment import policy
from mien.augment.batched import apply, draw
from mien.augment.policy import ID, NAMES, Policy
from mien.core.recipe import AugmentConfig

N = 20_000


def auto(probability: float = 1) -> Policy:
    params = policy.draw(AugmentConfig(auto_augment_probability=probability), np.random.default_rng(2), N)
    assert params is not None
    return params


def rand(magnitude: float, operations: int = 2) -> Policy:
    config = AugmentConfig(rand_augment_operations=operations, rand_augment_magnitude=magnitude)
    params = policy.draw(config, np.random.default_rng(2), N)
    assert params is not None
    return params


def test_the_25_sub_policies_are_those_of_the_paper() -> None:
    """As torchvision has them from table 7; it leaves out the magnitudes of operations that take none."""
    theirs = reference.AutoAugment()._get_policies(reference.AutoAugmentPolicy.CIFAR10)
    ours = [part.split() for part in policy.CIFAR10.split(",")]
    assert len(ours) == len(theirs) == 25
    for words, pair in zip(ours, theirs, strict=True):
        for (name, probability, magnitude), (kind, chance, level) in zip((words[:3], words[3:]), pair, strict=True):
            assert (name, float(probability)) == (kind, chance)
            assert level in (None, int(magnitude))


def test_sub_policies_are_drawn_evenly_and_their_operations_by_their_probability() -> None:
    first, second = auto().operation.T
    # Sub-policy 2 is Rotate .7 then TranslateX .3, and no other begins with Rotate; TranslateX follows in two.
    assert (first == ID["Rotate"]).mean() == pytest.approx(0.7 / 25, abs=0.004)
    assert ((first == ID["Rotate"]) & (second == ID["TranslateX"])).mean() == pytest.approx(0.21 / 25, abs=0.002)
    assert (second == ID["Invert"]).mean() == pytest.approx(0.1 / 25, abs=0.002)
    some, every = ((auto(probability).operation != 0).any(1).mean() for probability in (0.25, 1))
    assert some == pytest.approx(0.25 * every, abs=0.01)


def values(params: Policy, name: str) -> set[float]:
    return set(params.value[params.operation == ID[name]].astype(np.float64).round(4).tolist())


def test_autoaugments_magnitudes_are_ten_steps_through_the_ranges_of_table_6() -> None:
    params = auto()
    degrees = np.rad2deg(sorted(values(params, "Rotate"))).round(1).tolist()
    assert degrees == [-6.7, 6.7]  # 2 of 9, of 30°, either way
    assert values(params, "ShearY") == {v * s for v in (0.2667, 0.2333) for s in (1, -1)}
    # Of the side: the authors' 10 of 32 px, at 9, 8 of 9 for x.
    assert values(params, "TranslateX") == {v * s for v in (0.3125, 0.2778) for s in (1, -1)}
    assert values(params, "Contrast") == {1.3, 1.5}  # .1 + 1.8 · (6, 7) / 9
    assert values(params, "Posterize") == {8.0}  # 7 of 9: 5 bits stay, so steps of 8 levels
    assert values(params, "Solarize") == {round(256 * (1 - m / 9), 4) for m in (2, 5, 8, 3)}


def test_randaugment_draws_n_of_fourteen_operations_evenly() -> None:
    params = rand(5, operations=3)
    assert params.operation.shape == (N, 3)
    names = {"Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast"}
    names |= {"Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize"}
    kinds, counts = np.unique(params.operation, return_counts=True)
    assert {NAMES[kind] for kind in kinds} == names
    assert (np.abs(counts / params.operation.size - 1 / 14) < 0.005).all()
    # Paper and torchvision name the same fourteen.
    assert names == set(reference.RandAugment()._augmentation_space(31, (48, 48)))


def test_randaugments_magnitude_is_one_for_all_and_goes_to_the_ends_of_the_ranges_at_10() -> None:
    strongest = rand(10)
    assert np.rad2deg(sorted(values(strongest, "Rotate"))).round(2).tolist() == [-30, 30]
    assert values(strongest, "Color") == {0.1, 1.9}
    assert values(strongest, "Posterize") == {16.0}
    assert values(strongest, "Solarize") == {0.0}
    half = rand(5)
    assert values(half, "ShearX") == {-0.15, 0.15}
    assert values(half, "Brightness") == {0.55, 1.45}
    assert values(half, "Solarize") == {128.0}


def test_randaugment_of_magnitude_0_changes_only_what_has_no_magnitude() -> None:
    config = AugmentConfig(rand_augment_operations=2, rand_augment_magnitude=0)
    images = torch.from_numpy(np.random.default_rng(1).integers(20, 200, (200, 3, 24, 24), dtype=np.uint8))
    params = draw(config, np.random.default_rng(2), np.arange(200), epoch=0, size=(24, 24))
    assert params.policy is not None
    free = np.isin(params.policy.operation, [ID["AutoContrast"], ID["Equalize"]]).any(1)
    out = apply(images, params, config)
    assert torch.equal(out[~free], images[~free].float())
    assert not torch.equal(out[free], images[free].float())


def one(name: str, value: float) -> Policy:
    return Policy(np.array([[ID[name]]]), np.array([[value]], np.float32))


def picture(channels: int) -> torch.Tensor:
    """A structured picture that uses neither black nor white: (1, C, 24, 24)."""
    rng = np.random.default_rng(3)
    smooth = np.linspace(60, 170, 24)[:, None] + rng.normal(0, 12, (channels, 24, 24))
    return torch.from_numpy(smooth.clip(0, 255).astype(np.uint8))[None].float()


PILLOW = {
    "AutoContrast": (0, ImageOps.autocontrast),
    "Equalize": (0, ImageOps.equalize),
    "Invert": (0, ImageOps.invert),
    "Posterize": (16, lambda p: ImageOps.posterize(p, 4)),
    "Solarize": (110, lambda p: ImageOps.solarize(p, 110)),
    "Brightness": (1.5, lambda p: ImageEnhance.Brightness(p).enhance(1.5)),
    "Contrast": (0.4, lambda p: ImageEnhance.Contrast(p).enhance(0.4)),
    "Sharpness": (1.9, lambda p: ImageEnhance.Sharpness(p).enhance(1.9)),
    "Color": (1.7, lambda p: ImageEnhance.Color(p).enhance(1.7)),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PILLOW)
def test_an_operation_is_pillows(name: str, channels: int) -> None:
    value, change = PILLOW[name]
    before = picture(channels)
    out = policy.apply(before, one(name, value))[0].permute(1, 2, 0).numpy()
    image = Image.fromarray(before[0].permute(1, 2, 0).squeeze(2).numpy().astype(np.uint8))
    expected = np.asarray(change(image)).reshape(out.shape)
    # Sharpness and colour keep the fractions that Pillow cuts off, once or twice.
    assert np.abs(out - expected).max() <= {"Sharpness": 2, "Color": 2}.get(name, 0)
    assert np.abs(out - before[0].permute(1, 2, 0).numpy()).max() > 5 or (name, channels) == ("Color", 1)


@pytest.mark.parametrize(
    ("name", "value", "matrix"),
    [
        ("ShearX", 0.3, (1, 0.3, 0, 0, 1, 0)),
        ("ShearY", -0.2, (1, 0, 0, -0.2, 1, 0)),
        ("TranslateX", 0.25, (1, 0, -6, 0, 1, 0)),
        ("TranslateY", -0.125, (1, 0, 0, 0, 1, 3)),
        ("Rotate", 0.4, (np.cos(0.4), -np.sin(0.4), 0, np.sin(0.4), np.cos(0.4), 0)),
    ],
)
def test_a_geometric_operation_maps_output_to_input_as_pillows_affine_about_the_middle(
    name: str, value: float, matrix: tuple[float, ...]
) -> None:
    config = AugmentConfig(rand_augment_operations=1, padding="zeros")
    params = draw(config, np.random.default_rng(0), np.arange(1), epoch=0, size=(24, 24))
    changed = type(params)(**{**vars(params), "policy": one(name, value)})
    out = apply(picture(1), changed, config)[0, 0].numpy()
    a, b, c, d, e, f = matrix
    centred = (a, b, c + 12 - 12 * a - 12 * b, d, e, f + 12 - 12 * d - 12 * e)
    image = Image.fromarray(picture(1)[0, 0].numpy())
    expected = np.asarray(image.transform((24, 24), Image.Transform.AFFINE, centred, Image.Resampling.BILINEAR))
    # What comes from beyond the border, or half of it, is left out: the two treat it otherwise.
    within = np.asarray(Image.new("F", (24, 24), 1).transform((24, 24), Image.Transform.AFFINE, centred)) > 0
    seen = minimum_filter(within, 3, mode="constant")
    assert seen.mean() > 0.5
    assert np.abs(out - expected)[seen].max() < 0.01
