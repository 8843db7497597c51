"""The finding `label-errors`: its severity, its words and its rows."""

from __future__ import annotations

import numpy as np
import pytest

from mien.core.labels import FER2013
from mien.data.audit.finding import Severity
from mien.data.audit.label_errors import SHOWN, label_errors

COUNT = 1400


def answers(labels: np.ndarray, *, sure: float = 0.97, seed: int = 0) -> np.ndarray:
    """Probabilities of good nets for the true labels, with some noise."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.3, (len(labels), 7))
    logits[np.arange(len(labels)), labels] += np.log(6 * sure / (1 - sure))
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True)


def swapped(labels: np.ndarray, share: float, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share was changed to another class, and which."""
    rng = np.random.default_rng(seed)
    changed = rng.permutation(len(labels)) < share * len(labels)
    return np.where(changed, (labels + rng.integers(1, 7, len(labels))) % 7, labels), changed


TRUE = np.arange(COUNT) % 7


@pytest.mark.parametrize(
    ("share", "severity"), [(0.0, Severity.FINE), (0.04, Severity.WARNING), (0.15, Severity.SEVERE)]
)
def test_severity_follows_the_share_of_wrong_labels(share: float, severity: Severity) -> None:
    labels, _ = swapped(TRUE, share)
    finding = label_errors(labels, answers(TRUE), label_set=FER2013)
    assert finding.severity == severity
    assert bool(finding.action) == (severity > Severity.FINE)


def test_its_rows_are_the_swapped_labels_and_the_suggestions_the_true_ones() -> None:
    labels, changed = swapped(TRUE, 0.05)
    finding = label_errors(labels, answers(TRUE), label_set=FER2013)
    assert set(finding.rows[:50]) <= set(np.flatnonzero(changed))
    assert changed[finding.rows].sum() >= 0.95 * changed.sum()
    right = np.array(FER2013.names)[TRUE[finding.rows]] == finding.columns["suggested"]
    assert right[changed[finding.rows]].all()
    assert (np.diff(finding.columns["quality"]) >= 0).all()


def test_hard_pictures_with_right_labels_are_no_trouble() -> None:
    # Nets that are right about 75 % and know when: unsure answers are no evidence against labels.
    rng = np.random.default_rng(2)
    p = np.exp(rng.normal(0, 4, (COUNT, 7)))
    p /= p.sum(1, keepdims=True)
    labels = np.array([rng.choice(7, p=row) for row in p])
    finding = label_errors(labels, p, label_set=FER2013)
    assert finding.severity == Severity.FINE
    assert 0.6 < finding.figures["agreement"] < 0.85


def test_nets_that_learned_nothing_accuse_nobody() -> None:
    p = np.random.default_rng(3).dirichlet(np.full(7, 20.0), COUNT)
    finding = label_errors(TRUE, p, label_set=FER2013)
    assert finding.severity == Severity.NOTE
    assert "learned too little" in finding.verdict


def test_votes_decide_the_severity_and_check_the_ranking() -> None:
    labels, changed = swapped(TRUE, 0.1)
    column = np.array([4, 5, 6, 1, 3, 2, 0])  # FER2013's ids in the order of the vote columns
    votes = np.eye(10, dtype=int)[column[TRUE]] * 10
    finding = label_errors(labels, answers(TRUE), label_set=FER2013, votes=votes)
    assert finding.severity == Severity.SEVERE
    assert finding.figures["without_vote"] == changed.sum() == 140
    assert finding.figures["without_vote_auc"] > 0.99
    assert "10.0\N{NO-BREAK SPACE}% of the labels (140 of 1,400) got not one of the FER+ votes" in finding.verdict
    assert finding.columns["without_vote"].tolist() == changed[finding.rows].tolist()
    agreed = label_errors(TRUE, answers(TRUE), label_set=FER2013, votes=votes)
    assert agreed.severity == Severity.FINE


def test_the_most_confused_pair_is_named_and_shown() -> None:
    labels = np.where((TRUE == 4) & (np.arange(COUNT) < 300), 6, TRUE)
    finding = label_errors(labels, answers(TRUE), label_set=FER2013)
    pairs = {name: count for name, count in finding.figures.items() if "_rather_" in name}
    assert max(pairs, key=pairs.__getitem__) == "neutral_rather_sad"
    assert 0.5 * (labels != TRUE).sum() < pairs["neutral_rather_sad"] <= (labels != TRUE).sum()
    assert finding.plots[0].x[0] == "neutral → sad"
    first, pair = finding.sheets[:2]
    assert len(first.rows) == SHOWN
    assert pair.caption.startswith("Labelled neutral, rather sad")
    assert pair.under[0].startswith("neutral → sad 9")


def test_unlabelled_pictures_take_no_part() -> None:
    labels, _ = swapped(TRUE, 0.05)
    labels[::10] = -1
    finding = label_errors(labels, answers(TRUE), label_set=FER2013)
    assert finding.figures["judged"] == COUNT - COUNT // 10
    assert (labels[finding.rows] >= 0).all()
