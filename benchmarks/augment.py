"""Augmentation speed: mien for a whole batch, against torchvision v2 and albumentations a picture and kornia a batch.

    python benchmarks/augment.py [--batch 128] [--rounds 25] [--seconds 0.2] [--changes]

The policy is that of the recipe mien-m on grey pictures of 48×48 px, crop to 44 px included: flip, rotation by ±15°,
zoom ±15 %, shift ±6 %, brightness ±.08, contrast ±.3, one square of 13 px hidden in every second picture. Where a
library has no equal the nearest one that costs less is taken (torchvision fills with black where mien reflects). All
draw their parameters for each picture, mien with its recipe's own code. The contenders take turns, `rounds` times,
`seconds` each; ratios are those of the same round, their median with the smallest and largest beside it. Pictures are
random: only time is measured, on one thread and as processor time, so that other work on the machine counts less.

`--changes` prints instead what each of mien's changes costs alone, a batch.

Needs `pip install torchvision albumentations==2.0.8 kornia`. Of these mien itself needs torchvision only, for timm;
albumentations 2.0.8 is under the MIT licence, what succeeds it is not.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations
import cv2
import kornia.augmentation as kornia
import numpy as np
import torch
import torchvision
from torchvision.transforms import v2

from mien.augment import batched
from mien.core import recipe as recipes
from mien.core.augmentation import SWITCHES, AugmentConfig

SIDE, CROP = 48, 44
# A square of 13 px as a share of the picture.
SQUARE = (13 / CROP) ** 2
Contender = Callable[[], object]


def of_mien(pictures: np.ndarray, config: AugmentConfig | None = None) -> Contender:
    """Parameters drawn and applied for the whole batch, as in a training step."""
    config = config or recipes.read("mien-m").augment
    images, indices, step = torch.from_numpy(pictures).unsqueeze(1), np.arange(len(pictures)), iter(range(10**9))

    def run() -> torch.Tensor:
        rng = np.random.default_rng([0, 1, next(step)])
        params = batched.draw(config, rng, indices, epoch=0, size=(SIDE, SIDE), crop=CROP)
        return batched.feed(images, params, indices=indices, part=slice(None), config=config, crop=CROP)

    return run


def of_torchvision(pictures: np.ndarray) -> Contender:
    """Transforms v2 on one uint8 tensor after another."""
    change = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(15, (0.06, 0.06), (0.85, 1.15), interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=0.08, contrast=0.3),
            v2.CenterCrop(CROP),
            v2.RandomErasing(0.5, (SQUARE, SQUARE), (1, 1)),
        ]
    )
    images = torch.from_numpy(pictures).unsqueeze(1)
    return lambda: torch.stack([change(picture) for picture in images])


def of_albumentations(pictures: np.ndarray) -> Contender:
    """Albumentations on one array after another."""
    hole = {"hole_height_range": (13, 13), "hole_width_range": (13, 13)}
    change = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(
                scale=(0.85, 1.15),
                rotate=(-15, 15),
                translate_percent=(-0.06, 0.06),
                border_mode=cv2.BORDER_REFLECT_101,
                p=1,
            ),
            albumentations.RandomBrightnessContrast(0.08, 0.3, p=1),
            albumentations.CenterCrop(CROP, CROP),
            albumentations.CoarseDropout(num_holes_range=(1, 1), p=0.5, **hole),
        ],
        is_check_shapes=False,
    )
    images = list(pictures[..., None])
    return lambda: np.stack([change(image=picture)["image"] for picture in images])


def of_kornia(pictures: np.ndarray) -> Contender:
    """Kornia on the whole batch."""
    change = torch.nn.Sequential(
        kornia.RandomHorizontalFlip(p=0.5),
        kornia.RandomAffine(15, (0.06, 0.06), (0.85, 1.15), padding_mode="reflection", p=1.0),
        kornia.RandomBrightness((0.92, 1.08), p=1.0),
        kornia.RandomContrast((0.7, 1.3), p=1.0),
        kornia.CenterCrop(CROP),
        kornia.RandomErasing((SQUARE, SQUARE), (1.0, 1.0), p=0.5),
    )
    images = torch.from_numpy(pictures).unsqueeze(1)
    return lambda: change(images.float() / 255)


CONTENDERS = {"mien": of_mien, "torchvision": of_torchvision, "albumentations": of_albumentations, "kornia": of_kornia}


def rate(run: Contender, batch: int, seconds: float) -> float:
    """Pictures a second of processor time, over at least `seconds` of it."""
    started, batches = time.process_time(), 0
    while (passed := time.process_time() - started) < seconds:
        run()
        batches += 1
    return batch * batches / passed


def print_changes(pictures: np.ndarray, rounds: int) -> None:
    """What each change costs alone, drawn for every picture; the first line is cropping and nothing else."""
    half = (
        "erase_probability",
        "random_erasing_probability",
        "hide_probability",
        "resized_crop_fraction",
        "perspective",
    )
    strength = dict.fromkeys(half, 0.5) | {"flip": "random", "random_crop": True, "rand_augment_operations": 2}
    strength |= {"rotation_degrees": 15, "shear_degrees": 15, "zoom_fraction": 0.2, "shift_fraction": 0.1}
    strength |= {"watermark_probability": 0.2, "blur_pixels": 1.5}
    for switch in ("nothing", *SWITCHES):
        keys = {switch: strength.get(switch, 1)} if switch != "nothing" else {}
        config = AugmentConfig(**keys, erase_pixels=13)
        run = of_mien(pictures, config)
        run()
        spent = [len(pictures) / rate(run, len(pictures), 0.05) for _ in range(rounds)]
        print(f"{switch:28s} {1e3 * statistics.median(spent):6.2f} ms (from {1e3 * min(spent):.2f})")


def main() -> None:
    """Take turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--changes", action="store_true", help="the cost of each change instead")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pictures = np.random.default_rng(0).integers(0, 256, (arguments.batch, SIDE, SIDE), dtype=np.uint8)
    if arguments.changes:
        print_changes(pictures, arguments.rounds)
        return
    contenders = {name: prepare(pictures) for name, prepare in CONTENDERS.items()}
    for run in contenders.values():
        for _ in range(3):
            run()
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(arguments.rounds):
        for name in contenders if turn % 2 == 0 else reversed(contenders):
            rates[name].append(rate(contenders[name], arguments.batch, arguments.seconds))
    versions = f"torchvision {torchvision.__version__}, albumentations {albumentations.__version__}, kornia"
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {versions} {version('kornia')}")
    print(f"batches of {arguments.batch}, {arguments.rounds} rounds")
    for name, found in rates.items():
        paired = [a / b for a, b in zip(rates["mien"], found, strict=True)]
        ratio = f"mien is {statistics.median(paired):5.1f} times as fast ({min(paired):.1f} to {max(paired):.1f})"
        low, high = min(found), max(found)
        print(f"{name:15s} {statistics.median(found):8,.0f} pictures/s ({low:,.0f} to {high:,.0f})   ", end="")
        print(ratio if name != "mien" else f"{1e3 * arguments.batch / statistics.median(found):.2f} ms a batch")


if __name__ == "__main__":
    main()
