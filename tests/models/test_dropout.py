"""Our dropout against its definition."""

from __future__ import annotations

import pytest
import torch

from mien.models.dropout import Dropout, keep_mask


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_the_rate_and_the_mean_are_kept(rate: float) -> None:
    torch.manual_seed(0)
    out = Dropout(rate).train()(torch.ones(200_000))
    assert (out == 0).float().mean().item() == pytest.approx(rate, abs=0.005)
    assert out.mean().item() == pytest.approx(1, abs=0.03)
    assert out.max().item() == pytest.approx(1 / (1 - rate), rel=1e-3)


def test_a_rate_near_one_drops_nearly_all() -> None:
    mask = keep_mask(torch.ones(100), 0.999999)
    assert set(mask.tolist()) <= {0.0, 65536.0}


def test_evaluation_changes_nothing_and_training_repeats_with_the_seed() -> None:
    x = torch.randn(5, 7)
    layer = Dropout(0.5)
    assert layer.eval()(x) is x
    layer.train()
    torch.manual_seed(3)
    first, other = layer(x), layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mask_has_the_layout_and_type_of_its_input(layout: torch.memory_format, dtype: torch.dtype) -> None:
    x = torch.ones(3, 5, 4, 7, dtype=dtype).contiguous(memory_format=layout)
    mask = keep_mask(x, 0.5)
    assert mask.shape == x.shape
    assert mask.stride() == x.stride()
    assert mask.dtype == dtype
    assert keep_mask(x[:, ::2], 0.5).shape == (3, 3, 4, 7)


def test_gradients_pass_where_values_passed() -> None:
    x = torch.ones(1000, requires_grad=True)
    out = Dropout(0.3).train()(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
