"""What is read of a run: the classes that are counted, and health beside the history."""

from __future__ import annotations

import numpy as np
from evidence_toys import columns

from mien.diagnose.reading import aligned
from mien.evaluate.truth import of_classes


def test_pictures_without_a_label_are_no_class() -> None:
    counts = {"train": {"happy": 3, "sad": 2, "(no label)": 9}, "test": {"(no label)": 4}, "val": {}}
    assert of_classes(counts) == {"train": {"happy": 3, "sad": 2}, "test": {}, "val": {}}


def test_health_has_a_row_for_each_epoch_of_the_history() -> None:
    history = columns(epoch=[1, 2, 3])
    ahead = aligned(columns(epoch=[1, 2, 3, 4], update_ratio=[0.1, 0.2, 0.3, 0.4]), history)
    assert ahead["update_ratio"].tolist() == [0.1, 0.2, 0.3]
    behind = aligned(columns(epoch=[2], update_ratio=[0.2]), history)["update_ratio"]
    np.testing.assert_array_equal(behind, [np.nan, 0.2, np.nan])


def test_health_of_a_run_that_broke_in_its_first_epoch_stays() -> None:
    assert aligned(columns(epoch=[1], first_loss=[9.0]), {})["first_loss"].tolist() == [9.0]
