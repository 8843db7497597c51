"""What a recipe feeds the net in training and in evaluation, judged by the audit's own check."""

from __future__ import annotations

from mien.core.recipe import Recipe
from mien.data.audit.finding import Severity
from mien.data.audit.preprocessing import Values, preprocessing
from mien.data.dataset import Dataset
from mien.diagnose.evidence import Fed as FedFacts
from mien.train.fed import fed


def fed_facts(data: Dataset, recipe: Recipe, *, pictures: int = 128) -> FedFacts:
    """Mean and deviation of what evaluation feeds the net, and in words how training differs, if it does.

    Raises:
        MienError: as `train`: the recipe does not fit the data.
    """
    both = fed(data, recipe, pictures=pictures)
    values, finding = Values.of(both.evaluation), preprocessing(both.training, both.evaluation)
    difference = finding.verdict if finding.severity >= Severity.WARNING else ""
    return FedFacts(values.mean, values.deviation, difference)
