"""Which parameter learns at which rate and is decayed by how much."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, cast

from torch import nn

from mien.core.errors import MienError
from mien.core.recipe_keys import OptimiserConfig
from mien.models.entry import Backbone

HEADS = "heads."


def weights_of(model: nn.Module) -> set[str]:
    """Names of the parameters that are kernels or dense weights: no norms or biases, no tables of tokens or places."""
    backbone = getattr(model, "backbone", None)
    others = {f"backbone.{name}" for name in backbone.not_weights()} if isinstance(backbone, Backbone) else set()
    return {name for name, parameter in model.named_parameters() if parameter.ndim > 1} - others


def decay_of(name: str, config: OptimiserConfig, *, is_weight: bool) -> float:
    """The weight decay of one parameter: by `l2`'s longest matching part of its name, else the general rule."""
    general = config.weight_decay if is_weight or config.decay_norms_and_biases else 0.0
    return by_part(name, config.l2, general)


def by_part(name: str, values: Mapping[str, float], default: float) -> float:
    """The value of the longest key that is part of `name`, or the default."""
    matches = [part for part in values if part in name]
    return values[max(matches, key=len)] if matches else default


def rates(model: nn.Module, config: OptimiserConfig) -> dict[str, float]:
    """The learning rate of every parameter in units of the recipe's: product of all keys that say something of it."""
    depths = _depths(model) if config.layer_decay != 1 else {}
    heads = max(depths.values(), default=0)
    biases = _norm_biases(model) if config.norm_bias_rate != 1 else set()
    return {
        name: by_part(name, config.rates, 1.0)
        * config.layer_decay ** (heads - depths.get(name, heads))
        * (config.norm_bias_rate if name in biases else 1.0)
        for name, _ in model.named_parameters()
    }


def _norm_biases(model: nn.Module) -> set[str]:
    """Names of the biases of norms; cifar10-airbench (arXiv 2404.00498, section 3.4) moves them 64 times faster."""
    modules = model.named_modules()
    return {f"{name}.bias".lstrip(".") for name, module in modules if "Norm" in type(module).__name__}


def _depths(model: nn.Module) -> dict[str, int]:
    """The depth of every parameter, counted from the input by the backbone's own groups; heads are the deepest."""
    groups = cast(Backbone, model.get_submodule("backbone")).depth_groups()
    at = {f"backbone.{part}": depth for depth, group in enumerate(groups) for part in group}
    return {
        name: len(groups) if name.startswith(HEADS) else _of_holder(name, at) for name, _ in model.named_parameters()
    }


def _of_holder(name: str, values: Mapping[str, int]) -> int:
    """The value of a parameter's name, or of the innermost module around it that has one."""
    while name and name not in values:
        name = name.rpartition(".")[0]
    return values[name]


def groups(
    named: Mapping[str, nn.Parameter], config: OptimiserConfig, factors: Mapping[str, float], weights: Set[str]
) -> list[dict[str, Any]]:
    """Parameter groups, one for each weight decay and rate; norms and biases are not decayed unless the recipe says so.

    Args:
        named: the parameters by name.
        config: decays.
        factors: rates by name, in units of the recipe's; each group carries its own as `factor`.
        weights: names of those that are kernels or dense weights, see `weights_of`.
    """
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named.items():
        decay = decay_of(name, config, is_weight=name in weights)
        found.setdefault((decay, factors[name]), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "factor": factor} for (decay, factor), parameters in found.items()
    ]


def check_parts(model: nn.Module, config: OptimiserConfig) -> None:
    """Raises MienError when a key of `optimiser.l1`, `l2` or `rates` is part of no parameter's name."""
    for key, parts in (("l1", config.l1), ("l2", config.l2), ("rates", config.rates)):
        for part in parts:
            require_part(model, part, f"optimiser.{key}")


def require_part(model: nn.Module, part: str, key: str) -> None:
    """Raises MienError naming the parameters when none has `part` in its name."""
    names = [name for name, _ in model.named_parameters()]
    if not any(part in name for name in names):
        raise MienError(f"{key}: no parameter has {part!r} in its name", hint=f"names: {', '.join(names)}")
