"""How weights and activations moved while a net was trained: the histograms of a run's event file as two pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mien.core.rundir import RunDir
from mien.data.formats.event_proto import EVENT_FILES, read_events
from mien.evaluate.history import read_history
from mien.evaluate.lettering import lettered, plain
from mien.evaluate.plots import GREY, INK, PIXELS_AN_INCH
from mien.evaluate.report import Drawing
from mien.explain.figure import quiet, titled

GROUP, LAYERS, EPOCHS, COLUMNS = "Over training", 12, 9, 4
_KINDS = {
    "weights": "Weights over training",
    "activations": "Activations over training",
}
_ABOUT = {
    "weights": "The weights of each layer",
    "activations": "What each layer gives for the same validation pictures, before norm and activation function",
}
_FILLED = 24
_HIDDEN = 0.002  # share of the values at each end that does not stretch an axis


@dataclass(frozen=True)
class Spread:
    """Values at the end of an epoch: in bins of equal width from `low`, `counts` in each; their deviation."""

    epoch: int
    low: float
    width: float
    counts: NDArray[np.float64]
    deviation: float

    def ends(self) -> tuple[float, float]:
        """Between which all lie but `_HIDDEN` of them at each end."""
        share = np.cumsum(self.counts) / max(self.counts.sum(), 1)
        first, last = int((share <= _HIDDEN).sum()), int((share < 1 - _HIDDEN).sum()) + 1
        return self.low + self.width * first, self.low + self.width * last

    def smoother(self) -> Spread:
        """In so few bins, though at least eight, that the usual one holds `_FILLED` values: small layers jump less."""
        one, counts = self.width, self.counts
        while len(counts) > 8 and len(counts) % 2 == 0 and counts.sum() < _FILLED * len(counts):
            one, counts = 2 * one, counts.reshape(-1, 2).sum(1)
        return Spread(self.epoch, self.low, one, counts, self.deviation)


Layers = Mapping[str, Sequence[Spread]]


def read_spreads(run: RunDir) -> dict[str, dict[str, list[Spread]]]:
    """By kind and layer the spreads of a run's event file, by rising epoch; none where it has no such file."""
    epochs = {int(row["step"]): int(row["epoch"]) for row in read_history(run) if {"step", "epoch"} <= row.keys()}
    found: dict[str, dict[str, list[Spread]]] = {kind: {} for kind in _KINDS}
    for path in sorted(run.path.glob(EVENT_FILES)):
        for event in read_events(path):
            for value in event.summary.value if event.step in epochs else ():
                kind, _, layer = value.tag.partition("/")
                if value.WhichOneof("what") == "histo" and kind in found and len(value.histo.bucket) > 1:
                    found[kind].setdefault(layer, []).append(_spread(epochs[event.step], value.histo))
    # Of the weights only kernels and matrices: those of the layers whose activations are there too.
    looked_at = {f"{layer}.weight" for layer in found["activations"]}
    found["weights"] = {
        layer.removesuffix(".weight"): told
        for layer, told in found["weights"].items()
        if layer in looked_at or (not looked_at and layer.endswith(".weight"))
    }
    return found


def _spread(epoch: int, histo: Any) -> Spread:
    limits = np.array(histo.bucket_limit)
    width = float(limits[-1] - limits[0]) / (len(limits) - 1)
    mean = histo.sum / histo.num
    deviation = float(np.sqrt(max(histo.sum_squares / histo.num - mean * mean, 0.0)))
    return Spread(epoch, float(limits[0]) - width, width, np.array(histo.bucket), deviation)


def over_training(run: RunDir) -> tuple[Drawing, ...]:
    """A picture each of weights and activations, where at least two epochs are known."""
    found = read_spreads(run)
    return tuple(_drawing(kind, layers) for kind in _KINDS if (layers := _lasting(found[kind])))


def _lasting(layers: Layers) -> dict[str, Sequence[Spread]]:
    return {name: told for name, told in layers.items() if len(told) > 1}


def _drawing(kind: str, layers: Layers) -> Drawing:
    text = sentence(kind, layers)
    figure = ridges(_KINDS[kind], _evenly(layers), f"{_ABOUT[kind]}, from early (pale, back) to late (dark, front).")
    buffer = io.BytesIO()
    lettered(figure).savefig(buffer, format="png", dpi=PIXELS_AN_INCH)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Drawing(_KINDS[kind], text, uri, GROUP, round(96 * figure.get_figwidth()))


def sentence(kind: str, layers: Layers) -> str:
    """Where the spread changed most from the first to the last epoch, by factor."""

    def factor(told: Sequence[Spread]) -> float:
        return told[-1].deviation / max(told[0].deviation, 1e-12)

    name = max(layers, key=lambda one: abs(np.log(max(factor(layers[one]), 1e-12))))
    first, last = layers[name][0], layers[name][-1]
    return (
        f"{_ABOUT[kind]}. Changed most: {_short(name)}, deviation {first.deviation:.3g} after epoch {first.epoch}, "
        f"{last.deviation:.3g} after epoch {last.epoch}."
    )


def ridges(title: str, layers: Layers, about: str) -> Figure:
    """A panel a layer; in it a hill an epoch, of equal height, up to `EPOCHS` of them one before the other."""
    rows = -(-len(layers) // COLUMNS)
    figure = titled(9.6, 1.75 * rows, title, about)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat[len(layers) :]:
        axes.set_visible(False)
    for axes, (name, told) in zip(grid.flat, layers.items(), strict=False):
        _panel(axes, [told[i] for i in _some(len(told), EPOCHS)])
        axes.set_title(plain(_short(name)), fontsize=7.5, color=INK, loc="left")
    return figure


def _panel(axes: Axes, told: Sequence[Spread]) -> None:
    ends = np.array([one.ends() for one in told])
    for place, one in enumerate(spread.smoother() for spread in told):
        base = len(told) - 1 - place  # the latest stands lowest, in front
        x = one.low + one.width * (np.arange(len(one.counts)) + 0.5)
        height = 2.6 * one.counts / max(one.counts.max(), 1)
        colour = colormaps["Blues"](0.25 + 0.7 * place / max(len(told) - 1, 1))
        axes.fill_between(x, base, base + height, color=colour, linewidth=0, zorder=place)
        axes.plot(x, base + height, color="white", linewidth=0.7, zorder=place)
    axes.set_xlim(float(ends[:, 0].min()), float(ends[:, 1].max()))
    shown = sorted({0, len(told) - 1})
    axes.set_yticks([len(told) - 1 - i for i in shown], [f"epoch {told[i].epoch}" for i in shown])
    quiet(axes)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="both", length=0, labelsize=6.5, labelcolor=GREY)


def _evenly(layers: Layers) -> dict[str, Sequence[Spread]]:
    """At most `LAYERS` of them, the first and the last among them."""
    names = list(layers)
    return {names[i]: layers[names[i]] for i in _some(len(names), LAYERS)}


def _some(count: int, most: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, most).tolist()})


def _short(name: str) -> str:
    return name.removeprefix("backbone.")
