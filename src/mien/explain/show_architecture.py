"""The architecture as a picture: every layer, and what it hands to which."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import MienError
from mien.core.files import write_text
from mien.explain.index import Shown
from mien.explain.subject import Subject, Tell
from mien.models.graph import Node, trace
from mien.models.graph_svg import boxed, drawn
from mien.page.words import plural

GROUP = "architecture"
_SUMS = ("add", "iadd")


def write(of: Subject, folder: Path, tell: Tell) -> list[Shown]:
    """The net as a graph, for pictures of the data set's size."""
    if of.classifier is None:
        raise MienError("an exported file cannot be looked into", hint="give its run or .safetensors file")
    tell(0, 1)
    spec = of.classifier.spec
    nodes = trace(of.classifier, (spec.channels, *of.dataset.images.shape[1:3]))
    write_text(folder / GROUP / "graph.svg", drawn(nodes, title=spec.architecture))
    return [Shown("Architecture", sentence(nodes), f"{GROUP}/graph.svg", GROUP)]


def sentence(nodes: tuple[Node, ...]) -> str:
    """What the graph shows, with its figures."""
    sums = sum(node.kind in _SUMS for node in nodes)
    branches = f", {plural(sums, 'sum')} of branches" if sums else ""
    parameters = sum(node.parameters for node in nodes)
    return (
        f"{plural(len(boxed(nodes)) - 1, 'box', 'boxes')} from the pictures to the answers{branches}, "
        f"{parameters:,} parameters. At each line stands the shape it carries: channels×height×width."
    )
