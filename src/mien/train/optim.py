"""Optimisers of a recipe, with weight decay where it belongs."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.recipe import OptimiserConfig

_KINDS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def decay_of(name: str, parameter: Tensor, config: OptimiserConfig) -> float:
    """The weight decay of one parameter: by `l2`'s longest matching part of its name, else the general rule."""
    matches = [part for part in config.l2 if part in name]
    if matches:
        return config.l2[max(matches, key=len)]
    return config.weight_decay if parameter.ndim > 1 or config.decay_norms_and_biases else 0.0


def groups(model: nn.Module, config: OptimiserConfig) -> list[dict[str, Any]]:
    """Parameter groups, one for each weight decay; norms and biases are not decayed unless the recipe says so.

    Raises:
        MienError: a key of `optimiser.l2` is part of no parameter's name.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    for part in config.l2:
        if not any(part in name for name, _ in named):
            raise MienError(
                f"optimiser.l2: no parameter has {part!r} in its name",
                hint=f"names: {', '.join(n for n, _ in named)}",
            )
    by_decay: dict[float, list[nn.Parameter]] = {}
    for name, parameter in named:
        by_decay.setdefault(decay_of(name, parameter, config), []).append(parameter)
    return [{"params": parameters, "weight_decay": decay} for decay, parameters in by_decay.items()]


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """The optimiser of a recipe over a model's parameters; fused kernels where torch has them for the device."""
    kind = _KINDS[config.name]
    options: dict[str, Any] = {"lr": config.learning_rate}
    if config.name == "sgd":
        options |= {"momentum": config.momentum, "nesterov": config.nesterov and config.momentum > 0}
    else:
        options |= {"betas": config.betas, "eps": config.epsilon}
    device = next(model.parameters()).device.type
    if "fused" in inspect.signature(kind).parameters and device in ("cpu", "cuda"):
        options["fused"] = True
    return kind(groups(model, config), **options)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def state_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as named tensors: `index.key`, parameters counted through all groups."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{key}": torch.as_tensor(value) for i, entry in state.items() for key, value in entry.items()}


def load_state_tensors(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `state_tensors` gave.

    A saved tensor is contiguous, a parameter may be channels-last; fused kernels pair the two by memory address,
    so each tensor of a parameter's shape takes the parameter's layout.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        like = parameters[int(index)]
        laid_out = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor
        state.setdefault(int(index), {})[key] = laid_out
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
