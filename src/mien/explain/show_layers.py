"""What every layer makes of a picture, and how its weights are spread."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.evaluate.lettering import plain
from mien.evaluate.plots import BLUE, GREY, INK, save
from mien.explain.attention import Pixels, as_batch, spatial
from mien.explain.figure import bare, quiet, titled
from mien.explain.index import Shown
from mien.explain.subject import Subject, Tell
from mien.models.blocks import eval_mode
from mien.models.classifier import Classifier

GROUP, CHANNELS, MOST = "layers", 10, 24
PAGES = "activations-*.png"
Maps = dict[str, NDArray[np.float32]]


def activations(classifier: Classifier, image: Pixels) -> Maps:
    """Maps (C, h, w) of every innermost layer that gives such for one picture (H, W) or (H, W, 3), in their order."""
    found: Maps = {}

    def note(name: str, output: Tensor) -> None:
        # A copy: what follows may work in place.
        found[name] = output[0].float().cpu().numpy().copy()

    with ExitStack() as stack, eval_mode(classifier), torch.no_grad():
        maps = spatial(classifier.backbone, classifier.prepare(as_batch(classifier, image[None])))
        for name, module in classifier.backbone.named_modules():
            if module in maps and not any(True for _ in module.children()) and not isinstance(module, nn.Identity):
                hook = module.register_forward_hook(lambda _m, _i, output, name=name: note(name, output))
                stack.callback(hook.remove)
        classifier(as_batch(classifier, image[None]))
    return found


def write(of: Subject, folder: Path, tell: Tell) -> list[Shown]:
    """Activations for the surest right answer, and the weights of every convolution and dense layer."""
    if of.classifier is None:
        raise MienError("an exported file cannot be looked into", hint="give its run or .safetensors file")
    tell(0, 2)
    place = int(np.where(of.hit, of.probabilities.max(1), -1).argmax())
    image = of.images(np.array([place]))[0]
    maps = activations(of.classifier, image)
    shown = []
    for old in (folder / GROUP).glob(PAGES):
        old.unlink()
    if maps:
        label = of.names[of.ids[place]]
        text = f"A picture labelled {label}; of each layer the channels that vary most, each with its own scale."
        some = _some(list(maps))
        if len(some) < len(maps):
            count = _write_pages(image, maps, text, folder / GROUP)
            text += f" {len(some)} of {len(maps)} layers; all of them on {count} pages, {PAGES} in this folder."
        save(activation_grid(image, {name: maps[name] for name in some}, text), folder / GROUP / "activations.png")
        shown.append(Shown("Activations", text, f"{GROUP}/activations.png", GROUP))
    tell(1, 2)
    text = "How the weights of each layer are spread, each with its own scale."
    text += "" if maps else " No activations are drawn: no layer of this net has places, as transformers have none."
    save(weight_histograms(of.classifier, text), folder / GROUP / "weights.png")
    return [*shown, Shown("Weights", text, f"{GROUP}/weights.png", GROUP)]


def _write_pages(image: Pixels, maps: Maps, text: str, folder: Path) -> int:
    """All layers, `MOST` a page. Returns how many pages there are."""
    names = list(maps)
    starts = range(0, len(names), MOST)
    for page, start in enumerate(starts, 1):
        rows = {name: maps[name] for name in names[start : start + MOST]}
        save(activation_grid(image, rows, text), folder / PAGES.replace("*", f"{page:02d}"))
    return len(starts)


def activation_grid(image: Pixels, maps: Maps, text: str) -> Figure:
    """The picture and a row a layer."""
    names = list(maps)
    figure = titled(0.72 * CHANNELS + 2.4, 0.78 * len(names) + 0.9, "What every layer makes of a picture", text)
    grid = figure.subplots(len(names) + 1, CHANNELS, squeeze=False)
    for axes in grid.flat:
        bare(axes)
    grid[0, 0].imshow(image, cmap="gray", vmin=0, vmax=255)
    for row, name in zip(grid[1:], names, strict=True):
        channels = maps[name]
        liveliest = np.argsort(-channels.std((1, 2)), kind="stable")[:CHANNELS]
        for axes, channel in zip(row, liveliest.tolist(), strict=False):
            axes.imshow(channels[channel], cmap="gray")
        size = "×".join(map(str, channels.shape))
        row[0].set_ylabel(f"{plain(name)}\n{size}", rotation=0, ha="right", va="center", fontsize=6.5, color=INK)
    return figure


def weight_histograms(classifier: Classifier, text: str) -> Figure:
    """A histogram a weight matrix or kernel."""
    weights = {name: p for name, p in classifier.named_parameters() if p.ndim > 1}
    names = _some(list(weights))
    rows = -(-len(names) // 4)
    figure = titled(9.0, 1.5 * rows, "Weights of each layer", text)
    grid = figure.subplots(rows, 4, squeeze=False)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.flat, names, strict=False):
        values = weights[name].detach().float().cpu().numpy().ravel()
        axes.hist(values, bins=60, color=BLUE)
        axes.set_title(plain(name.removesuffix(".weight").removeprefix("backbone.")), fontsize=7, color=INK, loc="left")
        axes.set_xlabel(f"deviation {values.std():.3g}", fontsize=7, color=GREY)
        axes.set_yticks([])
        quiet(axes)
    return figure


def _some(names: list[str]) -> list[str]:
    """At most `MOST` of them, evenly chosen, the first and the last among them."""
    if len(names) <= MOST:
        return names
    return [names[i] for i in np.linspace(0, len(names) - 1, MOST).round().astype(int).tolist()]
