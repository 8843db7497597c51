"""Every technique of a recipe keeps the promise of a resume: the same numbers as without a break."""

from __future__ import annotations

import pytest

RECIPES = {
    "muon, svm, warm restarts, snapshots": {
        "optimiser": {"name": "muon", "learning_rate": 0.01},
        "loss": {"name": "svm", "class_balance": "effective-number"},
        "schedule": {"name": "cosine-restarts", "cycle_epochs": 2},
        "average": {"snapshots": 2},
    },
    "swa at a constant rate, focal, given weights": {
        "loss": {"name": "focal", "label_smoothing": 0.1, "class_weights": {"disgust": 10}},
        "average": {"swa_from_epoch": 2, "swa_rate": 0.1, "snapshots": 3, "norm_pictures": 50},
    },
    # No norm that moves and a rate of nearly nothing: no epoch is better than the first, the fourth has half the rate.
    "adam on a plateau": {
        "optimiser": {"name": "adam", "learning_rate": 1e-9},
        "schedule": {"name": "plateau", "patience_epochs": 1, "gamma": 0.5},
        "average": {"snapshots": 1},
        "phases": [{"freeze": ["backbone"]}],
    },
    "ema by cosine with a warm-up, fast norm biases, drawn votes": {
        "optimiser": {"norm_bias_rate": 8, "l1": {"conv": 1e-4}},
        "loss": {"vote_scheme": "probability"},
        "average": {"ema_decay": 0.9, "ema_annealing": "cosine", "ema_warmup_epochs": 1.5, "snapshots": 1},
        "model": {"start_dirac": True, "options": {"widths": "8,8,8,8", "dropout": 0.3}},
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_killed_run_equals_one_never_killed(name: str, small, same_after_a_kill) -> None:
    rows = same_after_a_kill(small(**RECIPES[name]), 5, 15, folders=("weights", "snapshots")).rows
    assert len({row["learning_rate"] for row in rows}) > 1  # its schedule was at work
