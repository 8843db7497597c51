"""Teachers that are asked in each step about what the net itself is fed (Beyer et al. 2022, arXiv 2106.05237)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.core.recipe_keys import DistillConfig
from mien.core.spec import Head, ModelSpec
from mien.evaluate.answerer import Answerer, TorchAnswerer
from mien.train.losses import soften
from mien.train.machine import Machine
from mien.train.objective import Taught
from mien.train.teachers import by_label, open_teacher, teacher_file


@final
class PresentTeachers:
    """Called with the pictures that a net is fed, (n, C, h, w) in units of 0–255, returns their mean answers.

    Their files are copied into the run, so that a resumed run is taught by the same ones, whatever became of them.

    Args:
        spec: of the net that learns.
        config: teachers and temperature.
        folder: of the copies.
        machine: where they compute.
        kept: whether copies in `folder` count; what an earlier start left there may be another teacher.

    Raises:
        MienError: a teacher that is no model, takes other colours, or has none of the labels.
    """

    def __init__(
        self, spec: ModelSpec, config: DistillConfig, *, folder: Path, machine: Machine, kept: bool = True
    ) -> None:
        self._heads, self._temperature = spec.heads, config.temperature
        files = [_file(name, folder / str(number), kept=kept) for number, name in enumerate(config.teachers)]
        self._teachers = [open_teacher(file, spec.heads, machine) for file in files]
        for teacher in self._teachers:
            _require_colours(teacher, spec)
        # All are good before the first is copied; the other processes wait until they may read.
        if machine.is_first:
            for number, file in enumerate(files):
                _copy(file, folder / f"{number}{file.suffix}")
        machine.wait()

    def __call__(self, pictures: Tensor) -> Taught:
        """For each head the teachers' mean answers (n, K) at the temperature, None where none of them knows it."""
        answers = [_answers(teacher, pictures) for teacher in self._teachers]
        found = ([by_label(head, answer) for answer in answers] for head in self._heads)
        return tuple(self._mean([values for values in own if values is not None]) for own in found)

    def _mean(self, answers: list[Tensor]) -> Tensor | None:
        return torch.stack([soften(values, self._temperature) for values in answers]).mean(0) if answers else None


def _file(name: str, copy: Path, *, kept: bool) -> Path:
    """The copy of a teacher in the run, or where there is none the teacher itself."""
    copies = [copy.with_suffix(suffix) for suffix in (".safetensors", ".onnx")] if kept else []
    return next((path for path in copies if path.is_file()), None) or teacher_file(name)


def _copy(file: Path, to: Path) -> None:
    if file != to:
        with atomic_path(to) as temporary:
            shutil.copyfile(file, temporary)


def _require_colours(teacher: Answerer, spec: ModelSpec) -> None:
    if teacher.spec.channels != spec.channels:
        kinds = {1: "grey", 3: "coloured"}
        takes, learns = kinds[teacher.spec.channels], kinds[spec.channels]
        raise MienError(
            f"{teacher.name}: takes {takes} pictures, the net that it is to teach {learns} ones",
            hint="distill.views = flip asks it before the training, and converts them",
        )


def _answers(teacher: Answerer, pictures: Tensor) -> list[tuple[Head, Tensor]]:
    pictures = fitted(pictures, teacher.spec)
    if isinstance(teacher, TorchAnswerer):
        said = teacher.answer(pictures)
    else:
        pixels = pictures.clamp(0, 255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
        pixels = np.ascontiguousarray(pixels[..., 0] if teacher.spec.channels == 1 else pixels)
        said = {k: torch.from_numpy(v).to(pictures.device) for k, v in teacher.probabilities(pixels).items()}
    return [(head, said[head.name]) for head in teacher.spec.heads]


def fitted(pictures: Tensor, spec: ModelSpec) -> Tensor:
    """Pictures (n, C, h, w) so that a net of `spec` sees all of each and nothing else.

    Those of the size that it takes are left as they are; others are resized to what is left of its pictures after its
    own crop, with a margin for it to cut off.
    """
    height, width = spec.height, spec.width
    if pictures.shape[2:] == (height, width):
        return pictures
    seen = [length if spec.crop is None else min(length, spec.crop) for length in (height, width)]
    if list(pictures.shape[2:]) != seen:
        pictures = F.interpolate(pictures, seen, mode="bilinear", antialias=True)
    top, left = (height - seen[0]) // 2, (width - seen[1]) // 2
    return F.pad(pictures, (left, width - seen[1] - left, top, height - seen[0] - top))
