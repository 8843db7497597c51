"""Where the rules draw their lines: one table, each line with its source. `docs/diagnosis.md` prints it."""

from __future__ import annotations

from pydantic import Field

from mien.core.spec import Frozen

PLAYBOOK = "Deep Learning Tuning Playbook (Godbole et al. 2023)"
KARPATHY = "Karpathy 2019, A Recipe for Training Neural Networks"
CS231N = "CS231n, Neural Networks Part 3 (ratio of updates to weights about 1e-3)"
SAGEMAKER = "SageMaker Debugger, built-in rules"
OWN = "own, set on seed 0 of benchmarks/faults.py"


class Thresholds(Frozen):
    """All limits. Shares are 0–1, accuracies too, losses are in nats."""

    first_loss_share: float = Field(default=0.15, description=f"first loss from ln C, of ln C · {KARPATHY}")
    overfit_loss_factor: float = Field(default=1.05, description=f"validation loss over its lowest · {PLAYBOOK}")
    overfit_epochs: int = Field(
        default=3, description=f"so many last epochs above it · {OWN}; the playbook looks at curves"
    )
    overfit_accuracy_lost: float = Field(default=0.01, description=f"below the best validation accuracy · {PLAYBOOK}")
    overfit_gap: float = Field(default=0.12, description=f"training above validation accuracy at the end · {OWN}")
    memorised: float = Field(default=0.95, description=f"training accuracy from which a gap alone says it · {OWN}")
    memorised_gap: float = Field(default=0.25, description=f"that gap to validation · {OWN}")
    underfit_accuracy: float = Field(
        default=0.75, description=f"training accuracy below it · {KARPATHY}: overfit first; figure {OWN}"
    )
    underfit_gap: float = Field(default=0.05, description=f"training above validation accuracy by less · {OWN}")
    late_share: float = Field(
        default=0.25, description=f"best epoch in this last part of the run: too short · {PLAYBOOK}"
    )
    late_gain: float = Field(default=0.015, description=f"accuracy gained in that part, beyond chance · {OWN}")
    few_updates: int = Field(
        default=100,
        description="updates in all, below which a net that has not learned was trained too short · "
        "a fifth of the 483 that airbench94 takes for CIFAR-10 (Jordan 2024, arXiv 2404.00498)",
    )
    learned: float = Field(default=0.85, description=f"training accuracy from which a run was not too short · {OWN}")
    early_share: float = Field(
        default=0.34, description=f"within 1 point of the best in this first part: too long · {OWN}; {PLAYBOOK}: 0.1"
    )
    long_epochs: int = Field(default=12, description=f"epochs from which a run can be too long · {OWN}")
    update_high: float = Field(
        default=0.02, description=f"update / weights, median of epochs · {CS231N}, 20 times that"
    )
    update_stuck: float = Field(default=3e-3, description=f"the same, where nothing at all is learned · {OWN}")
    stuck_epochs: int = Field(default=5, description=f"epochs after which that can be said · {OWN}")
    update_low: float = Field(default=1e-4, description=f"the same, a tenth of usual · {CS231N}")
    falls: float = Field(
        default=0.02,
        description=f"mean fall of validation accuracy between epochs beyond chance, second half · {OWN}",
    )
    loss_explodes: float = Field(default=1.5, description=f"training loss over the first epoch's · {OWN}")
    loss_breaks: float = Field(default=10.0, description=f"the same, over the very first loss · {OWN}")
    decayed_rate: float = Field(default=1e-3, description=f"learning rate over its highest · {OWN}")
    decayed_epochs: float = Field(default=0.3, description=f"share of epochs below it · {OWN}")
    small_batch: int = Field(
        default=8, description="pictures in a batch: norms are noisy · Wu & He 2018, arXiv 1803.08494, figure 1"
    )
    few_steps: int = Field(default=8, description=f"steps an epoch: the batch is too large · {OWN}")
    clipped: float = Field(default=0.5, description=f"share of clipped updates · {PLAYBOOK}")
    gradient_vanishes: float = Field(
        default=1e-4, description=f"gradient norm of the whole net; {SAGEMAKER}: mean 1e-7 a weight"
    )
    gradient_explodes: float = Field(default=50.0, description=f"highest epoch mean of the gradient norm · {OWN}")
    dead_share: float = Field(
        default=0.5, description=f"ReLU units of a layer that are 0 for all pictures · {SAGEMAKER}"
    )
    spread_vanishes: float = Field(
        default=1e-3, description=f"deviation of a layer's outputs, over the first layer's · {OWN}"
    )
    spread_vanished: float = Field(
        default=1e-3, description=f"deviation of the first layer's outputs: its weights are gone · {OWN}"
    )
    norm_accuracy: float = Field(default=0.12, description=f"accuracy lost with the norms' running statistics · {OWN}")
    norm_loss: float = Field(default=0.5, description=f"loss added by the norms' running statistics · {OWN}")
    norm_shift: float = Field(
        default=0.3, description=f"and those statistics from the batch's, in deviations, see health.csv · {OWN}"
    )
    average_accuracy: float = Field(default=0.05, description=f"averaged weights below the plain ones · {OWN}")
    weak_recall: float = Field(default=0.3, description=f"recall of a class · {SAGEMAKER}")
    imbalance: float = Field(default=10.0, description=f"largest over smallest class · {SAGEMAKER}")
    imbalance_cost: float = Field(default=0.15, description=f"recall of the rare class below the others' mean · {OWN}")
    confused_share: float = Field(default=0.3, description=f"of a class's pictures go to one other class · {OWN}")
    rarer: float = Field(
        default=3.0, description=f"times rarer in training than the other class: imbalance, no confused pair · {OWN}"
    )
    noise_share: float = Field(
        default=0.08,
        description="labels the audit holds for wrong · Northcutt et al. 2021, arXiv 2103.14749: 3.3 % usual",
    )
    reversed_gap: float = Field(
        default=0.06, description=f"validation above training accuracy in the same mode · {OWN}"
    )
    leaked_share: float = Field(default=0.01, description="validation pictures that are in training · mien data audit")
    unlike_shift: float = Field(
        default=0.5, description="brightness or contrast of validation, in deviations of training · mien data audit"
    )
    unlike_classes: float = Field(default=0.2, description=f"total variation between the splits' class shares · {OWN}")
    calibration: float = Field(
        default=0.1,
        description="expected calibration error · Guo et al. 2017, arXiv 1706.04599, table 1: 4–10 % uncalibrated",
    )
    loss_rises: float = Field(default=1.1, description=f"validation loss over its lowest while accuracy holds · {OWN}")
    loss_rises_by: float = Field(
        default=0.05, description=f"and by so much: of next to nothing a tenth is nothing · {OWN}"
    )
    wide_interval: float = Field(default=0.035, description="half of the 95 % interval of validation accuracy (Wilson)")
    input_deviation: float = Field(
        default=0.1, description=f"of what the net is fed: below it too little contrast · {OWN}"
    )
    input_mean: float = Field(
        default=2.0,
        description=f"mean of what the net is fed, in deviations · {OWN}; {SAGEMAKER}: 0.2 off is noted by the audit",
    )


LIMITS = Thresholds()
