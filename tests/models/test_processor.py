"""What the CPU multiplies in bf16, and what `train.precision=auto` makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from mien.models import processor
from mien.train.machine import choose_precision


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    """Each test asks torch itself; none leaves its answer to the next."""
    processor._capabilities.cache_clear()
    yield
    processor._capabilities.cache_clear()


@pytest.mark.parametrize(
    ("told", "tiles", "products"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, True, True),
        ({"amx_bf16": False, "avx512_bf16": True}, False, True),
        ({"amx_bf16": False, "avx512_bf16": False}, False, False),
        ({}, False, False),
    ],
)
def test_auto_takes_bf16_where_the_cpu_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, bool], tiles: bool, products: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert processor.has_matrix_units() == tiles
    assert processor.has_bf16_products() == products
    assert choose_precision("auto", "cpu") == ("bf16" if products else "fp32")
    assert choose_precision("fp32", "cpu") == "fp32"
    assert choose_precision("bf16", "cpu") == "bf16"
    assert choose_precision("auto", "mps") == "fp32"


def test_a_torch_that_cannot_tell_gives_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not processor.has_matrix_units()
    assert choose_precision("auto", "cpu") == "fp32"
