"""Grad-CAM and occlusion maps as pictures: over single faces, and averaged for each label."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.evaluate.lettering import shown
from mien.evaluate.plots import GREY, INK, save
from mien.explain.attention import Maps, Pixels, grad_cam, occlusion
from mien.explain.figure import bare, titled
from mien.explain.index import Shown
from mien.explain.subject import Subject, Tell

GROUP, OF_CLASS = "attention", 32


def write(of: Subject, folder: Path, tell: Tell) -> list[Shown]:
    """Maps of up to `OF_CLASS` rightly answered pictures a label, for that label: one shown, all averaged."""
    rows = []
    for label in range(len(of.names)):
        tell(label, len(of.names))
        right = np.flatnonzero((of.ids == label) & of.hit)
        surest = right[np.argsort(-of.probabilities[right, label], kind="stable")]
        if len(surest):
            rows.append(_row(of, label, surest[:OF_CLASS]))
    if not rows:
        return []
    cam = " what speaks for it (Grad-CAM) and" if rows[0].cams is not None else ""
    without = "" if cam else " No Grad-CAM: this net has no layer that still has places, as transformers have none."
    text = (
        f"For each label: the surest right answer with{cam} what it loses where hidden "
        f"(occlusion), and the means over up to {OF_CLASS} right answers. Strong colour: this part decides. Each map "
        f"has its own scale.{without}"
    )
    save(drawn(rows, text), folder / GROUP / "attention.png")
    return [Shown("Which part of the face decides", text, f"{GROUP}/attention.png", GROUP)]


class _Row:
    """A label's pictures and their maps, (n, H, W) each; no Grad-CAM of a net without places."""

    def __init__(self, name: str, images: Pixels, cams: Maps | None, drops: Maps) -> None:
        self.name, self.images, self.cams, self.drops = name, images, cams, drops


def _row(of: Subject, label: int, which: NDArray[np.int64]) -> _Row:
    if of.classifier is None:
        raise MienError("an exported file cannot be looked into", hint="give its run or .safetensors file")
    head = [one.name for one in of.answerer.spec.heads].index(of.truth.head.name)
    wanted = of.truth.head.label_set.index(of.names[label])
    assert wanted is not None  # the truth's labels are ones that the head has
    images, classes = of.images(which), np.full(len(which), wanted)
    cams: Maps | None = None
    with suppress(MienError):  # it has no layer with places, and `write` says so
        cams = grad_cam(of.classifier, images, classes, head=head)
    drops = occlusion(of.classifier, images, classes, head=head, patch=max(1, min(images.shape[1:3]) // 4))
    return _Row(shown(of.names)[label], images, cams, drops)


def drawn(rows: list[_Row], text: str) -> Figure:
    """A row a label: a picture, its maps, the mean picture under the mean maps."""
    maps = ["Grad-CAM", "occlusion"] if rows[0].cams is not None else ["occlusion"]
    heads = ["picture", *maps, "mean picture", *(f"mean {name}" for name in maps)]
    figure = titled(1.2 * len(heads) + 0.4, 1.15 * len(rows) + 0.2, "Which part of the face decides", text)
    grid = figure.subplots(len(rows), len(heads), squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        heats = [heat for heat in (row.cams, row.drops) if heat is not None]
        mean = row.images.mean(0).round().astype(np.uint8)
        first = [(row.images[0], None), *((row.images[0], heat[0]) for heat in heats)]
        average = [(mean, None), *((mean, heat.mean(0)) for heat in heats)]
        for axes, (image, heat) in zip(line, [*first, *average], strict=True):
            _overlay(axes, image, heat)
        line[0].set_ylabel(
            f"{row.name}\n({len(row.images)})", rotation=0, ha="right", va="center", fontsize=8, color=INK
        )
    for axes, name in zip(grid[0], heads, strict=True):
        axes.set_title(name, fontsize=8, color=GREY, pad=3)
    return figure


def _overlay(axes: Axes, image: Pixels, heat: Maps | None) -> None:
    """A picture, and over it the part of a map that is above 0, from clear to strong."""
    bare(axes)
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    if heat is not None and heat.max() > 0:
        strength = (heat / heat.max()).clip(0, 1)
        axes.imshow(strength, cmap="inferno", vmin=0, vmax=1, alpha=0.75 * strength, interpolation="bilinear")
