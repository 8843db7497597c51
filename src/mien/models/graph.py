"""A network as a graph: which layer hands what to which, branches included, found by one forward pass of zeros.

Hooks tell which layer gave a tensor; a function mode sees what happens to tensors between layers, such as the sum at
the end of a residual branch. Works for any net of modules, also those of timm, without tracing or compiling.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from mien.models.blocks import eval_mode

# Functions that hand on what they are given, perhaps in another shape: no node of their own.
_PASSING = frozenset(
    {"view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "squeeze", "unsqueeze", "expand", "expand_as"}
    | {"permute", "transpose", "movedim", "contiguous", "to", "type", "float", "bfloat16", "half", "detach", "clone"}
    | {"getitem", "get", "chunk", "split", "unbind", "tensor_split", "narrow", "select", "alias", "requires_grad"}
)


@dataclass(frozen=True)
class Edge:
    """A tensor on its way into a node: number of the node it comes from, and its shape without the batch."""

    source: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """A layer at work, or a function between layers.

    Attributes:
        name: path of the module; of a function the module that calls it, and its name.
        kind: class of the layer, or name of the function; "pictures" for what comes in.
        detail: what is worth knowing of its size, such as "3×3, 64".
        shape: of what it gives, without the batch.
        parameters: its own; 0 for a layer that worked before in the same pass.
        inputs: where its tensors come from, in the order of its arguments.
    """

    name: str
    kind: str
    detail: str
    shape: tuple[int, ...]
    parameters: int
    inputs: tuple[Edge, ...]


@dataclass
class _Trace:
    """Nodes so far, which of them each living tensor comes from, and which are made of parameters alone."""

    nodes: list[Node] = field(default_factory=list)
    made: Any = field(default_factory=WeakTensorKeyDictionary)
    weights: Any = field(default_factory=WeakTensorKeyDictionary)
    open: list[str] = field(default_factory=list)
    within: int = 0
    counted: set[nn.Parameter] = field(default_factory=set)
    names: dict[str, int] = field(default_factory=dict)

    def edges(self, values: Any) -> tuple[Edge, ...]:
        """Of the tensors among `values` those that have come from a node."""
        return tuple(Edge(self.made[t], tuple(t.shape[1:])) for t in _tensors(values) if t in self.made)

    def parameters(self, values: Any) -> set[nn.Parameter]:
        """Those among `values`, and those that tensors among them were made of."""
        found: set[nn.Parameter] = set()
        for tensor in _tensors(values):
            found |= {tensor} if isinstance(tensor, nn.Parameter) else self.weights.get(tensor, set())
        return found

    def add(self, name: str, what: tuple[str, str], result: Any, inputs: tuple[Edge, ...], own: Any = ()) -> None:
        """A node, of a kind and detail, that gives the tensors of `result`, with its own parameters."""
        given = list(_tensors(result))
        shape = tuple(given[0].shape[1:]) if given else ()
        new = set(own) - self.counted
        self.counted |= new
        count = sum(p.numel() for p in new)
        self.nodes.append(Node(self._free(name), *what, shape, count, inputs))
        for tensor in given:
            self.made[tensor] = len(self.nodes) - 1

    def _free(self, name: str) -> str:
        """The name, with a number from its second use on."""
        self.names[name] = self.names.get(name, 0) + 1
        return name if self.names[name] == 1 else f"{name}:{self.names[name]}"


def _tensors(values: Any) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples and dictionaries."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))


class _Functions(TorchFunctionMode):
    """Sees the functions that are called outside of innermost layers."""

    def __init__(self, trace: _Trace) -> None:
        super().__init__()
        self.trace = trace

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not self.trace.within:
            self._note(func.__name__.strip("_"), (args, kwargs or {}), result)
        return result

    def _note(self, name: str, given: tuple[Any, Any], result: Any) -> None:
        inputs, parameters = self.trace.edges(given), self.trace.parameters(given)
        where = self.trace.open[-1] if self.trace.open else ""
        if not inputs:
            for tensor in _tensors(result) if parameters else ():
                self.trace.weights[tensor] = parameters
        elif name in _PASSING:
            for tensor in _tensors(result):
                self.trace.made[tensor] = inputs[0].source
        elif any(True for _ in _tensors(result)):
            path = f"{where}.{name}" if where else name
            self.trace.add(path, (name, _kernel(name, given[0])), result, inputs, parameters)


class _Layers:
    """Forward hooks of innermost layers, which make nodes, and of others, which only say where we are."""

    def __init__(self, trace: _Trace) -> None:
        self.trace = trace
        self.inputs: list[tuple[Edge, ...]] = []

    def enter(self, module: nn.Module, name: str, args: Any, kwargs: Any) -> None:
        if _is_innermost(module):
            self.inputs.append(self.trace.edges((args, kwargs)))
            self.trace.within += 1
        self.trace.open.append(name)

    def leave(self, module: nn.Module, name: str, output: Any) -> Any:
        self.trace.open.pop()
        if not _is_innermost(module):
            return None
        inputs = self.inputs.pop()
        # A layer that gives what it was given, such as dropout in evaluation, would take the tensor's origin with it.
        given = output.view_as(output) if isinstance(output, Tensor) else output
        self.trace.within -= 1
        if _is_idle(module):
            for tensor in _tensors(given) if inputs else ():
                self.trace.made[tensor] = inputs[0].source
            return given
        what = type(module).__name__, detail(module)
        self.trace.add(name, what, given, inputs, module.parameters())
        return given


def _is_innermost(module: nn.Module) -> bool:
    return not any(True for _ in module.children())


def _is_idle(module: nn.Module) -> bool:
    """Whether an innermost layer does nothing, ever."""
    return isinstance(module, nn.Identity | nn.Sequential) or (_rate(module) == 0)


def _rate(module: nn.Module) -> float | None:
    """Of a kind of dropout; None for another layer."""
    rate = getattr(module, "rate", getattr(module, "p", None))
    return float(rate) if "drop" in type(module).__name__.lower() and isinstance(rate, int | float) else None


def _kernel(name: str, args: tuple[Any, ...]) -> str:
    """Of a convolution that is called as a function: its window and width."""
    if name != "conv2d" or len(args) < 2:
        return ""
    return f"{_window(tuple(args[1].shape[2:]))}, {args[1].shape[0]}"


def detail(module: nn.Module) -> str:
    """Kernel, stride and width of a layer in a few characters; "" where there is nothing to say."""
    if isinstance(module, nn.Conv2d):
        groups = f", {module.groups} groups" if module.groups > 1 else ""
        return f"{_window(module.kernel_size)}{_stride(module.stride)}, {module.out_channels}{groups}"
    if isinstance(module, nn.Linear):
        return str(module.out_features)
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return f"{_window(module.kernel_size)}{_stride(module.stride)}"
    rate = _rate(module)
    return "" if rate is None else f"{rate:g}"


def _window(size: Any) -> str:
    high, wide = size if isinstance(size, tuple) else (size, size)
    return f"{high}×{wide}"


def _stride(stride: Any) -> str:
    step = stride[0] if isinstance(stride, tuple) else stride
    return f" / {step}" if step != 1 else ""


@contextmanager
def _hooked(net: nn.Module, layers: _Layers) -> Iterator[None]:
    with ExitStack() as stack:
        for name, module in net.named_modules():
            before = module.register_forward_pre_hook(
                lambda m, args, kwargs, name=name: layers.enter(m, name, args, kwargs), with_kwargs=True
            )
            after = module.register_forward_hook(lambda m, _, out, name=name: layers.leave(m, name, out))
            stack.callback(before.remove)
            stack.callback(after.remove)
        yield


def trace(net: nn.Module, shape: tuple[int, int, int]) -> tuple[Node, ...]:
    """The graph of a net in evaluation for pictures of `shape` (C, H, W); nodes come after those they take from.

    Runs on the net's own device, also "meta", and leaves the net as it was. What no output needs is left out.
    """
    device = next((p.device for p in net.parameters()), torch.device("cpu"))
    pictures = torch.zeros(1, *shape, device=device)
    found = _Trace()
    found.add("pictures", ("pictures", ""), pictures, ())
    with torch.no_grad(), eval_mode(net), _hooked(net, _Layers(found)), _Functions(found):
        result = net(pictures)
        ends = {edge.source for edge in found.edges(result)}
    return _needed(found.nodes, ends)


def _needed(nodes: list[Node], ends: set[int]) -> tuple[Node, ...]:
    """The nodes that lead to the ends, renumbered; the pictures always."""
    kept, ahead = {0}, list(ends)
    while ahead:
        number = ahead.pop()
        if number not in kept:
            kept.add(number)
            ahead += [edge.source for edge in nodes[number].inputs]
    places = {number: place for place, number in enumerate(sorted(kept))}
    return tuple(
        Node(n.name, n.kind, n.detail, n.shape, n.parameters, tuple(Edge(places[e.source], e.shape) for e in n.inputs))
        for number, n in enumerate(nodes)
        if number in kept
    )
