"""A run folder with an evaluation, a recipe and a history, for the tests of its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tomli_w

from mien.core import recipe as recipes
from mien.core.files import write_json, write_text
from mien.core.labels import FER2013, FERPLUS8
from mien.core.rundir import RunDir
from mien.core.spec import Head, ModelSpec
from mien.data.dataset import describe, make_table, save
from mien.evaluate import results
from mien.evaluate.answerer import Answers, Pixels
from mien.evaluate.evaluate import evaluate

LABELS = np.arange(21) % 7


class Known:
    """Answers by a picture's number, right but for the first five; eight classes, so that they are mapped."""

    name = "known"

    def __init__(self) -> None:
        heads = (Head(name="ferplus8", labels=FERPLUS8.names),)
        self.spec = ModelSpec.model_validate(
            {"architecture": "mien-s", "height": 6, "width": 6, "heads": [head.model_dump() for head in heads]}
            | {"normalise": {"kind": "symmetric"}}
        )

    def probabilities(self, images: Pixels) -> Answers:
        rows = images[:, 0, 0]
        said = np.where(rows < 5, (LABELS[rows] + 1) % 7, LABELS[rows])
        columns = np.array([4, 5, 6, 1, 3, 2, 0])  # of FER2013's names among those of FER+
        p = np.full((len(images), 8), 0.05, np.float32)
        p[np.arange(len(images)), columns[said]] = 0.65
        return {"ferplus8": p}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run that was trained for three epochs and evaluated."""
    monkeypatch.setattr("mien.evaluate.plots.save", lambda _figure, path: write_text(path, ""))
    images = np.zeros((21, 6, 6), np.uint8)
    images[:, 0, 0] = np.arange(21)
    source = [f"{i}.png" for i in range(21)]
    table = make_table(label=LABELS, split=np.array(["val"] * 21), source=source, images=images, votes=None)
    data = save(tmp_path / "packed", images, table, describe("tiny", FER2013, images, table))
    run = RunDir(tmp_path / "my-run")
    results.write(run.evaluation, evaluate(Known(), data), data)
    write_text(run.recipe, tomli_w.dumps(recipes.to_tree(recipes.read("mien-s", ["train.epochs=77"]))))
    facts = {"name": "tiny", "fingerprint": data.info.fingerprint, "counts": data.info.counts}
    write_json(run.data, facts | {"path": str(tmp_path / "packed")})
    write_json(run.environment, {"packages": {"torch": "9.9.9"}, "amx_bf16": False})
    write_text(run.history, "epoch,val_loss,val_accuracy\n1,1.5,0.3\n2,1.2,0.5\n3,1.4,0.4\n")
    return run
