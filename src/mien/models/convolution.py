"""A convolution whose weight gradient is one matrix product where the CPU's own kernel leaves matrix units idle."""

from __future__ import annotations

from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from mien.models.processor import has_matrix_units

# oneDNN's weight gradient fills AMX tiles of 16 rows along the map's width: at 6 or 8 px more than half stays empty.
_SMALL_MAP = 8
_LEAST_CHANNELS = 32


def columns(x: Tensor, padding: int) -> Tensor:
    """The 3×3 surroundings of each output position: (N, C, H, W) to (N·H'·W', 9·C), taps in row order.

    Contiguous channels-last maps are read through a view, so this is a single copy.
    """
    maps = F.pad(x, (padding,) * 4).permute(0, 2, 3, 1).contiguous()
    n, height, width, channels = maps.shape
    by_picture, by_row, by_column, _ = maps.stride()
    windows = (n, height - 2, width - 2, 3, 3 * channels)
    strides = (by_picture, by_row, by_column, by_row, 1)
    return maps.as_strided(windows, strides).reshape(n * (height - 2) * (width - 2), 9 * channels)


class _SmallMaps(torch.autograd.Function):
    """3×3 convolution of stride one; only the gradient of the weight differs from torch's, and that by rounding."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return torch.conv2d(x, weight, None, 1, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        inputs = None
        if ctx.needs_input_grad[0]:
            inputs = conv2d_input(x.shape, weight, gradient, padding=ctx.padding)  # type: ignore[no-untyped-call]
        flat = gradient.permute(0, 2, 3, 1).reshape(-1, weight.shape[0])
        product = (flat.t() @ columns(x, ctx.padding)).view(weight.shape[0], 3, 3, weight.shape[1])
        return inputs, product.permute(0, 3, 1, 2), None


@final
class Conv2d(nn.Conv2d):
    """`nn.Conv2d` with a faster weight gradient for small maps in bf16 on a CPU with AMX; the same anywhere else."""

    def forward(self, input: Tensor) -> Tensor:
        if not self._pays(input):
            return super().forward(input)
        x, weight = input.bfloat16(), self.weight.bfloat16()
        padding = cast(tuple[int, int], self.padding)[0]
        maps = cast(Tensor, _SmallMaps.apply(x, weight, padding))
        return maps if self.bias is None else maps + self.bias.bfloat16().view(-1, 1, 1)

    def _pays(self, x: Tensor) -> bool:
        autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        plain = self.kernel_size == (3, 3) and self.stride == (1, 1) and self.dilation == (1, 1) and self.groups == 1
        if not (self.training and autocast and plain and x.device.type == "cpu" and self.padding in ((0, 0), (1, 1))):
            return False
        small = x.shape[3] - 2 + 2 * self.padding[0] <= _SMALL_MAP and self.in_channels >= _LEAST_CHANNELS
        return small and has_matrix_units()
