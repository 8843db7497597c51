"""A net's graph as one SVG: layers that follow each other stand in one box, branches and their sums are visible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from mien.models.graph import Node
from mien.models.graph_layout import Layout, Points, Size, arrange

_LINE, _PAD, _SMALL, _LETTER = 15.0, 7.0, 12.0, 6.6  # px: height of a line, around text, of a name, width of a letter
_GAP, _DROP, _MARGIN = 34.0, 30.0, 16.0
_KINDS = {
    "pictures": "pictures",
    "add": "+ sum",
    "iadd": "+ sum",
    "cat": "⊕ side by side",
    "mul": "× product",
    "scaled_dot_product_attention": "attention",
}
_JOINS = frozenset({"add", "iadd", "cat", "mul", "sub", "stack"})
_STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',sans-serif;fill:#1c2430}"
    ".s{font-size:10px;fill:#5d6979}.e{font-size:10px;fill:#0b559f;stroke:#fff;stroke-width:4px;"
    "paint-order:stroke;stroke-linejoin:round}"
    "path{fill:none;stroke:#8a97a8;stroke-width:1.4}"
    ".w{fill:#e3edf8;stroke:#0b559f}.p{fill:#f3f4f6;stroke:#8a97a8}.j{fill:#fdf0d5;stroke:#b07d17}"
)


@dataclass(frozen=True)
class Box:
    """Layers in a row.

    Attributes:
        nodes: their numbers.
        inputs: number of the box and shape of the tensor that each input brings.
    """

    nodes: tuple[int, ...]
    inputs: tuple[tuple[int, tuple[int, ...]], ...]


def boxed(nodes: Sequence[Node]) -> list[Box]:
    """Every node in a box: one that only reworks what a single box gives, at the same size, joins that box."""
    used = [0] * len(nodes)
    for node in nodes:
        for edge in node.inputs:
            used[edge.source] += 1
    rows: list[list[int]] = []
    box_of: list[int] = []
    for number, node in enumerate(nodes):
        before = node.inputs[0].source if len(node.inputs) == 1 else 0
        if before and used[before] == 1 and _follows(node, nodes[before]):
            box_of.append(box_of[before])
            rows[box_of[number]].append(number)
        else:
            box_of.append(len(rows))
            rows.append([number])
    return [Box(tuple(row), tuple((box_of[edge.source], edge.shape) for edge in nodes[row[0]].inputs)) for row in rows]


def _follows(node: Node, before: Node) -> bool:
    """Norms, activations and dropout: they keep the size, and no convolution or dense layer is among them."""
    heavy = node.kind.startswith(("Conv", "Linear")) or node.kind in ("conv2d", "linear")
    return not heavy and node.shape == before.shape and node.inputs[0].shape == before.shape


def drawn(nodes: Sequence[Node], *, title: str) -> str:
    """The graph as a whole SVG file.

    Args:
        nodes: as `graph.trace` gives them.
        title: a line above it.
    """
    boxes = boxed(nodes)
    texts = [_texts(box, nodes) for box in boxes]
    edges = [(source, number) for number, box in enumerate(boxes) for source, _ in box.inputs]
    shapes = [shape for box in boxes for _, shape in box.inputs]
    layout = arrange([_size(*text) for text in texts], edges, gap=_GAP, drop=_DROP)
    top = _MARGIN + 2 * _LINE
    width = max(layout.width, len(title) * _LETTER) + 2 * _MARGIN + 40  # names of shapes stand right of lines
    height = layout.height + top + _MARGIN
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
        f'<text x="{_MARGIN}" y="{_MARGIN + _LINE - 4}" font-weight="600">{escape(title)}</text>',
        f'<g transform="translate({_MARGIN} {top})">',
        *(f'<path d="{_path(route)}"/>' for route in layout.routes),
        *_box_marks(boxes, texts, layout, nodes),
        *_edge_marks(layout, shapes),
        "</g></svg>",
    ]
    return "\n".join(body) + "\n"


def _texts(box: Box, nodes: Sequence[Node]) -> tuple[list[str], str]:
    """The lines of a box, and the path of its layers."""
    lines = []
    for number in box.nodes:
        node = nodes[number]
        kind = _KINDS.get(node.kind, node.kind)
        size = _shape(node.shape) if node.kind == "pictures" else node.detail
        lines.append(f"{kind} {size}".strip())
    first = nodes[box.nodes[0]]
    if first.kind in _KINDS and len(box.nodes) == 1:
        return lines, ""
    return lines, _common([nodes[i].name for i in box.nodes]).removeprefix("backbone.")


def _common(names: Sequence[str]) -> str:
    """The module that holds all of these; the first of them where they are spread over several."""
    parents = {name.rpartition(".")[0] for name in names}
    return parents.pop() if len(names) > 1 and len(parents) == 1 else names[0]


def _size(lines: list[str], name: str) -> Size:
    longest = max([len(line) * _LETTER for line in lines] + [len(name) * _LETTER * 10 / 12])
    return Size(longest + 2 * _PAD, len(lines) * _LINE + (_SMALL if name else 0) + 2 * _PAD - 3)


def _box_marks(
    boxes: list[Box], texts: list[tuple[list[str], str]], layout: Layout, nodes: Sequence[Node]
) -> Iterator[str]:
    for box, (lines, name), (x, y) in zip(boxes, texts, layout.centres, strict=True):
        size = _size(lines, name)
        kinds = [nodes[i] for i in box.nodes]
        colour = "j" if kinds[0].kind in _JOINS else "w" if any(n.parameters for n in kinds) else "p"
        left, top = x - size.width / 2, y - size.height / 2
        yield (
            f'<rect class="{colour}" x="{left:.1f}" y="{top:.1f}" width="{size.width:.1f}" '
            f'height="{size.height:.1f}" rx="5"/>'
        )
        for place, line in enumerate(lines):
            at = top + _PAD + _LINE * (place + 1) - 5
            yield f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="middle">{escape(line)}</text>'
        if name:
            at = top + size.height - _PAD + 1
            yield f'<text class="s" x="{x:.1f}" y="{at:.1f}" text-anchor="middle">{escape(name)}</text>'


def _edge_marks(layout: Layout, shapes: Sequence[tuple[int, ...]]) -> Iterator[str]:
    """The shape right of each line, where it begins; lines that begin at one place with one shape get it once."""
    told = set()
    for route, shape in zip(layout.routes, shapes, strict=True):
        (x0, y0), (x1, y1) = route[0], route[1]
        # Edges leave a box together: said once, near where the first begins.
        if (x0, y0, shape) in told or not shape:
            continue
        told.add((x0, y0, shape))
        x, y = x0 + (x1 - x0) * 0.4, y0 + min(y1 - y0, _DROP) * 0.5
        yield f'<text class="e" x="{x + 5:.1f}" y="{y + 3:.1f}">{_shape(shape)}</text>'


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _path(route: Points) -> str:
    """A line that leaves and arrives vertically."""
    (x, y), *rest = route
    parts = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        middle, end = (y + to_y) / 2, f"{to_x:.1f} {to_y:.1f}"
        bend = f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {end}"
        parts.append(f"L{end}" if abs(to_x - x) < 0.5 else bend)
        x, y = to_x, to_y
    return " ".join(parts)
