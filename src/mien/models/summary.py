"""A network layer by layer: output shapes, parameters, multiply-adds, receptive field and stride.

The figures come from one forward pass of zeros. Hooks tell which layer is at work; a function mode sees every
convolution, dense layer and pooling as it is called, so that those written as functions count as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from mien.models.blocks import eval_mode


@dataclass(frozen=True)
class Layer:
    """One call of a layer.

    Attributes:
        name: path of the module.
        kind: its class.
        shape: of its output, without the batch.
        parameters: its own; 0 when it was listed before, as in nets that use weights twice.
        multiply_adds: of its convolutions and dense layers for one picture; biases and norms are not counted.
        receptive_field: side in pixels of what one output sees; None where it sees the whole picture.
        stride: pixels of the picture between two neighbouring outputs; None as above.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int | None
    stride: int | None


@dataclass(frozen=True)
class Table:
    """All layers in the order they run, and the totals of the net."""

    layers: tuple[Layer, ...]
    parameters: int
    multiply_adds: int


class _Field(NamedTuple):
    """Receptive field and stride in pixels of the input."""

    size: int
    stride: int

    def through(self, kernel: int, stride: int, dilation: int) -> _Field:
        return _Field(self.size + dilation * (kernel - 1) * self.stride, self.stride * stride)


@dataclass(frozen=True)
class _Call:
    """A torch function's arguments."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument given by place or by name; `default` where it was left out, None or empty."""
        value = self.args[position] if len(self.args) > position else self.kwargs.get(name)
        return default if value is None or value == () else value

    def tensors(self) -> Iterator[Tensor]:
        """The tensors among the arguments, those in lists too."""
        for value in (*self.args, *self.kwargs.values()):
            items = value if isinstance(value, list | tuple) else (value,)
            yield from (item for item in items if isinstance(item, Tensor))


def _side(value: Any) -> int:
    """A number, or the first of a pair: windows are taken as square."""
    return int(value if isinstance(value, int) else value[0])


def _convolution_window(call: _Call) -> tuple[int, int, int]:
    kernel = int(call.argument(1, "weight").shape[2])
    return kernel, _side(call.argument(3, "stride", 1)), _side(call.argument(5, "dilation", 1))


def _pooling_window(call: _Call) -> tuple[int, int, int]:
    kernel = call.argument(1, "kernel_size")
    # By name only: average pooling has no dilation and another argument in its place.
    return _side(kernel), _side(call.argument(2, "stride", kernel)), _side(call.kwargs.get("dilation", 1))


# Which functions look through a window: its kernel, stride and dilation.
_WINDOWS: dict[Callable[..., Any], Callable[[_Call], tuple[int, int, int]]] = {
    torch.conv2d: _convolution_window,
    functional.max_pool2d: _pooling_window,
    functional.avg_pool2d: _pooling_window,
}


class _Watch(TorchFunctionMode):
    """Follows receptive fields from tensor to tensor and adds up multiply-adds for the innermost open layer."""

    def __init__(self, pictures: Tensor) -> None:
        super().__init__()
        self.fields: Any = WeakTensorKeyDictionary()
        self.fields[pictures] = _Field(1, 1)
        self.open = [0]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        call = _Call(args, kwargs or {})
        result = func(*call.args, **call.kwargs)
        if func in (torch.conv2d, functional.linear):
            # A batch of one: each output number takes one multiply-add per weight behind it.
            self.open[-1] += result.numel() * call.argument(1, "weight")[0].numel()
        for tensor in result if isinstance(result, list | tuple) else (result,):
            if isinstance(tensor, Tensor):
                self._follow(func, call, tensor)
        return result

    def _follow(self, func: Any, call: _Call, result: Tensor) -> None:
        """Note the result's field: through a window, or the largest among the maps of its size.

        Flattened, it has none. A factor without one, such as a gate of all channels' means, is not counted.
        """
        if func in _WINDOWS:
            before = self.fields.get(call.argument(0, "input"))
            field = before and before.through(*_WINDOWS[func](call))
        else:
            maps = (t for t in call.tensors() if func is functional.pad or t.shape[2:] == result.shape[2:])
            known = [self.fields[t] for t in maps if t in self.fields]
            field = max(known, default=None) if result.ndim == 4 else None
        if field:
            self.fields[result] = field


class _Rows:
    """Forward hooks that turn the layers' calls into rows."""

    def __init__(self, watch: _Watch) -> None:
        self.watch = watch
        self.layers: list[Layer] = []
        self.listed: set[nn.Module] = set()

    def before(self, _module: nn.Module, _inputs: Any) -> None:
        self.watch.open.append(0)

    def after(self, module: nn.Module, name: str, output: Any) -> None:
        multiply_adds = self.watch.open.pop()
        parameters = 0 if module in self.listed else _own_parameters(module)
        self.listed.add(module)
        tensor = output if isinstance(output, Tensor) else None
        field = None if tensor is None else self.watch.fields.get(tensor)
        shape = () if tensor is None else tuple(tensor.shape[1:])
        size, stride = field or (None, None)
        self.layers.append(Layer(name, type(module).__name__, shape, parameters, multiply_adds, size, stride))


def _own_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def _is_layer(module: nn.Module) -> bool:
    """Whether a module gets a row: it has weights of its own, or no parts and something to do."""
    idle = isinstance(module, nn.Identity | nn.Sequential)
    return _own_parameters(module) > 0 or (not idle and not any(True for _ in module.children()))


@contextmanager
def _hooked(net: nn.Module, rows: _Rows) -> Iterator[None]:
    with ExitStack() as stack:
        for name, module in net.named_modules():
            if _is_layer(module):
                stack.callback(module.register_forward_pre_hook(rows.before).remove)
                hook = module.register_forward_hook(lambda m, _, out, name=name: rows.after(m, name, out))
                stack.callback(hook.remove)
        yield


def layer_table(net: nn.Module, shape: tuple[int, int, int]) -> Table:
    """The table of a net for pictures of `shape` (C, H, W); runs on the net's own device, also "meta"."""
    device = next((p.device for p in net.parameters()), torch.device("cpu"))
    pictures = torch.zeros(1, *shape, device=device)
    watch = _Watch(pictures)
    rows = _Rows(watch)
    with torch.no_grad(), eval_mode(net), _hooked(net, rows), watch:
        net(pictures)
    total = watch.open[0] + sum(layer.multiply_adds for layer in rows.layers)
    return Table(tuple(rows.layers), sum(p.numel() for p in net.parameters()), total)
