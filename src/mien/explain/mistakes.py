"""The pictures a model is wrong about: those that cost most, and the pairs of labels it confuses most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mien.evaluate import lettering
from mien.evaluate.metrics import Ids, Probabilities, checked, confusion_matrix
from mien.evaluate.plots import GREY, INK, save
from mien.explain.figure import bare, titled
from mien.explain.index import Shown
from mien.explain.subject import Subject, Tell
from mien.page.words import percent

GROUP, COLUMNS, ROWS, PAIRS = "mistakes", 8, 4, 6
DOUBTED_FROM = 0.6  # accuracy; below it the net's own mistakes explain most of what it loses
MOST = 0.5  # share of the costliest pictures that are answered otherwise than they are labelled


def top_losses(ids: Ids, probabilities: Probabilities, count: int) -> NDArray[np.int64]:
    """Positions of the `count` pictures with the least probability of their label, the costliest first."""
    right, p = checked(ids, probabilities, np.shape(probabilities)[-1])
    return np.argsort(p[np.arange(len(right)), right], kind="stable")[:count]


def confused_pairs(ids: Ids, probabilities: Probabilities, count: int) -> list[tuple[int, int, int]]:
    """The `count` commonest mistakes as (label, answer, pictures), the commonest first; none that never happens."""
    right, p = checked(ids, probabilities, np.shape(probabilities)[-1])
    matrix = confusion_matrix(right, p.argmax(1), p.shape[1])
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:count]
    pairs = [(int(i // len(matrix)), int(i % len(matrix)), int(matrix.flat[i])) for i in order]
    return [pair for pair in pairs if pair[2]]


def write(of: Subject, folder: Path, tell: Tell) -> list[Shown]:
    """Sheets of the top losses and of the most confused pairs."""
    tell(0, 2)
    shown = []
    wrong = top_losses(of.ids, of.probabilities, COLUMNS * ROWS)
    save(loss_sheet(of, wrong), folder / GROUP / "top-losses.png")
    shown.append(Shown("Top losses", _told(of, wrong), f"{GROUP}/top-losses.png", GROUP))
    tell(1, 2)
    if pairs := confused_pairs(of.ids, of.probabilities, PAIRS):
        save(pair_sheet(of, pairs), folder / GROUP / "confused.png")
        label, answer, count = pairs[0]
        said = f"Commonest: {count:,} pictures labelled {of.names[label]} are called {of.names[answer]}."
        shown.append(Shown("Most confused", said, f"{GROUP}/confused.png", GROUP))
    return shown


def _told(of: Subject, wrong: NDArray[np.int64]) -> str:
    """Which part of the log loss the costliest pictures make, and whether their labels are to be doubted."""
    loss = -np.log(of.probabilities[np.arange(len(of.ids)), of.ids].clip(1e-12))
    if not loss.sum() > 0:
        return "Every label has all of the probability: nothing was lost."
    share = percent(float(loss[wrong].sum() / loss.sum()), 1)
    contradicted = (~of.hit[wrong]).mean() > MOST
    doubted = " Many may be labelled wrongly." if of.hit.mean() > DOUBTED_FROM and contradicted else ""
    return f"These {len(wrong)} of {len(of.ids):,} pictures make {share} of the whole log loss.{doubted}"


def loss_sheet(of: Subject, which: NDArray[np.int64]) -> Figure:
    """Pictures with label, answer and its probability."""
    rows, names = -(-len(which) // COLUMNS), lettering.shown(of.names)
    about = "What each is labelled → what the model says, and how sure it is; the costliest first."
    figure = titled(1.15 * COLUMNS, 1.45 * rows, f"Top losses of {of.split}", about)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat:
        bare(axes)
    for axes, image, place in zip(grid.flat, of.images(which), which.tolist(), strict=False):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        said = int(of.probabilities[place].argmax())
        text = f"{names[of.ids[place]]} →\n{names[said]} {percent(float(of.probabilities[place, said]))}"
        axes.set_title(text, fontsize=7, color=INK, pad=2)
    return figure


def pair_sheet(of: Subject, pairs: list[tuple[int, int, int]]) -> Figure:
    """A row for each pair: the pictures that the model is surest about, and wrongly so."""
    columns = min(COLUMNS, max(count for _, _, count in pairs))
    figure = titled(1.0 * columns + 1.6, 1.05 * len(pairs), "Most confused", "The surest mistakes of each kind first.")
    grid = figure.subplots(len(pairs), columns, squeeze=False)
    answers, names = of.probabilities.argmax(1), lettering.shown(of.names)
    for row, (label, answer, count) in zip(grid, pairs, strict=True):
        of_pair = np.flatnonzero((of.ids == label) & (answers == answer))
        surest = of_pair[np.argsort(-of.probabilities[of_pair, answer], kind="stable")][:COLUMNS]
        for axes in row:
            bare(axes)
        for axes, image, place in zip(row, of.images(surest), surest.tolist(), strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            axes.set_xlabel(percent(float(of.probabilities[place, answer])), fontsize=7, color=GREY, labelpad=1)
        name = f"{names[label]} →\n{names[answer]}\n{count:,}"
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8, color=INK)
    return figure
