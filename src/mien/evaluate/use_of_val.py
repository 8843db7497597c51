"""What a run did with the validation pictures that its evaluation measures: it bears on what the figure is worth."""

from __future__ import annotations

from typing import Literal

from mien.core import recipe as recipes
from mien.evaluate.answered import Answered

Use = Literal["trained", "chose", "neither", "unknown"]
# To follow the name of a run, or to stand before several; of `neither` there is nothing to say.
TOLD: dict[Use, str] = {
    "trained": "trained on these pictures, so that its figure is no measure",
    "chose": "chose the epoch on these pictures, which makes the accuracy a little high",
    "unknown": "not known whether these pictures chose the epoch",
}


def use_of_val(one: Answered) -> Use:
    """Of answers to val: the last weights, and those of a run on other data, were not chosen on these pictures."""
    run = one.run
    if run is None or not run.data.is_file():
        return "unknown"
    if run.read_json(run.data).get("fingerprint") != one.fingerprint:
        return "neither"
    if recipes.read_own(run.recipe).data.train_on_val:
        return "trained"
    return "neither" if one.last else "chose"


def sentence(one: Answered) -> str:
    """What is to be minded of a single run's figure; "" for nothing, as of another split than val."""
    use = use_of_val(one) if one.split == "val" else "neither"
    if use == "neither":
        return ""
    return f"{'It is' if use == 'unknown' else 'The run'} {TOLD[use]}."
