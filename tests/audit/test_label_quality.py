"""Judging labels by probabilities: against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import FER2013, LabelSet
from mien.core.votes import COLUMNS
from mien.data.audit.label_quality import check_by_votes, judge, without_vote

# Six pictures of two classes. The mean probability of the own label is .7 for class 0 and .625 for class 1: these are
# the thresholds of the confident joint.
LABELS = np.array([0, 0, 0, 1, 1, 1])
CLASS_1 = np.array([0.1, 0.2, 0.6, 0.9, 0.875, 0.1])
PROBABILITIES = np.stack([1 - CLASS_1, CLASS_1], 1)


def test_quality_is_the_probability_of_the_label_lower_is_worse() -> None:
    quality = judge(LABELS, PROBABILITIES).quality
    np.testing.assert_allclose(quality, [0.9, 0.8, 0.4, 0.9, 0.875, 0.1])
    among_three = judge(np.array([0, 1, 2]), np.array([[0.2, 0.5, 0.3], [0.4, 0.5, 0.1], [0, 0, 1]])).quality
    np.testing.assert_allclose(among_three, [0.2, 0.5, 1], atol=1e-6)


def test_the_confident_joint_is_the_papers() -> None:
    # Rows: label 0 counts pictures 0 and 1 (≥ .7) as 0, picture 2 as neither; label 1 counts 3 and 4 (≥ .625) as 1 and
    # picture 5 (.9 ≥ .7) as 0. Scaled to three pictures a label: [[2, 0], [1, 2]] → [[3, 0], [1, 2]].
    judged = judge(LABELS, PROBABILITIES)
    np.testing.assert_array_equal(judged.joint, [[3, 0], [1, 2]])
    np.testing.assert_array_equal(judged.suspect, [False] * 5 + [True])
    np.testing.assert_array_equal(judged.suggested, [1, 1, 1, 0, 0, 0])
    np.testing.assert_allclose(judged.probability, [0.1, 0.2, 0.6, 0.1, 0.125, 0.9])


def test_the_ranking_has_the_worst_label_first() -> None:
    labels = np.repeat([0, 1, 2], 20)
    p = np.full((60, 3), 0.02)
    p[np.arange(60), labels] = 0.96
    p[[7, 30]] = [[0.03, 0.95, 0.02], [0.98, 0.01, 0.01]]
    assert judge(labels, p).ranking.tolist() == [30, 7]


def test_pictures_without_label_or_probabilities_are_left_out() -> None:
    labels = np.append(LABELS, [-1, 1])
    p = np.concatenate([PROBABILITIES, [[0.5, 0.5], [np.nan, np.nan]]])
    judged, alone = judge(labels, p), judge(LABELS, PROBABILITIES)
    assert judged.judged.tolist() == [True] * 6 + [False] * 2
    np.testing.assert_allclose(judged.quality[:6], alone.quality)
    assert np.isnan(judged.quality[6:]).all()
    assert judged.suggested[6:].tolist() == [-1, -1]
    assert judged.agreement == alone.agreement == pytest.approx(4 / 6)


def test_disagreement_among_the_surest_is_counted_whatever_the_label_says() -> None:
    # Ten pictures; the two surest (a fifth) are .99 for class 0, one of them labelled 1.
    labels = np.array([0, 1, 0, 0, 0, 0, 1, 1, 1, 1])
    class_0 = np.array([0.99, 0.99, 0.7, 0.7, 0.7, 0.7, 0.3, 0.3, 0.3, 0.3])
    judged = judge(labels, np.stack([class_0, 1 - class_0], 1))
    assert (judged.sure_count, judged.sure_disagreement) == (2, 0.5)


def test_one_class_alone_has_no_suspects() -> None:
    judged = judge(np.zeros(3, int), np.full((3, 2), 0.5))
    assert not judged.suspect.any()
    assert judged.joint.tolist() == [[3, 0], [0, 0]]


@pytest.mark.parametrize(
    ("labels", "shape", "said"),
    [
        ([0, 1], (3, 2), "2 labels need"),
        ([0, 2], (2, 2), "label 2 has no column"),
        ([-1, -1], (2, 2), "nothing to judge"),
    ],
)
def test_what_does_not_fit_together_is_refused(labels: list[int], shape: tuple[int, int], said: str) -> None:
    with pytest.raises(MienError, match=said):
        judge(np.array(labels), np.full(shape, 0.5))


def votes(**counts: int) -> list[int]:
    return [counts.get(name, 0) for name in COLUMNS]


def test_a_label_has_no_vote_when_no_voter_chose_its_meaning() -> None:
    labels = np.array([FER2013.index(n) for n in ("angry", "angry", "happy", "happy", "sad", "fear")] + [-1])
    table = np.array(
        [
            votes(anger=1, neutral=9),
            votes(sadness=10),
            votes(NF=7, unknown=3),  # nobody saw an expression
            votes(NF=9, sadness=1),
            votes(),  # nobody was asked
            votes(fear=10),
            votes(fear=10),
        ]
    )
    checkable, none = without_vote(labels, FER2013, table)
    assert checkable.tolist() == [True, True, False, True, False, True, False]
    assert none.tolist() == [False, True, False, True, False, False, False]


def test_labels_that_voters_could_not_choose_are_not_checked() -> None:
    checkable, _ = without_vote(np.array([0, 1]), LabelSet(name="x", names=("sad", "bored")), np.ones((2, 10), int))
    assert checkable.tolist() == [True, False]


def test_the_check_counts_ties_half_and_looks_at_the_first_of_the_ranking() -> None:
    quality = np.array([0.1, 0.3, 0.3, 0.8, np.nan])
    check = check_by_votes(quality, np.ones(5, bool), np.array([True, True, False, False, True]), depth=1)
    # Pairs of a label without vote and one with: (.1, .3), (.1, .8), (.3, .8) right, (.3, .3) half: 3.5 of 4.
    assert (check.checked, check.no_vote, check.depth) == (4, 2, 1)
    assert check.auc == 3.5 / 4
    assert check.precision == 1


def test_without_a_label_that_got_no_vote_there_is_no_area() -> None:
    assert np.isnan(check_by_votes(np.array([0.1, 0.2]), np.ones(2, bool), np.zeros(2, bool)).auc)
