"""What a training notes of its own health each epoch, for `mien diagnose`: cheap figures on a few fixed pictures.

The share of clipped updates, how far the last update of the epoch moved the weights, and three looks at the same
pictures: the weights that count, the plain weights, and the plain weights with norms fed by the batch, whose statistics
are held against the running ones. Of each layer,
how many ReLU units are 0 for every picture and how much the outputs of convolutions and linear layers vary.
Ratio of update to weights: Karpathy's CS231n notes ("about 1e-3"); dead units: SageMaker Debugger's DeadRelu.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.train.batches import Batch, Pictures
from mien.train.checkpoint import Progress
from mien.train.machine import Machine
from mien.train.norms import BatchNorm
from mien.train.step import Learner, Step, StepResult

PICTURES = 256
MOST_LAYERS = 40
Row = dict[str, float | int]


def watched(step: Step, learner: Learner, batch: Batch, progress: Progress) -> StepResult:
    """Do one step and add what it tells to `progress`."""
    is_last = progress.step + 1 == progress.per_epoch
    before = [p.detach().clone() for p in learner.model.parameters()] if is_last else []
    result = step(learner, batch)
    if progress.position == 0:
        progress.first_loss = result.loss
    limit = step.recipe.optimiser.clip_norm
    progress.clipped += limit is not None and result.gradient_norm > limit
    if is_last:
        progress.update_ratio = _ratio(before, learner.model)
    return result


@torch.no_grad()
def _ratio(before: list[Tensor], model: nn.Module) -> float:
    """Length of the last update over that of the weights."""
    moved = sum(float((p - b).float().norm()) ** 2 for p, b in zip(model.parameters(), before, strict=True))
    length = sum(float(b.float().norm()) ** 2 for b in before)
    return math.sqrt(moved / length) if length else 0.0


def health_row(evaluated: nn.Module, learner: Learner, pictures: Pictures, progress: Progress, machine: Machine) -> Row:
    """The figures of the epoch that is about to be closed; `evaluated` holds the averaged weights, and again after.

    Args:
        evaluated: the net that is measured, in eval mode.
        learner: whose plain weights are looked at besides.
        pictures: of which up to `PICTURES` are used, the same ones each time.
        progress: at the end of the epoch, its counts not yet reset.
        machine: whose precision is used; nothing is shared between processes.
    """
    chosen = torch.arange(0, len(pictures), max(1, len(pictures) // PICTURES))[:PICTURES]
    chosen = chosen.to(pictures.images.device)
    images = pictures.images[chosen].contiguous(memory_format=torch.channels_last)
    labels = pictures.labels[chosen]
    row: Row = {
        "epoch": progress.epoch + 1,
        "clipped_share": progress.clipped / max(progress.step, 1),
        "update_ratio": progress.update_ratio,
        "first_loss": math.nan if progress.first_loss is None else progress.first_loss,
    }
    layers: Row = {}
    with _layers(evaluated, layers):
        row |= _figures(evaluated, images, labels, machine, "probe")
    evaluated.load_state_dict(learner.model.state_dict())
    row |= _figures(evaluated, images, labels, machine, "plain")
    row |= _fed_by_the_batch(evaluated, images, labels, machine)
    evaluated.load_state_dict(learner.averaged())
    return row | layers


def _fed_by_the_batch(model: nn.Module, images: Tensor, labels: Tensor, machine: Machine) -> Row:
    """Figures with norms fed by the batch, and how far that is from their statistics; NaN for a single picture."""
    if len(images) < 2:
        return {"batch_norm_loss": math.nan, "batch_norm_accuracy": math.nan}
    shifts: list[float] = []
    with _batch_norms(model, shifts):
        row = _figures(model, images, labels, machine, "batch_norm")
    return row | ({"norm_shift": max(shifts)} if shifts else {})


@torch.no_grad()
def _figures(model: nn.Module, images: Tensor, labels: Tensor, machine: Machine, name: str) -> Row:
    """Cross entropy and accuracy of the label head; NaN without labelled pictures."""
    with machine.autocast():
        logits = model(images)[0]
    known = labels >= 0
    if not bool(known.any()):
        return {f"{name}_loss": math.nan, f"{name}_accuracy": math.nan}
    logits, right = logits.float()[known], labels[known]
    accuracy = float((logits.argmax(1) == right).float().mean())
    return {f"{name}_loss": float(F.cross_entropy(logits, right)), f"{name}_accuracy": accuracy}


@contextmanager
def _batch_norms(model: nn.Module, shifts: list[float]) -> Iterator[None]:
    """Norms fed by the batch, as in training; their statistics are the caller's to put back.

    While open, a forward pass adds to `shifts` how far each norm's running statistics are from the batch's.
    """
    norms = [m for m in model.modules() if isinstance(m, BatchNorm)]
    hooks = [n.register_forward_pre_hook(_note_shift(shifts)) for n in norms if n.track_running_stats]
    for norm in norms:
        norm.train()
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for norm in norms:
            norm.eval()


def _note_shift(shifts: list[float]) -> Callable[[nn.Module, Any], None]:
    def hook(norm: nn.Module, inputs: Any) -> None:
        assert isinstance(norm, BatchNorm)
        shifts.append(norm_shift(inputs[0].detach().float(), norm))

    return hook


def norm_shift(inputs: Tensor, norm: BatchNorm) -> float:
    """How far a norm's running statistics are from those of its inputs (N, C, …): the median over channels of the
    distance of the means, in deviations of the inputs, plus that of the logarithms of the deviations. 0: the same."""
    others = [axis for axis in range(inputs.ndim) if axis != 1]
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance = inputs.var(others, correction=0) + norm.eps
    means = (inputs.mean(others) - norm.running_mean).abs() / variance.sqrt()
    deviations = ((norm.running_var + norm.eps) / variance).log().abs() / 2
    return float((means + deviations).median())


@contextmanager
def _layers(model: nn.Module, row: Row) -> Iterator[None]:
    """While open, a forward pass writes `dead:LAYER` and `spread:LAYER` into `row`, at most `MOST_LAYERS` of each."""
    relus = _spread_out([(n, m) for n, m in model.named_modules() if isinstance(m, nn.ReLU)])
    linear = _spread_out([(n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)])
    hooks = [m.register_forward_hook(_note(row, f"dead:{name}", _dead)) for name, m in relus]
    hooks += [m.register_forward_hook(_note(row, f"spread:{name}", _spread)) for name, m in linear]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _spread_out(layers: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    every = max(1, math.ceil(len(layers) / MOST_LAYERS))
    return layers[::every]


def _note(row: Row, name: str, figure: Callable[[Tensor], float]) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        row[name] = figure(output.detach().float())

    return hook


def _dead(output: Tensor) -> float:
    """Share of units (channels of a map, or features) that are 0 for all pictures and places."""
    others = [axis for axis in range(output.ndim) if axis != 1]
    return float((output.amax(others) <= 0).float().mean())


def _spread(output: Tensor) -> float:
    """Deviation of a unit over pictures and places, the mean over units."""
    others = [axis for axis in range(output.ndim) if axis != 1]
    return float(output.std(others, correction=0).mean())
