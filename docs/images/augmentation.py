"""Draws docs/images/augmentation.png: every change that a recipe can switch on, alone, on faces that mien draws.

python docs/images/augmentation.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mien.augment import batched
from mien.core.augmentation import SWITCHES, AugmentConfig
from mien.data.drawn.sets import Plan, draw_plan

FACES, COLUMNS = 6, 3
# Strong enough to be seen at a glance; the papers' values where there is a paper.
STRENGTH = {
    "flip": {"flip": "random"},
    "rotation_degrees": {"rotation_degrees": 20},
    "zoom_fraction": {"zoom_fraction": 0.25},
    "shift_fraction": {"shift_fraction": 0.15},
    "shear_degrees": {"shear_degrees": 20},
    "resized_crop_fraction": {"resized_crop_fraction": 0.6, "resized_crop_stretch": 1 / 3},
    "perspective": {"perspective": 0.7},
    "random_crop": {"random_crop": True},
    "rand_augment_operations": {"rand_augment_operations": 2, "rand_augment_magnitude": 5},
    "gamma": {"gamma": 1},
    "brightness": {"brightness": 0.25},
    "contrast": {"contrast": 0.6},
    "posterise_probability": {"posterise_probability": 1, "posterise_bits": 2},
    "blur_pixels": {"blur_pixels": 2},
    "sharpness": {"sharpness": 2},
    "noise": {"noise": 0.15},
    "erase_probability": {"erase_pixels": 24, "erase_probability": 1},
    "hide_probability": {"hide_probability": 0.5},
    "mixup_alpha": {"mixup_alpha": 1},
    "cutmix_alpha": {"cutmix_alpha": 1},
}


def changed(faces: torch.Tensor, switch: str) -> torch.Tensor:
    """The faces with one change switched on."""
    config = AugmentConfig(**STRENGTH.get(switch, {switch: 1}))
    crop = 40 if switch == "random_crop" else None
    indices = np.arange(len(faces))
    params = batched.draw(config, np.random.default_rng(4), indices, epoch=0, size=(48, 48), crop=crop)
    return batched.feed(faces, params, indices=indices, part=slice(None), config=config, crop=crop)


def main() -> None:
    """A strip of faces for each change."""
    faces = torch.from_numpy(draw_plan(Plan(count=24, seed=5)).images[:FACES]).unsqueeze(1)
    strips = {"as they are": faces, **{switch: changed(faces, switch) for switch in SWITCHES}}
    figure = Figure(figsize=(12, 8.2), layout="constrained")
    FigureCanvasAgg(figure)
    cells = figure.subplots(-(-len(strips) // COLUMNS), COLUMNS).flatten()
    for cell in cells:
        cell.set_axis_off()
    for cell, (switch, pictures) in zip(cells, strips.items(), strict=False):
        framed = torch.nn.functional.pad(pictures[:, 0].float(), (1, 1, 1, 1), value=255)
        cell.imshow(torch.cat(list(framed), 1), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        cell.set_title(switch, fontsize=9, pad=2)
    figure.savefig(Path(__file__).with_name("augmentation.png"), dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
