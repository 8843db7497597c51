"""mien: train, understand and deploy facial-expression classifiers.

The names below load when they are first used: importing mien loads neither torch nor ONNX Runtime.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.core.errors import MienError
    from mien.deploy.photos import Face, Photo, PhotoReader
    from mien.deploy.runtime import Prediction, Predictor
    from mien.faces.detector import Detector, Faces

    __version__: str

# ONNX Runtime reports its use to Microsoft unless this is set before it starts. Whoever wants that may set 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Detector",
    "Face",
    "Faces",
    "MienError",
    "Photo",
    "PhotoReader",
    "Prediction",
    "Predictor",
    "__version__",
]

_HOMES = {
    "Detector": "mien.faces.detector",
    "Face": "mien.deploy.photos",
    "Faces": "mien.faces.detector",
    "MienError": "mien.core.errors",
    "Photo": "mien.deploy.photos",
    "PhotoReader": "mien.deploy.photos",
    "Prediction": "mien.deploy.runtime",
    "Predictor": "mien.deploy.runtime",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # takes longer to load than all that mien itself needs

        return version("mien")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
