"""Whether an exported file answers as the weights it was made from: on real pictures, not on noise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError, command
from mien.core.spec import FRAMING, ModelSpec
from mien.data.dataset import Dataset
from mien.deploy.card_data import card_path
from mien.deploy.quantize import PRECISION_KEY
from mien.evaluate.answerer import OnnxAnswerer, open_answerer
from mien.evaluate.predict import predict_probabilities

# Two fp32 computations of these nets part by about 1e-6; a wrong mean, crop or colour parts them by 1e-2 and more.
TOLERANCE = 1e-4
LIMIT = 1000


@dataclass(frozen=True)
class HeadAgreement:
    """How far the probabilities of one head are from the weights'.

    Attributes:
        largest_difference: of any probability of any picture, absolute, 0 to 1.
        equal_answers: share of the pictures with the same most probable class, 0 to 1.
    """

    name: str
    largest_difference: float
    equal_answers: float


@dataclass(frozen=True)
class VerifyReport:
    """The comparison of an exported file with its weights."""

    weights: str
    model: str
    dataset: str
    split: str
    pictures: int
    tolerance: float
    heads: tuple[HeadAgreement, ...]

    @property
    def passed(self) -> bool:
        """Whether no probability differs by more than the tolerance."""
        return all(head.largest_difference <= self.tolerance for head in self.heads)

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries, lists and numbers."""
        return asdict(self) | {"heads": [asdict(head) for head in self.heads], "passed": self.passed}


def verify(
    weights: Path,
    model: Path,
    dataset: Dataset,
    *,
    split: str = "val",
    limit: int = LIMIT,
    tolerance: float = TOLERANCE,
) -> VerifyReport:
    """Compare the probabilities of torch in fp32 and ONNX Runtime on pictures of a packed data set.

    Args:
        weights: run folder (its best weights) or weights file.
        model: the exported file.
        dataset: pictures of the size that the model takes.
        split: whose pictures.
        limit: at most so many, spread evenly over the split.
        tolerance: largest absolute difference of a probability that passes.

    Raises:
        MienError: the weights are an exported file themselves, the file was exported from other weights, or the
            pictures do not fit the model.
    """
    require_weights(weights)
    torch_side, onnx_side = open_answerer(weights), OnnxAnswerer(model)
    _check_same(torch_side.spec, onnx_side.spec, f"{model} is no export of {weights}")
    rows = _spread(dataset.rows(split), limit)
    expected = predict_probabilities(torch_side, dataset.images, rows=rows)
    found = predict_probabilities(onnx_side, dataset.images, rows=rows)
    heads = tuple(
        HeadAgreement(
            name=name,
            largest_difference=float(np.abs(found[name] - expected[name]).max()),
            equal_answers=float((found[name].argmax(1) == expected[name].argmax(1)).mean()),
        )
        for name in expected
    )
    return VerifyReport(str(weights), str(model), dataset.info.name, split, len(rows), tolerance, heads)


def require_weights(path: Path) -> None:
    """Raises MienError where it is an exported file itself."""
    if path.suffix == ".onnx":
        raise MienError(
            f"{path}: an exported file, not the weights it was made from: there is nothing to compare",
            hint=command("verify", "RUN", "--model", path) + _card_of(path),
        )


def _spread(rows: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """At most `limit` of the rows, evenly over all: sets sorted by class would else show one class only."""
    if limit < 1:
        raise MienError(f"verify needs at least one picture, got limit {limit}")
    return rows[np.unique(np.linspace(0, len(rows) - 1, limit).round().astype(np.int64))]


def _check_same(weights: ModelSpec, model: ModelSpec, what: str) -> None:
    """Raise MienError naming the fields in which the two specs differ."""
    keys = [key for key in ModelSpec.model_fields if key not in FRAMING]
    weights, model = _without_precision(weights), _without_precision(model)
    differing = [key for key in keys if getattr(weights, key) != getattr(model, key)]
    if differing:
        raise MienError(f"{what}: their specs differ in {', '.join(differing)}", hint="export the run again")


def _without_precision(spec: ModelSpec) -> ModelSpec:
    """The spec without what `mien quantize` adds to it: in which numbers a file computes, not where it comes from."""
    kept = {key: value for key, value in spec.provenance.items() if key != PRECISION_KEY}
    return spec.model_copy(update={"provenance": kept})


def _card_of(model: Path) -> str:
    """What else can be asked of a file that has a card beside it."""
    asked = command("verify", "--card", model, "DATA")
    return f"; {asked} measures what its card says" if card_path(model).is_file() else ""
