"""Which parameter learns at which rate and is decayed by how much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.recipe_keys import OptimiserConfig

HEADS = "heads."


def decay_of(name: str, parameter: Tensor, config: OptimiserConfig) -> float:
    """The weight decay of one parameter: by `l2`'s longest matching part of its name, else the general rule."""
    general = config.weight_decay if parameter.ndim > 1 or config.decay_norms_and_biases else 0.0
    return by_part(name, config.l2, general)


def by_part(name: str, values: Mapping[str, float], default: float) -> float:
    """The value of the longest key that is part of `name`, or the default."""
    matches = [part for part in values if part in name]
    return values[max(matches, key=len)] if matches else default


def rates(model: nn.Module, config: OptimiserConfig) -> dict[str, float]:
    """The learning rate of every parameter in units of the recipe's: product of all keys that say something of it."""
    top = _layers(model) if config.layer_decay != 1 else {}
    highest = max(top.values(), default=0)
    biases = _norm_biases(model) if config.norm_bias_rate != 1 else set()
    return {
        name: by_part(name, config.rates, 1.0)
        * config.layer_decay ** (highest - top.get(name, highest))
        * (config.norm_bias_rate if name in biases else 1.0)
        for name, _ in model.named_parameters()
    }


def _norm_biases(model: nn.Module) -> set[str]:
    """Names of the biases of norms; cifar10-airbench (arXiv 2404.00498, section 3.4) moves them 64 times faster."""
    modules = model.named_modules()
    return {f"{name}.bias".lstrip(".") for name, module in modules if "Norm" in type(module).__name__}


def _layers(model: nn.Module) -> dict[str, int]:
    """The depth of every parameter, counted from the input; heads are the deepest.

    Networks of timm say themselves which parameters form a layer. Elsewhere each kernel is one, with the vectors that
    follow it.
    """
    net: Any = getattr(getattr(model, "backbone", None), "net", None)
    if hasattr(net, "group_matcher"):
        # Loaded only for its own nets: timm takes a second to import.
        from timm.models import group_parameters

        grouped: dict[str, int] = group_parameters(net, net.group_matcher(coarse=False), reverse=True)
        depths = {f"backbone.net.{name}": depth for name, depth in grouped.items()}
    else:
        depths, depth = {}, -1
        for name, parameter in model.named_parameters():
            depth += parameter.ndim > 1 and not name.startswith(HEADS)
            depths[name] = max(depth, 0)
    heads = max(depths.values(), default=0) + 1
    return {name: heads if name.startswith(HEADS) else depths.get(name, 0) for name, _ in model.named_parameters()}


def groups(
    named: Mapping[str, nn.Parameter], config: OptimiserConfig, factors: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Parameter groups, one for each weight decay and rate; norms and biases are not decayed unless the recipe says so.

    Args:
        named: the parameters by name.
        config: decays.
        factors: rates by name, in units of the recipe's; each group carries its own as `factor`.
    """
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named.items():
        found.setdefault((decay_of(name, parameter, config), factors[name]), []).append(parameter)
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
