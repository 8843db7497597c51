"""A faster way to the same convolution, and pooling before the activation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.models.blocks import ActivatedPool
from mien.models.convolution import Conv2d, columns

CL = torch.channels_last


@pytest.fixture
def matrix_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with AMX, whatever this one has: without it the CPU's own kernel is the faster."""
    monkeypatch.setattr("mien.models.convolution.has_matrix_units", lambda: True)


def exact(value: Tensor) -> Tensor:
    """The value as bf16 holds it, in float64."""
    return value.detach().bfloat16().double()


@pytest.mark.usefixtures("matrix_units")
@pytest.mark.parametrize(("side", "padding", "bias"), [(6, 1, False), (6, 1, True), (8, 0, True), (3, 1, False)])
def test_small_maps_give_the_outputs_and_gradients_of_the_definition(side: int, padding: int, bias: bool) -> None:
    torch.manual_seed(0)
    conv = Conv2d(32, 48, 3, padding=padding, bias=bias).to(memory_format=CL)
    x = torch.randn(5, 32, side, side).to(memory_format=CL).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        maps = conv(x)
    gradient = torch.randn_like(maps)
    maps.backward(gradient)
    exact_x, exact_weight = exact(x).requires_grad_(), exact(conv.weight).requires_grad_()
    exact_bias = exact(conv.bias).requires_grad_() if conv.bias is not None else None
    expected = F.conv2d(exact_x, exact_weight, exact_bias, padding=padding)
    expected.backward(gradient.double())
    for found, right in [(maps, expected), (x.grad, exact_x.grad), (conv.weight.grad, exact_weight.grad)]:
        assert found is not None
        assert right is not None
        torch.testing.assert_close(found.double(), right, rtol=0.02, atol=0.01 * right.abs().max().item())
    if exact_bias is not None:
        assert conv.bias.grad is not None
        torch.testing.assert_close(conv.bias.grad.double(), exact_bias.grad, rtol=0.02, atol=0.2)


def test_small_maps_take_the_matrix_product_only_in_training_with_bf16_on_matrix_units(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    monkeypatch.setattr("mien.models.convolution.columns", lambda x, p: calls.append(1) or columns(x, p))
    conv = Conv2d(32, 32, 3, padding=1)

    def went_there(side: int = 6, *, bf16: bool = True, training: bool = True, amx: bool = True) -> bool:
        monkeypatch.setattr("mien.models.convolution.has_matrix_units", lambda: amx)
        calls.clear()
        conv.train(training)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            conv(torch.randn(2, 32, side, side)).sum().backward()
        return bool(calls)

    assert went_there()
    assert not went_there(side=12)
    assert not went_there(bf16=False)
    assert not went_there(training=False)
    assert not went_there(amx=False)


@pytest.mark.parametrize("act", [nn.ReLU(), nn.LeakyReLU(0.1)])
@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, ceil_mode=True)])
def test_pooling_before_a_monotonic_activation_changes_neither_values_nor_gradients(
    act: nn.Module, pool: nn.Module
) -> None:
    torch.manual_seed(1)
    layer = ActivatedPool(act, pool)
    # No two values of a window are equal, all are far from a kink.
    start = torch.randperm(2 * 3 * 11 * 11).view(2, 3, 11, 11) / 100 - 3.003
    results = []
    for training in (True, False):
        x = start.clone().requires_grad_()
        y = layer.train(training)(x)
        (y * torch.arange(y.numel()).view_as(y)).sum().backward()
        results.append((y.detach(), x.grad))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])
