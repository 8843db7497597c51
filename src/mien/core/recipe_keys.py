"""The tables of a recipe that say how a net is trained: loss, distillation, optimiser, schedule, averages, phases."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mien.core.errors import MienError
from mien.core.spec import Frozen

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Memory = Annotated[float, Field(ge=0, lt=1)]  # of a running mean: the share of what was
Sampler = Literal["shuffle", "label-shuffling", "class-balanced", "square-root", "effective-number"]


class LossConfig(Frozen):
    """What is minimised."""

    name: Literal["cross-entropy", "focal", "svm"] = Field(
        default="cross-entropy",
        description="of the label head; focal: arXiv 1708.02002; svm: squared hinge, one against rest, arXiv 1306.0239",
    )
    focal_gamma: NotNegative = Field(default=2, description="of focal; 0 is cross entropy")
    label_smoothing: float = Field(default=0, ge=0, lt=1)
    class_balance: Literal["none", "inverse-frequency", "effective-number"] = Field(
        default="none", description="weights of the labels by how rare they are; effective-number: arXiv 1901.05555"
    )
    effective_number_beta: float = Field(
        default=0.999, ge=0, lt=1, description="0: all labels alike, near 1: inverse-frequency"
    )
    class_weights: dict[str, NotNegative] = Field(
        default_factory=dict, description="weights of labels by name, times those of class_balance; others 1"
    )
    votes_weight: NotNegative = Field(default=1, description="weight of the FER+ head's loss")
    vote_scheme: Literal["soft", "majority", "cross-entropy", "probability", "multi-target"] = Field(
        default="soft", description="soft: all votes but single ones; the others as in arXiv 1608.01041"
    )

    @model_validator(mode="after")
    def _agree(self) -> LossConfig:
        if self.name == "svm" and self.label_smoothing:
            raise MienError(
                "loss.name = svm has no distribution that loss.label_smoothing could smooth",
                hint="loss.label_smoothing = 0",
            )
        return self


class DistillConfig(Frozen):
    """Learning from the answers of trained models (arXiv 1503.02531); without teachers it is off."""

    teachers: tuple[str, ...] = Field(
        default=(), description="run folders, .safetensors or exported .onnx files, shipped models"
    )
    weight: Fraction = Field(default=0.7, description="share of the teachers in each head's loss")
    temperature: Positive = Field(default=2, description="at which teachers answer and the net learns")
    views: Literal["none", "flip", "flip-shift", "augmented"] = Field(
        default="flip",
        description="views of a picture over which a teacher's answers are averaged, asked once; augmented: asked in "
        "each step about what the net itself is fed (arXiv 2106.05237)",
    )


class OptimiserConfig(Frozen):
    """How weights move."""

    name: Literal["sgd", "adam", "adamw", "muon"] = "sgd"
    learning_rate: Positive = 0.1
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of sgd and muon")
    nesterov: bool = Field(default=True, description="of sgd and muon")
    betas: tuple[Memory, Memory] = Field(default=(0.9, 0.999), description="of adam and adamw")
    epsilon: Positive = 1e-8
    weight_decay: NotNegative = Field(default=0, description="on kernels and dense weights")
    decay_norms_and_biases: bool = False
    l2: dict[str, NotNegative] = Field(default_factory=dict, description="weight decay of parameters by part of name")
    l1: dict[str, NotNegative] = Field(
        default_factory=dict, description="strength of λ·Σ|w| on parameters by part of name"
    )
    rates: dict[str, NotNegative] = Field(
        default_factory=dict, description="learning rate of parameters by part of name, in units of learning_rate"
    )
    layer_decay: float = Field(
        default=1,
        gt=0,
        le=1,
        description="rate of a layer in units of the next one's; such as 0.8 for pretrained nets",
    )
    norm_bias_rate: Positive = Field(
        default=1, description="learning rate of the biases of norms, in units of learning_rate (cifar10-airbench: 64)"
    )
    rest: Literal["adamw", "sgd"] = Field(
        default="adamw", description="of muon: what moves norms, biases and heads, which are no hidden matrices"
    )
    rest_learning_rate: Positive | None = Field(default=None, description="of muon's rest; None: learning_rate")
    clip_norm: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _agree(self) -> OptimiserConfig:
        if self.name in ("sgd", "muon") and self.nesterov and self.momentum == 0:
            raise MienError("optimiser.nesterov needs a momentum", hint="optimiser.nesterov = false")
        if self.rest_learning_rate is not None and self.name != "muon":
            raise MienError(f"optimiser.rest_learning_rate is of muon, not of {self.name}", hint="optimiser.rates")
        if self.name == "muon" and self.rest == "sgd" and self.rest_learning_rate is None:
            raise MienError(
                "optimiser.rest = sgd takes other rates than muon", hint="set optimiser.rest_learning_rate, such as 0.1"
            )
        return self


class ScheduleConfig(Frozen):
    """How the learning rate moves. `floor` is the lowest rate in units of the highest."""

    name: Literal["constant", "cosine", "one-cycle", "cosine-restarts", "exponential", "step", "plateau"] = "one-cycle"
    warmup_epochs: NotNegative = 0
    floor: Fraction = 0
    gamma: float = Field(default=0.9, gt=0, le=1, description="factor: per epoch, per step or per plateau")
    step_epochs: float = Field(default=10, gt=0)
    patience_epochs: int = Field(default=3, ge=1)
    cycle_epochs: float = Field(default=10, gt=0, description="length of the first cycle of cosine-restarts")
    cycle_growth: float = Field(default=1, ge=1, description="length of a cycle in units of the one before")


class AverageConfig(Frozen):
    """Averages of weights and norm statistics, used for validation and export; snapshots for ensembles."""

    ema_decay: float = Field(default=0, ge=0, lt=1, description="of the exponential moving average; 0: none")
    ema_annealing: Literal["count", "cosine", "none"] = Field(
        default="count",
        description="count: (1 + t)/(10 + t) after t steps, up to ema_decay; cosine: from ema_decay to 1 at the end",
    )
    ema_warmup_epochs: float = Field(default=0, ge=0, description="until then there is no average")
    swa_from_epoch: int | None = Field(
        default=None, ge=1, description="average the weights at the ends of epochs from this one on (arXiv 1803.05407)"
    )
    swa_rate: float | None = Field(
        default=None, gt=0, le=1, description="constant rate from then on, in units of learning_rate; None: schedule"
    )
    norm_pictures: int = Field(
        default=8192, ge=2, description="training pictures on which norms of averaged weights are estimated anew"
    )
    snapshots: int = Field(default=0, ge=0, description="so many of the last snapshots are kept; 0: none are taken")
    snapshot_epochs: int | None = Field(
        default=None, ge=1, description="epochs between snapshots; None: at ends of cycles, without cycles each epoch"
    )

    @model_validator(mode="after")
    def _agree(self) -> AverageConfig:
        if self.ema_decay and self.swa_from_epoch:
            raise MienError(
                "average.ema_decay and average.swa_from_epoch are two averages for one place", hint="set one of them"
            )
        if self.swa_rate is not None and not self.swa_from_epoch:
            raise MienError("average.swa_rate needs average.swa_from_epoch", hint="set both or none")
        if self.ema_warmup_epochs and not self.ema_decay:
            raise MienError("average.ema_warmup_epochs needs average.ema_decay", hint="such as ema_decay = 0.999")
        if self.snapshot_epochs and not self.snapshots:
            raise MienError("average.snapshot_epochs needs average.snapshots", hint="such as snapshots = 5")
        return self


class PhaseConfig(Frozen):
    """A part of the training with keys of its own; what is left out is as everywhere in the recipe."""

    epochs: int | None = Field(default=None, ge=1, description="how long; the last phase may go on to the end")
    size: int | None = Field(default=None, ge=8, description="shorter side in px of augmented pictures")
    augment: dict[str, Any] = Field(default_factory=dict, description="keys of [augment] that differ")
    pictures: Literal["all", "hard"] = Field(
        default="all", description="hard: what the averaged weights get wrong when the phase begins"
    )
    sampler: Sampler | None = Field(default=None, description="instead of data.sampler")
    leave_out: str | None = Field(
        default=None, description="Parquet or CSV file with a column `row`: pictures of the packed set to keep out"
    )
    freeze: tuple[str, ...] = Field(default=(), description="parts of names of parameters that stay as they are")
    learning_rate_factor: Positive = 1
