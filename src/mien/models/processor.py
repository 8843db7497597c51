"""What this CPU multiplies in bf16, as far as torch tells."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch


@cache
def _capabilities() -> dict[str, Any]:
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return found


def has_matrix_units() -> bool:
    """Whether this CPU multiplies tiles of bf16 (AMX); False where torch cannot tell."""
    return bool(_capabilities().get("amx_bf16", False))


def has_bf16_products() -> bool:
    """Whether this CPU adds up products of bf16 pairs, by AMX or by AVX-512 BF16; False where torch cannot tell."""
    return has_matrix_units() or bool(_capabilities().get("avx512_bf16", False))
