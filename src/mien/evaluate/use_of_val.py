"""What a run did with pictures that it is asked about, above all those of val: it bears on what a figure is worth."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.data.audit.leakage import WARN_SHARE
from mien.evaluate.answered import Answered

Use = Literal["trained", "chose", "neither", "unknown"]
# To follow the name of a run, or to stand before several; of `neither` there is nothing to say.
TOLD: dict[Use, str] = {
    "trained": "trained on these pictures or some of them, so that its figure is no measure",
    "chose": "chose the epoch on these pictures, which makes the accuracy a little high",
    "unknown": "not known whether these pictures chose the epoch",
}


def use_of_val(one: Answered) -> Use:
    """Of answers to val; the last weights were not chosen on any pictures."""
    if one.run is None:
        return "unknown"
    use = use_of(one.run, one.fingerprint, split=one.split, pixels=one.pixels)
    return "neither" if use == "chose" and one.last else use


def use_of(run: RunDir, fingerprint: str, *, split: str, pixels: NDArray[np.str_] | None) -> Use:
    """What a run did with the pictures of a split: trained on them, or chose an epoch.

    Args:
        run: its folder; one that is no run tells nothing.
        fingerprint: of the data set they are in.
        split: theirs.
        pixels: sha256 (n,) of each, by which they are found in other data that the run was trained on.
    """
    stood = _stood(run, fingerprint, split, pixels) if run.data.is_file() else None
    if stood is None:
        return "unknown"
    if "train" in stood or ("val" in stood and recipes.read_own(run.recipe).data.train_on_val):
        return "trained"
    return "chose" if "val" in stood else "neither"


def _stood(run: RunDir, fingerprint: str, split: str, pixels: NDArray[np.str_] | None) -> set[str] | None:
    """The splits of the run's own data with more than a few of the pictures; None: that set is not at hand any more.

    A picture that was held out counts as that, although training had a copy of it: that is a leak, and told as one.
    """
    own = run.read_json(run.data).get("fingerprint")
    if own == fingerprint:
        return {split}
    try:
        data = datasets.load(run.data_path())
    except MienError:
        return None
    if pixels is None or data.info.fingerprint != own:
        return None
    known, stood, rest = data.column("sha256").astype(np.str_), set(), pixels
    for name in ("val", "test", "train"):
        found = np.isin(rest, known[data.split == name])
        if found.sum() > WARN_SHARE * len(pixels):
            stood.add(name)
        rest = rest[~found]
    return stood


def sentence(one: Answered) -> str:
    """What is to be minded of a single run's figure; "" for nothing, as of another split than val."""
    use = use_of_val(one) if one.split == "val" else "neither"
    if use == "neither":
        return ""
    return f"{'It is' if use == 'unknown' else 'The run'} {TOLD[use]}."
