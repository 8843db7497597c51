"""Parameters that stay as they are for a while, and norms that stay with them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mien.core.errors import MienError
from mien.train.norms import BatchNorm
from mien.train.rates import require_part


def freeze(model: nn.Module, parts: Sequence[str]) -> bool:
    """Let exactly those parameters learn that have none of `parts` in their names; whether that is a change."""
    changed = False
    for name, parameter in model.named_parameters():
        learns = not any(part in name for part in parts)
        changed |= parameter.requires_grad != learns
        parameter.requires_grad_(learns)
        if not learns:
            parameter.grad = None
    return changed


def train_mode(model: nn.Module) -> None:
    """Training mode, but norms whose parameters are frozen keep their statistics and normalise by them."""
    model.train()
    for name in frozen_norms(model):
        model.get_submodule(name).eval()


def frozen_norms(model: nn.Module) -> set[str]:
    """Names of the batch norms whose parameters are all frozen."""
    return {
        name
        for name, module in model.named_modules()
        if isinstance(module, BatchNorm)
        and (own := list(module.parameters(recurse=False)))
        and not any(p.requires_grad for p in own)
    }


def norms_at_work(model: nn.Module, parts: Sequence[str]) -> bool:
    """Whether some batch norm takes statistics of its batch when parameters with `parts` in their names are frozen."""
    for name, module in model.named_modules():
        own = [f"{name}.{one}" for one, _ in module.named_parameters(recurse=False)]
        if isinstance(module, BatchNorm) and not (own and all(any(part in one for part in parts) for one in own)):
            return True
    return False


def check_freeze(model: nn.Module, parts: Sequence[str], *, phase: int) -> None:
    """Raises MienError when a part is in no parameter's name, or nothing is left to learn."""
    for part in parts:
        require_part(model, part, f"phase {phase}: freeze")
    if all(any(part in name for part in parts) for name, _ in model.named_parameters()):
        raise MienError(f"phase {phase}: freeze = {list(parts)} leaves nothing to learn", hint='such as ["backbone"]')
