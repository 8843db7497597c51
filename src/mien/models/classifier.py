"""A network ready to be trained or asked: preprocessing, backbone and one linear head per label set."""

from __future__ import annotations

import math
from typing import final

from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.spec import ModelSpec
from mien.models import zoo
from mien.models.entry import Backbone
from mien.models.normalise import Normalise


def centre_crop(x: Tensor, side: int) -> Tensor:
    """The centre square (…, side, side) of (…, H, W); an axis that is not longer than `side` is kept."""
    top, left = (max(0, (length - side) // 2) for length in x.shape[-2:])
    return x[..., top : top + side, left : left + side]


def _head(features: int, classes: int) -> nn.Linear:
    """Nearly zero logits, so that the first loss is that of guessing, ln C, however many features there are."""
    head = nn.Linear(features, classes)
    nn.init.normal_(head.weight, std=min(0.01, 0.1 / math.sqrt(features)))
    nn.init.zeros_(head.bias)
    return head


@final
class Classifier(nn.Module):
    """Pictures to logits, as the spec says.

    Takes uint8 or float in units of 0–255, shape (N, H, W), (N, 1, H, W) or (N, 3, H, W). Pictures larger
    than `spec.crop` are cut to their centre; batches that were cropped before pass as they are. Temperatures
    of the heads are not applied here: losses need the plain logits, and the export divides by them.
    """

    def __init__(self, spec: ModelSpec, backbone: Backbone) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = Normalise(spec.normalise, spec.channels)
        self.backbone = backbone
        self.heads = nn.ModuleList(_head(backbone.out_features, len(head.labels)) for head in spec.heads)

    def prepare(self, x: Tensor) -> Tensor:
        """What the backbone sees of the pictures: (N, C, h, w) float32."""
        if x.ndim == 3:
            x = x.unsqueeze(1)
        if x.ndim != 4 or x.shape[1] != self.spec.channels:
            raise MienError(
                f"the model takes pictures (N, {self.spec.channels}, H, W), got {tuple(x.shape)}",
                hint="convert them to the model's colour first",
            )
        if self.spec.crop is not None:
            x = centre_crop(x, self.spec.crop)
        prepared: Tensor = self.normalise(x)
        return prepared

    def features(self, x: Tensor) -> Tensor:
        """The backbone's features (N, F), which all heads share."""
        features: Tensor = self.backbone(self.prepare(x))
        return features

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, K), one tensor per head in the order of `spec.heads`."""
        features = self.features(x)
        return tuple(head(features) for head in self.heads)


def build_classifier(spec: ModelSpec, *, start: bool = True) -> Classifier:
    """The untrained classifier of a spec.

    Args:
        spec: what to build.
        start: False ignores options that only name starting weights, for nets that are about to be loaded.

    Raises:
        MienError: for an unknown architecture or option, or pictures too small for the net.
    """
    options = spec.options if start else zoo.lasting_options(spec.architecture, spec.options)
    backbone = zoo.build(spec.architecture, channels=spec.channels, side=spec.input_side, options=options)
    return Classifier(spec, backbone)
