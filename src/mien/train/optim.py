"""Optimisers of a recipe over a model's parameters, as one object."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, final

import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.recipe_keys import OptimiserConfig
from mien.train.matrices import Matrices, is_matrix
from mien.train.rates import by_part, check_parts, groups, rates, weights_of

_KINDS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@dataclass(frozen=True, eq=False)
class L1:
    """The penalty strength·Σ|w| on one parameter.

    Attributes:
        factor: the parameter's rate in units of the recipe's.
        is_decoupled: whether it is taken off the weight after the step, times the rate, as AdamW and Muon take weight
            decay off, or added to the gradient, whose size they would take out again.
    """

    parameter: nn.Parameter
    strength: float
    factor: float
    is_decoupled: bool


@final
class Optimiser:
    """Moves the parameters of a model: one of torch's optimisers, or with Muon two.

    Args:
        parts: torch's optimisers; every group has a `factor`, its rate in units of the recipe's.
        matrices: parameters that the first part sees as matrices.
        l1: penalties on parameters.
    """

    def __init__(
        self,
        parts: list[torch.optim.Optimizer],
        *,
        matrices: Matrices | None = None,
        l1: list[L1] | None = None,
    ) -> None:
        self.parts, self._matrices, self._l1 = parts, matrices, l1 or []
        self._rate = float(parts[0].param_groups[0]["lr"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)
        if self._matrices:
            self._matrices.zero_grad()

    def set_rate(self, rate: float) -> None:
        """Set the learning rate; every group takes its own multiple of it."""
        self._rate = rate
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group["factor"]

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters that have gradients."""
        moved = [one for one in self._l1 if one.parameter.grad is not None]
        for one in moved:
            if not one.is_decoupled and one.parameter.grad is not None:
                one.parameter.grad.add_(one.parameter.sign(), alpha=one.strength)
        if self._matrices:
            self._matrices.hand_over()
        for part in self.parts:
            part.step()
        for one in moved:
            if one.is_decoupled:
                one.parameter.sub_(one.parameter.sign(), alpha=self._rate * one.factor * one.strength)

    def complete(self) -> None:
        """Give parameters that begin to learn after others an empty momentum: fused SGD takes all of a group or none.

        Nothing else changes: the first step from an empty momentum is that of a beginning.
        """
        for part in self.parts:
            if isinstance(part, torch.optim.SGD) and any("momentum_buffer" in state for state in part.state.values()):
                for parameter in (p for group in part.param_groups for p in group["params"]):
                    part.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))

    def state_tensors(self) -> dict[str, Tensor]:
        """The state as named tensors: `index.key`, parameters counted through all groups of all parts."""
        return {
            f"{first + i}.{key}": torch.as_tensor(value)
            for part, first in zip(self.parts, self._firsts(), strict=True)
            for i, entry in part.state_dict()["state"].items()
            for key, value in entry.items()
        }

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state_tensors` gave.

        A saved tensor is contiguous, a parameter may be channels-last; fused kernels pair the two by memory address,
        so each tensor of a parameter's shape takes the parameter's layout.
        """
        for part, first in zip(self.parts, self._firsts(), strict=True):
            parameters = [p for group in part.param_groups for p in group["params"]]
            state: dict[int, dict[str, Any]] = {}
            for name, tensor in tensors.items():
                number, key = name.split(".", 1)
                index = int(number) - first
                if not 0 <= index < len(parameters):
                    continue
                like = parameters[index]
                laid_out = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor
                state.setdefault(index, {})[key] = laid_out
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})

    def _firsts(self) -> list[int]:
        counts = [sum(len(group["params"]) for group in part.param_groups) for part in self.parts]
        return list(accumulate(counts[:-1], initial=0))


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> Optimiser:
    """The optimiser of a recipe over a model's parameters; fused kernels where torch has them for the device.

    Raises:
        MienError: a key of `l1`, `l2` or `rates` is part of no parameter's name, or this torch has no Muon.
    """
    check_parts(model, config)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    factors, weights = rates(model, config), weights_of(model)
    if config.name != "muon":
        l1 = _penalties(named, config, factors, is_decoupled=config.name == "adamw")
        return Optimiser([_plain(config.name, groups(named, config, factors, weights), config)], l1=l1)
    hidden = {name: p for name, p in named.items() if is_matrix(name, p, weights)}
    others = {name: p for name, p in named.items() if name not in hidden}
    scale = (config.rest_learning_rate or config.learning_rate) / config.learning_rate
    matrices = Matrices(list(hidden.values()))
    scaled = {name: factors[name] * scale for name in others}
    parts = [
        _muon(matrices.seen_in(groups(hidden, config, factors, weights)), config),
        _plain(config.rest, groups(others, config, scaled, weights), config),
    ]
    l1 = _penalties(hidden, config, factors, is_decoupled=True)
    l1 += _penalties(others, config, scaled, is_decoupled=config.rest == "adamw")
    return Optimiser(parts, matrices=matrices, l1=l1)


def _penalties(
    named: Mapping[str, nn.Parameter], config: OptimiserConfig, factors: Mapping[str, float], *, is_decoupled: bool
) -> list[L1]:
    strengths = {name: by_part(name, config.l1, 0.0) for name in named}
    return [L1(p, strengths[name], factors[name], is_decoupled) for name, p in named.items() if strengths[name]]


def _plain(name: str, grouped: list[dict[str, Any]], config: OptimiserConfig) -> torch.optim.Optimizer:
    kind = _KINDS[name]
    options: dict[str, Any] = {"lr": config.learning_rate}
    if name == "sgd":
        options |= {"momentum": config.momentum, "nesterov": config.nesterov and config.momentum > 0}
    else:
        options |= {"betas": config.betas, "eps": config.epsilon}
    device = grouped[0]["params"][0].device.type
    if "fused" in inspect.signature(kind).parameters and device in ("cpu", "cuda"):
        options["fused"] = True
    return kind(grouped, **options)


def _muon(grouped: list[dict[str, Any]], config: OptimiserConfig) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024) with updates of AdamW's size (arXiv 2502.16982, section 2.2), so that rates agree."""
    if not hasattr(torch.optim, "Muon"):
        raise MienError(f"optimiser.name = muon needs torch 2.9 or later, this is {torch.__version__}")
    return torch.optim.Muon(
        grouped,
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        adjust_lr_fn="match_rms_adamw",
    )
