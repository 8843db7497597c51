"""What a learning-rate range test leaves: figures, every step, and a picture."""

from __future__ import annotations

from pathlib import Path

from mien.core.files import write_json, write_text
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.evaluate.plots import save
from mien.train.rate_plot import plot
from mien.train.rate_range import RateRange
from mien.train.store import to_csv


def write(folder: Path, found: RateRange, recipe: Recipe, data: Dataset) -> None:
    """Write range.json, range.csv and range.png."""
    facts = {"recipe": recipe.model_dump(mode="json"), "data": data.info.fingerprint}
    write_json(folder / "range.json", found.to_json() | facts)
    columns = {"learning_rate": found.rates, "loss": found.losses, "smoothed": found.smoothed}
    rows: list[dict[str, float | int]] = [
        {name: float(values[i]) for name, values in columns.items()} for i in range(len(found.rates))
    ]
    write_text(folder / "range.csv", to_csv(rows))
    optimiser, batch = recipe.optimiser.name, recipe.train.batch_size
    save(plot(found, f"{recipe.name} · {optimiser} · batches of {batch} · {data.info.name}"), folder / "range.png")
