"""People who are in more than one split."""

from __future__ import annotations

import numpy as np

from mien.data.audit.finding import Severity
from mien.data.audit.people import people


def test_people_of_train_who_are_met_again_are_named_with_their_pictures() -> None:
    subject = np.array(["ann", "ann", "bob", "bob", "cy", "", ""])
    split = np.array(["train", "val", "train", "test", "val", "train", "val"])
    found = people(subject, split)
    assert found.severity is Severity.WARNING
    assert found.rows.tolist() == [1, 3]
    assert found.columns["subject"].tolist() == ["ann", "bob"]
    assert found.figures == {
        "people": 3,
        "in_train": 2,
        "test_met": 1,
        "test_met_share": 1.0,
        "val_met": 1,
        "val_met_share": 0.33333,
        "test_met_in_val": 0,
    }
    assert found.sheets[0].rows.tolist() == [1, 0, 3, 2]
    assert "1 of 1 picture in test (100\u00a0%) and 1 of 3 pictures in val (33\u00a0%) show people" in found.verdict


def test_people_who_keep_to_their_split_and_unknown_ones_are_fine() -> None:
    subject = np.array(["ann", "ann", "bob", "", ""])
    split = np.array(["train", "train", "val", "train", "val"])
    found = people(subject, split)
    assert found.severity is Severity.FINE
    assert "None of 1 person of train is in another split." in found.verdict


def test_people_of_val_who_are_met_in_test_are_named_as_well() -> None:
    subject = np.array(["ann", "bob", "bob", "cy", "", ""])
    split = np.array(["train", "val", "test", "test", "val", "test"])
    found = people(subject, split)
    assert found.severity is Severity.WARNING
    assert found.rows.tolist() == [2]
    assert found.figures["test_met_in_val"] == 1
    assert "None of 1 person of train is in another split." in found.verdict
    assert "1 of 3 pictures in test (33\u00a0%) show people who are in val, too." in found.verdict
    assert [sheet.rows.tolist() for sheet in found.sheets] == [[2, 1]]
    assert found.action


def test_the_action_keeps_a_test_that_is_clean_and_draws_another_where_it_is_not() -> None:
    clean = people(np.array(["ann", "ann", "bob"]), np.array(["train", "val", "test"]))
    assert "mien data split DATA --out NEW" in clean.action
    for split in (["train", "val", "test"], ["val", "train", "test"]):
        met = people(np.array(["ann", "bob", "ann"]), np.array(split))
        assert "mien data split DATA --test .1 --out NEW" in met.action
