"""A net's graph as TensorBoard wants it: a GraphDef, whose nodes carry their output shapes and parameters.

Source: tensorflow/core/framework/graph.proto, node_def.proto, attr_value.proto and tensor_shape.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mien.data.formats.event_proto import message_class
from mien.models.graph import Node

_PRODUCER = 22  # a version of GraphDef that TensorBoard takes; the one that PyTorch writes


def graph_def(nodes: Sequence[Node]) -> bytes:
    """The nodes, module paths as scopes, -1 for the number of pictures."""
    names = [node.name.replace(".", "/").replace(":", "-") for node in nodes]
    told = [
        {
            "name": name,
            "op": node.kind,
            "input": [names[edge.source] for edge in node.inputs],
            "attr": _attributes(node),
        }
        for name, node in zip(names, nodes, strict=True)
    ]
    made: bytes = message_class("GraphDef")(node=told, versions={"producer": _PRODUCER}).SerializeToString()
    return made


def _attributes(node: Node) -> list[dict[str, Any]]:
    shape = {"dim": [{"size": -1}, *({"size": side} for side in node.shape)]}
    found: list[dict[str, Any]] = [{"key": "_output_shapes", "value": {"list": {"shape": [shape]}}}]
    if node.parameters:
        found.append({"key": "parameters", "value": {"i": node.parameters}})
    if node.detail:
        found.append({"key": "detail", "value": {"s": node.detail.encode()}})
    return found
