"""Which file is meant by a model: an exported file, a run folder, or nothing for the one that comes with mien."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from mien.core.errors import MienError
from mien.core.rundir import RunDir

SHIPPED = "mien-m.onnx"


def model_file(model: Path | None = None) -> Path:
    """The exported file of `model`: itself, a run's export, or the shipped default for None.

    Raises:
        MienError: nothing there, a run that was not exported, weights that are not for prediction.
    """
    if model is None:
        return _shipped()
    if model.is_dir():
        return _of_run(RunDir(model).require())
    if model.suffix == ".safetensors":
        raise MienError(f"{model}: training weights, not an exported model", hint="mien export RUN writes one")
    if not model.is_file():
        raise MienError(f"{model}: no such model", hint="give an .onnx file or the folder of an exported run")
    return model


def _of_run(run: RunDir) -> Path:
    if not run.exported.is_file():
        raise MienError(f"{run.path}: this run has no {run.exported.name} yet", hint=f"mien export {run.path}")
    return run.exported


def _shipped() -> Path:
    path = Path(str(resources.files("mien"))) / "weights" / SHIPPED
    if not path.is_file():
        raise MienError("this mien comes without a trained model", hint="train one, or give --model FILE or RUN")
    return path
