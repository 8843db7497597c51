"""Loss and accuracy in evaluation mode, shared out over the processes. No augmentation can reach this module."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mien.train.batches import Pictures
from mien.train.losses import smoothed_cross_entropy
from mien.train.machine import Machine


@dataclass(frozen=True)
class Measured:
    """Figures of one split; NaN where it has no picture for the head.

    Attributes:
        accuracy, loss: of the label head; the loss is plain cross entropy without smoothing.
        votes_accuracy: of the FER+ head under the official majority filter.
    """

    accuracy: float
    loss: float
    votes_accuracy: float


@torch.no_grad()
def measure(
    model: nn.Module,
    pictures: Pictures,
    machine: Machine,
    *,
    batch_size: int,
    batches: int | None = None,
) -> Measured:
    """Accuracy and loss of a model on a split, in eval mode; the model's mode is put back.

    Args:
        model: a classifier.
        pictures: the split; `votes` holds one-hot majority targets.
        machine: whose processes share the work, in its precision.
        batch_size: pictures at a time.
        batches: stop after so many (the rehearsal before a long run).
    """
    was_training = model.training
    model.eval()
    sums = torch.zeros(5, dtype=torch.float64)
    try:
        starts = range(0, len(pictures), batch_size)[:batches]
        for start in starts[machine.rank :: machine.processes]:
            part = slice(start, start + batch_size)
            inputs = pictures.images[part].contiguous(memory_format=torch.channels_last)
            with machine.autocast():
                logits = model(inputs)
            sums += _sums([x.float() for x in logits], pictures, part).cpu().double()
    finally:
        model.train(was_training)
    shared = machine.sum(sums.float().to(machine.device)) if machine.processes > 1 else sums
    right, loss, labelled, votes_right, voted = shared.tolist()
    nan = float("nan")
    return Measured(
        accuracy=right / labelled if labelled else nan,
        loss=loss / labelled if labelled else nan,
        votes_accuracy=votes_right / voted if voted else nan,
    )


def _sums(logits: list[Tensor], pictures: Pictures, part: slice) -> Tensor:
    labels = pictures.labels[part]
    labelled = labels >= 0
    right = (logits[0].argmax(1) == labels) & labelled
    sums = [right.sum(), smoothed_cross_entropy(logits[0], labels, 0.0).sum(), labelled.sum()]
    if pictures.votes is not None and len(logits) > 1:
        targets = pictures.votes[part]
        voted = targets.any(1)
        sums += [((logits[1].argmax(1) == targets.argmax(1)) & voted).sum(), voted.sum()]
    none = torch.zeros((), device=labels.device)
    return torch.stack([s.float() for s in sums] + [none] * (5 - len(sums)))
