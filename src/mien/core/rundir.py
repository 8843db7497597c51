"""Names inside a run folder, in one place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.core.errors import MienError


@dataclass(frozen=True)
class RunDir:
    """Paths of a run folder (see docs/training.md); creates nothing by itself."""

    path: Path

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.toml"

    @property
    def environment(self) -> Path:
        return self.path / "env.json"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def health(self) -> Path:
        return self.path / "health.csv"

    @property
    def diverged(self) -> Path:
        return self.path / "diverged.json"

    @property
    def diagnosis(self) -> Path:
        return self.path / "diagnosis.json"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def best(self) -> Path:
        return self.path / "weights" / "best.safetensors"

    @property
    def last(self) -> Path:
        return self.path / "weights" / "last.safetensors"

    @property
    def resume(self) -> Path:
        return self.path / "weights" / "resume"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    @property
    def phases(self) -> Path:
        return self.path / "phases"

    @property
    def teachers(self) -> Path:
        return self.path / "teachers"

    @property
    def evaluation(self) -> Path:
        return self.path / "eval"

    @property
    def exported(self) -> Path:
        return self.path / "export" / "model.onnx"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def read_json(self, path: Path) -> dict[str, Any]:
        """One of the run's JSON files. Raises MienError when it is missing or damaged."""
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MienError(f"{path}: missing or damaged ({error})", hint="copy the run folder as a whole") from None
        if not isinstance(facts, dict):
            raise MienError(f"{path}: damaged, it holds no table")
        return facts

    def data_path(self) -> Path:
        """The packed set the run was trained on. Raises MienError when it is no longer there."""
        path = self.read_json(self.require().data).get("path")
        if not path or not Path(path).is_dir():
            raise MienError(f"{self.path}: the data set it was trained on is not where it was", hint="--data PACKED")
        return Path(path)

    def require(self) -> RunDir:
        """This folder, when it is a run. Raises MienError otherwise."""
        if not self.recipe.is_file():
            raise MienError(
                f"{self.path}: not a run folder (no recipe.toml)", hint="give the folder `mien train` wrote"
            )
        return self


def data_of(model: Path) -> Path:
    """The packed set a run was trained on. Raises MienError for a file, which does not say where its data are."""
    if not model.is_dir():
        raise MienError(f"{model}: a file does not say where its data are", hint="give the packed data set after it")
    return RunDir(model).data_path()
