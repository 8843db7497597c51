"""Which file is meant by a model: an exported file, a run, a shipped model by name, or nothing for the default."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import MienError, command
from mien.core.rundir import RunDir
from mien.deploy.shipped import is_name, no_such, shipped, shipped_file


def model_file(model: Path | None = None) -> Path:
    """The exported file of `model`: itself, a run's export, a shipped one's by name, or the shipped default for None.

    A file or folder of that name goes before a shipped model.

    Raises:
        MienError: nothing there, a run that was not exported, weights that are not for prediction.
    """
    if model is None:
        return shipped_file()
    if is_name(model) and model.name in shipped():
        return shipped_file(model.name)
    if model.is_dir():
        return _of_run(RunDir(model).require())
    if model.suffix == ".safetensors":
        raise MienError(f"{model}: training weights, not an exported model", hint="mien export RUN writes one")
    if not model.is_file():
        raise no_such(model, "an .onnx file, the folder of an exported run")
    return model


def _of_run(run: RunDir) -> Path:
    if not run.exported.is_file():
        raise MienError(f"{run.path}: this run has no {run.exported.name} yet", hint=command("export", run.path))
    return run.exported
