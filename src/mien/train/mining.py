"""Hard examples: what a net gets wrong of the pictures it is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.train.batches import Pictures
from mien.train.losses import smoothed_cross_entropy
from mien.train.machine import Machine


@dataclass(frozen=True, eq=False)
class Answers:
    """What a net says of n training pictures: label ids (n,), and the cross entropy (n,), 0 without a label."""

    answer: NDArray[np.int64]
    loss: NDArray[np.float32]


@torch.no_grad()
def examine(model: nn.Module, pictures: Pictures, machine: Machine, *, batch_size: int) -> Answers:
    """Answers of a classifier in eval mode to pictures without augmentation; processes share the work."""
    told = torch.zeros(2, len(pictures), device=machine.device)
    starts = range(0, len(pictures), batch_size)
    for start in starts[machine.rank :: machine.processes]:
        part = slice(start, start + batch_size)
        inputs = pictures.images[part].contiguous(memory_format=torch.channels_last)
        with machine.autocast():
            logits = model(inputs)[0].float()
        told[0, part] = logits.argmax(1).float()
        told[1, part] = smoothed_cross_entropy(logits, pictures.labels[part], 0.0)
    answer, loss = machine.sum(told).cpu().numpy()
    return Answers(answer.astype(np.int64), loss)


def hardest(label: NDArray[np.integer], answers: Answers, among: NDArray[np.bool_], *, least: int) -> NDArray[np.int64]:
    """Positions of the pictures that were answered wrong, filled up to `least` with those of highest loss.

    Args:
        label: (n,) ids; pictures without one (−1) are neither right nor wrong and stay out.
        answers: of the net.
        among: (n,) pictures that may be taken.
        least: the length of one batch.
    """
    able = among & (label >= 0)
    is_wrong = able & (answers.answer != label)
    order = np.lexsort((-answers.loss, ~is_wrong, ~able))
    return np.sort(order[: max(int(is_wrong.sum()), min(least, int(able.sum())))])
